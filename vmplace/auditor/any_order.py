"""The audit of restarts in any order: an exhaustive search for an adversary, an order of restarts that strands a VM.

VMs of equal demands under equal rules are counted, not named, and nodes that are alike are interchangeable. To strand a VM
every node must be closed to it, so the search takes the first that is open, and tries all that can help to close it: one
more VM there, a VM under anti-affinity somewhere in its failure domain, a VM under affinity anywhere.
"""

from collections.abc import Iterator

import numpy as np
from attrs import frozen

from vmplace.auditor.case import Case, sums
from vmplace.auditor.certificate import caps, doubtful_scenarios, resistance
from vmplace.auditor.failures import AuditedFailures, Failure, TooHardError, WorkLimit
from vmplace.auditor.rules import AuditedRule
from vmplace.model.columns import BoolArray, IntArray
from vmplace.model.entities import Apart, Together

__all__ = [
    "Counterexample",
    "check_any_order",
    "counterexample_text",
    "find_counterexample",
    "least_sums_above",
    "strandable",
    "subset_sums",
]

_MOST_COUNTS = 20_000_000
"""The search keeps no more numbers than these in memory."""

_MOST_NAMED = 8
"""So many restarts of a counterexample are named in a sentence."""

_WIDEST = 1 << 20
"""Bits of the widest set of subset sums."""

_MUTUAL = (Apart.kind, Together.kind)


@frozen
class Counterexample:
    """A VM that must restart and finds no node, once others have restarted on theirs."""

    vm: int
    restarts: dict[int, int]


def check_any_order(failures: AuditedFailures) -> None:
    """Record ``unprotected`` for scenarios in which a VM can be stranded, ``unverified`` for those that are left open."""
    case, scenarios = failures.case, failures.scenarios
    for s in doubtful_scenarios(failures).tolist():
        key = scenarios.key(s)
        try:
            found = find_counterexample(failures.at_once(s), WorkLimit())
        except TooHardError:
            case.blame("unverified", key, f"if {key} fails: too hard to decide whether some order of restarts strands a VM")
            continue
        if found is not None:
            case.blame("unprotected", key, f"if {key} fails{counterexample_text(case, found)}")


def counterexample_text(case: Case, found: Counterexample) -> str:
    """The end of a sentence that tells it."""
    names, vm = case.vm.names, case.vm.names[found.vm]
    restarts = [f"{names[v]} restarts on {case.nodes[i]}" for v, i in found.restarts.items()]
    if not restarts:
        return f", no survivor can take {vm}"
    more = f" and {len(restarts) - _MOST_NAMED} more restart" if len(restarts) > _MOST_NAMED else ""
    return f" and {', '.join(restarts[:_MOST_NAMED])}{more}, then {vm} is stranded"


def find_counterexample(failure: Failure, effort: WorkLimit) -> Counterexample | None:
    """The first found, or None if there is none; raises TooHardError if that takes more than the effort, or much memory."""
    return _Adversary(failure, effort).find()


def strandable(failure: Failure, effort: WorkLimit) -> set[int]:
    """All VMs that must restart and that some order of restarts strands; raises TooHardError as `find_counterexample` does."""
    return _Adversary(failure, effort).stranded()


class _Adversary:
    """Depth-first search over states of one failure: how many VMs of each class have restarted on each node."""

    def __init__(self, failure: Failure, effort: WorkLimit) -> None:
        self.failure, self.effort = failure, effort
        displaced, bounds_of = failure.displaced.tolist(), failure.all.bounds_of
        kinds: dict[tuple[object, ...], list[int]] = {}
        for v in displaced:
            rules = tuple(bound.number for bound in bounds_of.get(v, ()))
            kinds.setdefault((rules, *failure.all.demand[:, v].tolist()), []).append(v)
        self.classes = list(kinds.values())
        first = [members[0] for members in self.classes]
        self.size = np.array([len(members) for members in self.classes])
        self.demand = failure.all.demand[:, first]
        self.divisor = np.maximum(1, np.gcd.reduce(self.demand, axis=1, initial=0))
        fitting = [failure.fitting(v, failure.free, {}) for v in first]
        nodes = np.flatnonzero(np.any(fitting, axis=0)) if first else np.arange(0)
        self.nodes, self.free = failure.nodes[nodes], failure.free[:, nodes]
        self.allowed = np.array([failure.allowed(v, {})[nodes] for v in first]).reshape(len(first), len(nodes))
        numbers = {bound.number: bound for v in first for bound in bounds_of.get(v, ())}
        self.bounds = [_MutualRule(bound, self.classes, self.nodes) for bound in numbers.values() if bound.rule.kind in _MUTUAL]
        self.alike = self._alike()

    def _alike(self) -> dict[int, IntArray]:
        """For each node the nodes that it may be exchanged for."""
        wide = [among.place for among in self.bounds if among.wide]
        columns = np.concatenate([self.free, self.allowed, *(place[None] for place in wide)]).T
        kinds: dict[bytes, list[int]] = {}
        for i, column in enumerate(np.ascontiguousarray(columns)):
            kinds.setdefault(column.tobytes(), []).append(i)
        return {i: alike for members in kinds.values() for alike in [np.array(members)] for i in members}

    def find(self) -> Counterexample | None:
        must = self.failure.all.case.must
        targets = [c for c, members in enumerate(self.classes) if must[members].any()]
        for c in sorted(targets, key=lambda c: (-self.demand[0, c], c)):
            if not self._is_easier(c, targets) and (state := self._strand(c)) is not None:
                vm = next(v for v in self.classes[c] if must[v])
                return Counterexample(vm, self._named(state, vm))
        return None

    def stranded(self) -> set[int]:
        must = self.failure.all.case.must
        targets = (c for c, members in enumerate(self.classes) if must[members].any())
        return {v for c in targets if self._strand(c) is not None for v in self.classes[c] if must[v]}

    def _is_easier(self, target: int, targets: list[int]) -> bool:
        """Whether what strands the target, free of rules as it is, strands another that needs no less in its stead."""
        others = [c for c in targets if c != target and (self.demand[:, c] >= self.demand[:, target]).all()]
        return bool(others) and self.classes[target][0] not in self.failure.all.bounds_of

    def _strand(self, target: int) -> IntArray | None:
        """A state that strands a VM of a class."""
        spare = self.size.copy()
        spare[target] -= 1
        first: IntArray = np.zeros((len(self.nodes), len(self.size)), np.int64)
        stack, seen = [first], {first.tobytes()}
        while stack:
            state = stack.pop()
            free = np.asarray(self.free - self.demand @ state.T, np.int64)
            rest: IntArray = spare - state.sum(axis=0)
            open_ = self._open(target, state, free)
            if not open_.any():
                return state
            if self._resists(target, state, free[:, open_], rest, np.flatnonzero(open_)):
                continue
            for child in self._children(target, state, free, rest, int(np.argmax(open_))):
                if (key := child.tobytes()) not in seen:
                    self.effort.spend()
                    if (len(seen) + len(stack)) * child.size > _MOST_COUNTS:
                        raise TooHardError
                    seen.add(key)
                    stack.append(child)
        return None

    def _open(self, c: int, state: IntArray, free: IntArray) -> BoolArray:
        """The nodes that can take one more of a class."""
        need = self.demand[:, c, None]
        open_: BoolArray = self.allowed[c] & ((free >= need) | (need == 0)).all(axis=0)
        for among in self.bounds:
            if among.member[c]:
                open_ &= among.leaves(state)
        return open_

    def _resists(self, target: int, state: IntArray, free: IntArray, rest: IntArray, nodes: IntArray) -> bool:
        """Whether arithmetic shows that the nodes that are open cannot all be closed."""
        peers = np.zeros(len(rest), dtype=bool)
        wide = None
        for among in (among for among in self.bounds if among.member[target]):
            if not among.apart and not state[:, among.member].any() and rest[among.member].any():
                return False
            if among.apart:
                peers |= among.member
                wide = among.place if among.wide else wide
        need = self.demand[:, target]
        binding = np.flatnonzero(need)
        least = np.array(
            [least_sums_above(free[r] - need[r], free[r], self.demand[r], rest, int(self.divisor[r])) for r in binding.tolist()]
        )
        place = np.arange(len(nodes)) if wide is None else np.unique(wide[nodes], return_inverse=True)[1]
        for cap in caps(least):
            others = np.minimum(self.demand[binding], cap[:, None]) @ rest
            held, limit = resistance(np.minimum(least, cap[:, None]), others)
            kept = max(0, len(nodes) - int(rest[peers].sum()))
            if int(np.sort(sums(place, held, len(nodes)))[:kept].sum()) > limit:
                return True
        return False

    def _children(self, target: int, state: IntArray, free: IntArray, rest: IntArray, node: int) -> Iterator[IntArray]:
        """What the state may become by a restart that helps to close a node to the target; the likeliest last."""
        gap = int(free[0, node] - self.demand[0, target]) + 1
        for c in sorted(np.flatnonzero(rest > 0).tolist(), key=lambda c: _likely(int(self.demand[0, c]), gap)):
            open_ = self._open(c, state, free)
            useful = np.arange(len(open_)) == node
            for among in self.bounds:
                if among.member[c] and among.member[target]:
                    useful |= among.place == among.place[node] if among.apart else True
            for i in np.flatnonzero(open_ & useful).tolist():
                child = state.copy()
                child[i, c] += 1
                rows = child[self.alike[i]]
                child[self.alike[i]] = rows[np.lexsort(rows.T)]
                yield child

    def _named(self, state: IntArray, vm: int) -> dict[int, int]:
        restarts: dict[int, int] = {}
        for c, members in enumerate(self.classes):
            others = iter(v for v in members if v != vm)
            for i in np.flatnonzero(state[:, c]).tolist():
                restarts.update((next(others), int(self.nodes[i])) for _ in range(int(state[i, c])))
        return restarts


def _likely(demand: int, gap: int) -> tuple[bool, int]:
    """Ranks restarts that are to fill a gap: the largest that fits last, before it what is too large."""
    return demand <= gap, demand if demand <= gap else -demand


class _MutualRule:
    """An affinity or anti-affinity rule between displaced VMs, by the classes and nodes of a search."""

    def __init__(self, bound: AuditedRule, classes: list[list[int]], nodes: IntArray) -> None:
        self.member = np.array([vms[0] in bound.member_set for vms in classes])
        self.apart = isinstance(bound.rule, Apart)
        self.wide = isinstance(bound.rule, Apart) and bound.rule.scope == "domain"
        self.place = bound.place[nodes]

    def leaves(self, state: IntArray) -> BoolArray:
        """The nodes that the members that have restarted leave to another."""
        there = np.any(state[:, self.member], axis=1)
        left = ~np.isin(self.place, self.place[there]) if self.apart else there | (not there.any())
        return np.asarray(left, dtype=bool)


def subset_sums(sizes: list[int], counts: list[int], most: int) -> int:
    """The subset sums of so many items of each size, up to the most: a number with the bit of each sum set."""
    sums, mask = 1, (1 << (most + 1)) - 1
    for size, count in zip(sizes, counts, strict=True):
        part = 1
        while count > 0:
            sums |= sums << size * min(part, count) & mask
            count -= part
            part *= 2
    return sums


def least_sums_above(floors: IntArray, most: IntArray, sizes: IntArray, counts: IntArray, step: int) -> IntArray:
    """The least subset sum above each floor; more than the sum of all items where it would be above its most.

    Parameters
    ----------
    floors, most
        Of 0 or more, as long.
    sizes, counts
        How many items there are of each size, a multiple of the step; as long.
    """
    widest, never = int(most.max(initial=0)) // step, int(sizes @ counts) + 1
    if widest > _WIDEST:
        return (floors // step + 1) * step  # no sum in between
    sums = subset_sums((sizes // step).tolist(), counts.tolist(), widest)
    pairs = list(zip(floors.tolist(), most.tolist(), strict=True))
    least = {}
    for floor, limit in set(pairs):
        first = floor // step + 1
        above = sums >> first
        found = (first + (above & -above).bit_length() - 1) * step
        least[floor, limit] = found if above and found <= limit else never
    return np.array([least[pair] for pair in pairs], np.int64)
