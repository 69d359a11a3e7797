"""What keeps VMs on nodes that should be emptied: all of it in one answer, each with what would help."""

from collections.abc import Iterable, Iterator

import numpy as np
from attrs import define, evolve, field

from vmplace.failover.outcome import Reason
from vmplace.failover.reasons import amount, listed
from vmplace.model.columns import BoolArray, IntArray
from vmplace.model.text import readable, rule_name
from vmplace.placement.options import PlaceOptions
from vmplace.placement.reasons import conflict_sentence, impossible_sentence
from vmplace.problem.names import Names
from vmplace.problem.restrict import apart_from, warmed, without
from vmplace.problem.size_limits import barred_by_size
from vmplace.results.values import Blocker
from vmplace.search.bounds.lower_bounds import impossible
from vmplace.search.goal import Goal
from vmplace.search.infeasibility import Demands, PartOracle, conflict_of_search
from vmplace.solvers.budget import Budget

__all__ = ["blockers_of", "fixed_on"]

_SHOWN = 6
_STOP = "shut it down for the maintenance"


def fixed_on(names: Names, nodes: Iterable[str]) -> list[Blocker]:
    """The VMs that cannot leave some nodes, wherever they would go: not movable, or half of a migration under way."""
    problem, out = names.problem, names.mask(nodes)
    here = np.flatnonzero((problem.node_of >= 0) & ~problem.movable & ~problem.cold)
    here = here[out[problem.node_of[here]]] if len(out) else here
    halves = problem.original[problem.incoming]
    leads = dict(zip(halves.tolist(), problem.node_of[problem.incoming].tolist(), strict=True))
    found = []
    for vm in here.tolist():
        name, node, target = names.vm(vm), names.node(problem.node_of[vm]), leads.get(int(problem.original[vm]))
        if target is None:
            remedy = f'{_STOP}, or set movable: "cold" if it may be stopped and started elsewhere'
            found.append(Blocker("movable", (name,), node, f"{name} on {node} is not movable", remedy))
        else:
            where = "" if problem.incoming[vm] else f" on {node}"
            reason = f"{name}{where} is being migrated to {names.node(target)}"
            found.append(Blocker("migrating", (name,), node, reason, "wait until that is done"))
    return list({blocker.vms: blocker for blocker in reversed(found)}.values())[::-1]


def blockers_of(names: Names, drained: tuple[str, ...], options: PlaceOptions, budget: Budget) -> tuple[Blocker, ...]:
    """Everything that keeps some nodes from being emptied, the guarantee aside; empty if nothing is known to.

    Parameters
    ----------
    names
        The cluster, with the nodes as they are.
    """
    goal = evolve(options.goal, best_effort=True, worst=None, headroom=False)
    return tuple(_Search(names, names.mask(drained), goal, options, budget).run(drained))


@define(eq=False)
class _Search:
    """The search for what is in the way: what is found is taken out, until nothing is left that is."""

    names: Names
    out: BoolArray
    goal: Goal
    options: PlaceOptions
    budget: Budget
    gone: BoolArray = field(init=False)
    rest: Names = field(init=False)

    def run(self, drained: tuple[str, ...]) -> Iterator[Blocker]:
        fixed = fixed_on(self.names, drained)
        yield from fixed
        stuck = {name for blocker in fixed for name in blocker.vms}
        self.gone = apart_from(self.names.problem, self.out)
        if stuck:
            here = np.flatnonzero(self.out[self.names.problem.node_of] & (self.names.problem.node_of >= 0)).tolist()
            self.gone[[vm for vm in here if self.names.vm(vm) in stuck]] = True
        self._restrict()
        yield from self._homeless()
        more = True
        while more:
            blocker, culprits = self._next()
            if blocker is not None:
                yield blocker
            more = len(culprits) > 0 and not self.budget.spent
            self._take(culprits)

    def _restrict(self) -> None:
        problem = warmed(self.names.problem, self.names.problem.cold)
        problem = without(problem, vms=self.gone, nodes=self.out)
        self.rest = Names(self.names.cluster, problem)

    def _take(self, vms: IntArray) -> None:
        """Leave some VMs of the rest out of it."""
        if len(vms):
            self.gone |= np.isin(self.names.problem.original, self.rest.problem.original[vms])
            self._restrict()

    def _leaving(self, vms: IntArray) -> IntArray:
        """Those of some VMs of the rest that have to leave a node."""
        there = self.rest.problem.node_of[vms]
        return vms[(there >= 0) & self.out[there]]

    def _homeless(self) -> Iterator[Blocker]:
        """The VMs that no other node may, or can, take, each looked at alone."""
        problem = self.rest.problem
        leaving = self._leaving(np.arange(problem.n_vms))
        room = np.where(problem.online[:, None], problem.capacity, -1)
        lost = []
        for vm in leaving.tolist():
            allowed = problem.reachable[problem.signature[vm]] & problem.online
            if not allowed.any():
                yield self._ruled_out(vm)
            elif not np.all(room[allowed] >= problem.demand[vm], axis=1).any():
                yield self._too_large(vm, room[allowed].max(axis=0))
            else:
                continue
            lost.append(vm)
        self._take(np.array(lost, dtype=np.int64))

    def _ruled_out(self, vm: int) -> Blocker:
        name, node, problem = self.rest.vm(vm), self.rest.node(self.rest.problem.node_of[vm]), self.rest.problem
        rules = tuple(rule.index for rule in problem.unary_rules if vm in rule.vms and rule.kind != "max-vm")
        barred = barred_by_size(self.rest.cluster, int(problem.original[vm]))
        if barred:
            why = f"{barred}{'; rules and states leave no other' if rules or 'no node' not in barred else ''}"
            return Blocker("size", (name,), node, f"{name} on {node}: {why}", f"add a node that takes it, or {_STOP}", rules)
        if not rules:
            pool = self.rest.pools[int(problem.vm_pool[vm])]
            why = f"no other node of pool {pool} is online"
            return Blocker("rules", (name,), node, f"{name} on {node}: {why}", f"bring one back online, or {_STOP}")
        blamed = listed([self.names.rule_label(rule) for rule in rules], _SHOWN)
        leave = "leaves" if len(rules) == 1 else "leave"
        called = [rule_name(rule, self.names.cluster.rules[rule].name) for rule in rules]
        remedy = f"allow another node in {listed(called, _SHOWN)}, or {_STOP}"
        return Blocker("rules", (name,), node, f"{name} on {node}: {blamed} {leave} no other node that is online", remedy, rules)

    def _too_large(self, vm: int, most: IntArray) -> Blocker:
        problem, name = self.rest.problem, self.rest.vm(vm)
        node, short = self.rest.node(problem.node_of[vm]), np.flatnonzero(problem.demand[vm] > most)
        if not len(short):
            why = "no other node that it may be on has all its resources together"
        else:
            reason = Reason("size", (vm,), resource=int(short[0]))
            need, has = (amount(int(each[short[0]]), reason, problem) for each in (problem.demand[vm], most))
            why = f"needs {need}; the most that another node it may be on can hold is {has}"
        return Blocker("size", (name,), node, f"{name} on {node} {why}", f"add a larger node, or {_STOP}")

    def _next(self) -> tuple[Blocker | None, IntArray]:
        """What is in the way of the rest, and the VMs to go on without."""
        reason = impossible(self.rest.problem, self.goal)
        if reason is not None:
            return self._of_bound(reason)
        trial = PartOracle(self.rest, self.goal, self.budget.share(0.5), self.options.seed, self.options.deterministic)
        if trial.fits(Demands.whole(self.rest, self.goal)) is not False:
            return None, np.zeros(0, np.int64)
        conflict = conflict_of_search(trial)
        index = dict(zip(self.rest.vms(range(self.rest.problem.n_vms)), range(self.rest.problem.n_vms), strict=False))
        vms = self._leaving(np.array([index[name] for name in conflict.vms], dtype=np.int64))
        remedy = "shut some of these VMs down for the maintenance"
        if conflict.rules or conflict.limits:
            remedy += ", or relax the rules and limits named"
        sentence = conflict_sentence(conflict, self.goal, self.rest)
        return Blocker("search", conflict.vms, None, sentence, remedy, conflict.rules), vms

    def _of_bound(self, reason: Reason) -> tuple[Blocker, IntArray]:
        """What a bound says of the rest."""
        problem, kind = self.rest.problem, reason.kind
        sentence, rules, members = impossible_sentence(reason, self.rest), tuple[int, ...](), np.array(reason.vms, dtype=np.int64)
        if kind in ("apart", "group"):
            rule = next(
                rule
                for rule in problem.compiled_rules
                if rule.must and (rule.zone is not None) == (kind == "apart") and set(reason.vms) <= set(rule.vms.tolist())
            )
            rules, members = (rule.index,), rule.vms
            sentence = f"{self.rest.rule_label(rule.index)}: {sentence}"
        leaving = self._leaving(members)
        who = self.rest.vms((leaving if len(leaving) and kind != "capacity" else members).tolist())
        down = f"shut {listed(who, _SHOWN)} down for the maintenance"
        if kind == "capacity":
            lacks = (
                readable(reason.need - reason.free) if not reason.resource else amount(reason.need - reason.free, reason, problem)
            )
            remedy, leaving = f"shut VMs of {lacks} down for the maintenance, or add a node", leaving[:0]
        elif kind == "apart":
            remedy = f"give the rule must: false, add a node, or {down}"
        else:
            remedy = f"add a larger node, or {down}"
        return Blocker("together" if kind == "group" else kind, who, None, sentence, remedy, rules), leaving
