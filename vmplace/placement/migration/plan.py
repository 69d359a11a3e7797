"""`plan_moves`: an order of live migrations from one placement to another, in names."""

import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from attrs import evolve, frozen

from vmplace.failover.verdict import ScenarioStatus
from vmplace.model.arrays import index_array
from vmplace.model.cluster import Cluster
from vmplace.model.columns import BoolArray, IntArray
from vmplace.model.door import door
from vmplace.model.errors import ConflictError, Flaw, InputError, error_of, not_found
from vmplace.model.guarantee import scenario_key
from vmplace.model.units import short, spell_memory
from vmplace.placement.migration.batches import Batch
from vmplace.placement.migration.cold_moves import ColdMoves, after_all, cold_movers, removed
from vmplace.placement.migration.limits import MigrationLimits, parse_speed
from vmplace.placement.migration.ordering import GuaranteeWatch, MigrationOrder, order
from vmplace.placement.migration.starts import Starting
from vmplace.placement.migration.transit import MigrationProblem, MigrationState
from vmplace.problem.names import Names
from vmplace.problem.presolve import presolved_names
from vmplace.problem.problem import Problem
from vmplace.problem.rules import kept
from vmplace.results.exposure import Exposure
from vmplace.results.migration import MigrationPlan
from vmplace.results.values import Migration, Start, Status, Step
from vmplace.solvers.budget import Budget, Progress

__all__ = ["plan_moves", "planned"]

_COLD_SHARE = 0.5
"""Of the time, for each way to have VMs move cold."""

Target = Mapping[str, str | None] | IntArray
"""VM to node, or the index of each VM's node, shape (n_vms,)."""


@door()
def plan_moves(
    cluster: Cluster,
    placement: Target,
    *,
    parallel: int | None = None,
    parallel_per_node: int | None = 1,
    bandwidth: str | None = None,
    max_moves: int | None = None,
    max_migrated: int | str | None = None,
    seed: int = 0,
    time_limit: float | None = 60.0,
    progress: Callable[[Progress], None] | None = None,
    cancel: threading.Event | None = None,
) -> MigrationPlan:
    """Put the moves from a cluster's placement to another in order.

    A live migration takes memory, and all other resources, on both of its nodes while it lasts, and no node is ever overfull;
    where there is a choice, headroom is left free, too. A must-rule that holds now and at the end holds all the way: VMs that
    must be together migrate at the same time, and those that must be apart never share a node, a migrating VM being on both
    of its own. Where moves wait for each other in a circle, some VM stops over on another node. VMs that wait are started as soon
    as they are in no move's way, and cost no step the guarantee. What moves cold is stopped and started in a step of its own
    after all others; if its memory is needed before, it is down for as few steps as can be.

    Parameters
    ----------
    cluster
        As it stands.
    placement
        VM to node, or the index of each VM's node; a VM that is left out, or has None or -1, stays where it is.
    parallel, parallel_per_node
        How many VMs may migrate at the same time, in all and from or to any one node. VMs that must be together migrate at the
        same time even if they are more. None: any number.
    bandwidth
        Of each node for migrations, such as ``"10Gbit"``: the plan then says how long they take.
    max_moves, max_migrated
        How many migrations, and how much memory in MiB or as ``"64GiB"``; stop-overs and cold moves count.
    seed
        Of the order in which moves are looked at, where the first way found is not the best possible.
    time_limit
        Seconds; the best found by then is returned. None: no limit.
    progress, cancel
        Called now and then; set it to have the best so far returned, as Ctrl-C does.

    Returns
    -------
    MigrationPlan
        ``infeasible`` if it is proved that no order exists; ``unknown`` if none was found.

    Raises
    ------
    InputError
        (a ValueError) that names the argument, VM or node that is wrong.
    """
    limits = MigrationLimits.of(
        parallel=parallel, parallel_per_node=parallel_per_node, max_moves=max_moves, max_migrated=max_migrated, seed=seed
    )
    speed = parse_speed(bandwidth)
    with Budget(time_limit, cancel, progress).interruptible() as budget:
        names = presolved_names(cluster)
        return planned(names, _target(cluster, placement), limits, budget).timed(speed)


def planned(
    names: Names,
    target: IntArray,
    limits: MigrationLimits,
    budget: Budget,
    *,
    powered: BoolArray | None = None,
    stopped: BoolArray | None = None,
) -> MigrationPlan:
    """The plan for a target over the cluster's VMs, -1 for those that stay; the other arguments as of `plan_moves`.

    Parameters
    ----------
    powered
        The nodes that stay on when all is done, shape (n_nodes,); None: all.
    stopped
        VMs of the problem that are stopped to make room, shape (n_vms,); None: no VM is.
    """
    problem = names.problem
    final = np.where(problem.incoming, -1, target[problem.original])
    final = np.where(final < 0, problem.node_of, final)
    down = np.zeros(0, np.int64) if stopped is None else np.flatnonzero(stopped)
    final[down] = -1
    obstacle = next(_obstacles(names, final), "")
    if obstacle:
        return MigrationPlan(status=Status.INFEASIBLE, reason=obstacle, stats=_stats(budget))
    plans = list[MigrationPlan]()
    movers = np.setdiff1d(cold_movers(problem, final), down)
    watch = GuaranteeWatch(problem, budget, None if powered is None else (final, powered))
    for transit in _transits(evolve(problem, node_of=removed(problem.node_of, down)), final, movers):
        plans.append(_NamedPlan(names, transit, final, movers, down, watch, budget).best(limits))
        if plans[-1].steps and not plans[-1].extra:
            break
    done = [plan for plan in plans if plan.status in (Status.OPTIMAL, Status.FEASIBLE)]
    return min(done, key=lambda plan: plan.extra) if done else plans[-1]


def _transits(problem: Problem, final: IntArray, movers: IntArray) -> Iterator[MigrationProblem]:
    """What is to migrate live: beside VMs that move cold when all is done, or while these are down."""
    if not len(movers):
        yield MigrationProblem.of(problem, final)
        return
    between = after_all(problem, final, movers)
    if between is not None:
        yield MigrationProblem.of(problem, between)
    yield MigrationProblem.of(evolve(problem, node_of=removed(problem.node_of, movers)), final)


def _stats(budget: Budget, found: MigrationOrder | None = None) -> dict[str, Any]:
    return {"seconds": round(budget.elapsed, 3), **(found.stats if found else {})}


def _target(cluster: Cluster, placement: Target) -> IntArray:
    """Index of each VM's node, -1 for those that stay, shape (n_vms,)."""
    vms, nodes = cluster.vms, cluster.nodes
    if isinstance(placement, Mapping):
        index, vm_index = nodes.index_of, vms.index_of
        flaws = [not_found(f"placement[{short(vm)}]", "VM", vm, vm_index) for vm in placement if vm not in vm_index]
        flaws += [
            not_found(f"placement[{short(vm)}]", "node", node, index)
            for vm, node in placement.items()
            if node is not None and node not in index
        ]
        if flaws:
            raise error_of(flaws)
        target = np.full(len(vms), -1, dtype=np.int64)
        for vm, node in placement.items():
            target[vm_index[vm]] = -1 if node is None else index[node]
    else:
        target = index_array("placement", placement, len(nodes))
        if len(target) != len(vms):
            raise InputError([Flaw("placement", f"{len(target)} entries for {len(vms)} VMs: give one for each", "length")])
    stopped = np.flatnonzero(~vms.running & (target >= 0))
    moved = [vms.names[vm] for vm in stopped[target[stopped] != vms.node[stopped]].tolist()]
    if moved:
        raise ConflictError(
            [Flaw(f"placement[{short(vm)}]", "is stopped: it must stay on its node, or on none", "conflict") for vm in moved]
        )
    return target


def _obstacles(names: Names, final: IntArray) -> Iterator[str]:
    """Why the target itself is out of reach, whatever the order."""
    problem, now = names.problem, names.problem.node_of
    changed = np.flatnonzero((final != now) & (final >= 0))
    moved = changed[now[changed] >= 0]
    for vm in moved[~(problem.movable | problem.cold)[moved]].tolist():
        busy = np.any(problem.original[problem.incoming] == problem.original[vm])
        why = "is being migrated already" if busy else "must not move"
        yield f"{names.vm(vm)} would have to leave {names.node(now[vm])}, but {why}"
    for vm in changed[~(problem.reachable[problem.signature[changed], final[changed]] & problem.online[final[changed]])].tolist():
        where = names.node(final[vm])
        yield f"{names.vm(vm)} may not go to {where}: its pool, the node's state or the rules forbid it"
    over = (problem.loads(final) > problem.capacity) & (_brought(problem.demand, final, changed, problem.n_nodes) > 0)
    for node in np.flatnonzero(over.any(axis=1)).tolist():
        yield f"{names.node(node)} would be overfull at the end"
    for rule in problem.compiled_rules:
        if rule.must and kept(rule, now) and not kept(rule, final):
            yield f"{names.rule_label(rule.index)} would be broken at the end"


def _immovable(names: Names, transit: MigrationProblem) -> Iterator[str]:
    """Units too large ever to move: what is free on a pool's online nodes together never grows, and no hole is larger."""
    problem = names.problem
    free = np.maximum(MigrationState.of(transit).room, 0) * problem.online[:, None]
    whole = np.zeros((int(problem.pool.max(initial=-1)) + 1, free.shape[1]), dtype=np.int64)
    np.add.at(whole, problem.pool, free)
    moving = np.flatnonzero(transit.source != transit.goal)
    for unit in moving[(transit.demand[moving] > whole[problem.pool[transit.goal[moving]]]).any(axis=1)].tolist():
        need, has = transit.demand[unit], whole[problem.pool[transit.goal[unit]]]
        k = int(np.argmax(need > has))
        who = ", ".join(names.vms(transit.members(unit).tolist()))
        amounts = [
            f"{amount} {problem.resources[k - 1]}" if k else spell_memory(amount) for amount in (int(need[k]), int(has[k]))
        ]
        yield f"{who} can never move: that takes {amounts[0]} free on one node; {amounts[1]} is free on all together"


def _brought(demand: IntArray, final: IntArray, vms: IntArray, n_nodes: int) -> IntArray:
    """What some VMs bring to each node, shape (n_nodes, n_resources)."""
    brought = np.zeros((n_nodes, demand.shape[1]), dtype=np.int64)
    np.add.at(brought, final[vms], demand[vms])
    return brought


@frozen(eq=False)
class _NamedPlan:
    """Batches as steps, with names."""

    names: Names
    transit: MigrationProblem
    final: IntArray
    movers: IntArray
    down: IntArray
    watch: GuaranteeWatch
    budget: Budget

    def best(self, limits: MigrationLimits) -> MigrationPlan:
        """The best order that is found, as a plan."""
        obstacle = next(_immovable(self.names, self.transit), "")
        if obstacle:
            return MigrationPlan(status=Status.INFEASIBLE, reason=obstacle, stats=_stats(self.budget))
        budget = self.budget.share(_COLD_SHARE) if len(self.movers) else self.budget
        cold = self.names.problem.memory[self.movers].tolist()
        found = order(self.transit, self.watch, limits, budget=budget, cold=cold)
        if found.batches is None:
            status = Status.INFEASIBLE if found.impossible else Status.UNKNOWN
            reason = found.impossible or "no order was found" + (" before time ran out" if budget.spent else "")
            return MigrationPlan(status=status, reason=reason, stats=_stats(budget, found))
        return self._plan(found, found.batches)

    def _plan(self, found: MigrationOrder, batches: list[Batch]) -> MigrationPlan:
        starting = Starting(self.transit, batches)
        starting.postpone(self.watch.holds, self.movers)
        early = bool(np.any(starting.step[self.movers] >= 0))
        if np.any(starting.step == len(batches)):
            batches = [*batches, ()]
        problem, last = self.names.problem, len(batches)
        if early:
            cold = ColdMoves.early(problem, self.final, self.movers, starting)
        else:
            cold = ColdMoves.last(problem, self.final, self.movers, last)
            batches = [*batches, ()] if len(self.movers) else batches
        cold = cold.beside(ColdMoves.early(problem, self.final, self.down, starting))
        if np.any(cold.stop == len(batches)):
            batches = [*batches, ()]
        steps, at, before = list[Step](), self.transit.source.copy(), problem.node_of
        for number, batch in enumerate(batches):
            for unit, _, node in batch:
                at[unit] = node
            after = cold.placed(starting.placed(at, number), number)
            step = self._step(number, batch, starting, cold, self._crowded(cold.stopped(before, number), after))
            steps.append(step if self.watch.holds(after) else self._judged(step, after))
            before = after
        open_ = sum(step.suspended for step in steps)
        best = found.extra_proved and (not open_ or (found.exposed_proved and not np.any(starting.step >= 0)))
        return MigrationPlan(
            status=Status.OPTIMAL if best else Status.FEASIBLE,
            steps=tuple(steps),
            extra=found.extra,
            reason="" if best else _doubt(found),
            stats=_stats(self.budget, found),
        )

    def _step(self, number: int, batch: Batch, starting: Starting, cold: ColdMoves, crowded: tuple[str, ...]) -> Step:
        names, memory = self.names, self.names.problem.memory
        live = (
            Migration(names.vm(vm), names.node(source), names.node(node), int(memory[vm]), number + 1)
            for unit, source, node in batch
            for vm in self.transit.members(unit).tolist()
        )
        starts = tuple(
            Start(names.vm(vm), names.node(int(self.transit.final[vm])), int(memory[vm]))
            for vm in starting.begun(number)
            if vm not in self.movers
        )
        return Step(
            number + 1,
            (*live, *cold.arrivals(names, number)),
            starts,
            Status.SAFE if any(part.failures for part in names.problem.each) else None,
            crowded=crowded,
            stops=cold.stops(names, number),
        )

    def _judged(self, step: Step, node_of: IntArray) -> Step:
        """The step with what failures do after it, looked at with more time than the search for an order gives a state."""
        names, verdict = self.names, self.watch.verdict(node_of)
        if verdict.safe:
            return step
        fates, losses = dict[str, int](), list[tuple[str, tuple[str, ...]]]()
        for number, (alone, part) in enumerate(zip(names.each, verdict.parts, strict=True)):
            open_ = [i for i in alone.in_order(part.state.scenarios) if part.fate[i] != ScenarioStatus.SAFE]
            keys = {i: scenario_key(number, alone.scenario(part.state.scenarios, i)) for i in open_}
            fates |= {key: int(part.fate[i]) for i, key in keys.items()}
            losses += [(keys[i], names.vms(loss.vms.tolist())) for i, loss in sorted(part.losses.items())]
        lost = np.unique([vm for part in verdict.parts for loss in part.losses.values() for vm in loss.vms.tolist()])
        failures = tuple(fates)
        return evolve(
            step,
            guarantee=Status.UNSAFE if verdict.unsafe else Status.UNKNOWN,
            exposed=failures,
            undecided=tuple(key for key, fate in fates.items() if fate == ScenarioStatus.UNKNOWN),
            unprotected=names.vms(lost.astype(np.int64).tolist()),
            worst=Exposure.of(losses, failures, names.cluster.guarantees),
        )

    def _crowded(self, before: IntArray, after: IntArray) -> tuple[str, ...]:
        """The nodes that have less than the headroom free during a step, and receive something: both placements take memory."""
        problem = self.names.problem
        arriving = np.flatnonzero((after != before) & (after >= 0))
        if not len(arriving) or problem.limit is problem.usable:
            return ()
        load = problem.load(before) + problem.load(np.where(np.isin(np.arange(len(after)), arriving), after, -1))
        receiving = np.unique(after[arriving])
        return tuple(self.names.node(node) for node in receiving[load[receiving] > problem.limit[receiving]].tolist())


def _doubt(found: MigrationOrder) -> str:
    if not found.extra_proved:
        return "another order might migrate less to make way"
    return "another order might leave the guarantee open after fewer steps"
