"""Objectives: what a search minimises, which placements it accepts, and what each candidate is worth."""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import gcd, inf, lcm

import numpy as np
from attrs import evolve, field, frozen

from vmplace.failover.regression import Key, LostMemory, by_priority, lost_memory, no_worse
from vmplace.failover.verdict import JointVerdict, ScenarioStatus, Verdict
from vmplace.model.columns import IntArray
from vmplace.problem.problem import BoolArray, Problem
from vmplace.problem.rules import kept, soft_cost
from vmplace.solvers.budget import Budget

__all__ = [
    "OBJECTIVES",
    "CandidatePlacement",
    "Goal",
    "Shares",
    "Slack",
    "Stage",
    "better",
    "faulty",
    "losses",
    "migrated",
    "priorities",
]

OBJECTIVES = ("balance", "consolidate", "moves", "rules")

Stage = tuple[str, int]
"""One thing to minimise, the earlier stages being equal: ``("lost", priority)``, ``("rules", 0)`` or ``(objective, 0)``."""


@frozen(eq=False)
class CandidatePlacement:
    """A placement with its verdict.

    Parameters
    ----------
    node_of
        Node of each VM, shape (n_vms,).
    powered
        Nodes that stay on, shape (n_nodes,); None means all.
    verdict
        What each failure does to it, under each guarantee.
    values
        Of the goal's stages.
    anew
        Made without regard to where VMs are now: nothing to start a search for few moves from.
    """

    node_of: IntArray
    powered: BoolArray | None
    verdict: JointVerdict
    values: tuple[int | Fraction, ...]
    anew: bool = False

    def under(self, problem: Problem) -> Verdict:
        """The verdict under the guarantee of one of `Problem.each`."""
        return self.verdict.parts[problem.number or 0]

    def tell(self, budget: Budget, bounds: tuple[int | Fraction, ...]) -> None:
        """Report it as progress: its value in the first stage that is not at its bound."""
        stages = list(zip(self.values, bounds, strict=True))
        value, bound = next((stage for stage in stages if stage[0] > stage[1]), stages[0])
        budget.tell("search", value=float(value), bound=float(bound))


@frozen
class Slack:
    """How much worse an objective may be for the sake of those after it.

    Parameters
    ----------
    share
        By this share of its best.
    enough
        In any case up to this value; None where none is good enough.
    """

    share: Fraction = Fraction(0)
    enough: int | Fraction | None = None

    def most(self, best: int | Fraction) -> Fraction:
        """What it may come to."""
        worse = best * (1 + self.share)
        return Fraction(worse if self.enough is None else max(worse, self.enough))


@frozen
class Goal:
    """What is asked of a placement.

    Parameters
    ----------
    objectives
        In order of importance.
    move_running
        Whether VMs that run may move.
    best_effort
        Whether protection may be incomplete.
    max_moves, max_migrated
        Limits on VMs, and on MiB, that change node; None for none.
    worst
        With `best_effort`: what each failure of each guarantee may leave out, so that none gets worse; None for no such limit.
    headroom
        Whether normal running keeps to `Problem.limit`; otherwise to `Problem.usable`.
    slack
        Objectives that may be worse, in order.
    gap
        As a share of the value: how close to its bound an objective may stay.
    max_share, max_powered
        Limits on the share of an online node's memory in use, and on the nodes that stay on; None for none.
    enough
        A value of the last objective that is good enough; None where none is.
    """

    objectives: tuple[str, ...]
    move_running: bool = False
    best_effort: bool = False
    max_moves: int | None = None
    max_migrated: int | None = None
    worst: tuple[Mapping[Key, LostMemory], ...] | None = field(default=None, hash=False)
    headroom: bool = True
    slack: tuple[tuple[str, Slack], ...] = ()
    gap: Fraction = Fraction(0)
    max_share: Fraction | None = None
    max_powered: int | None = None
    enough: int | Fraction | None = None

    @property
    def consolidates(self) -> bool:
        """Whether nodes are switched off."""
        return "consolidate" in self.objectives or self.max_powered is not None

    @property
    def finer(self) -> "Goal":
        """The same with what breaks ties as further objectives: the least memory migrated, then the best balance."""
        ties = ("moves", "balance") if self.move_running else ("balance",)
        further = tuple(name for name in ties if name not in self.objectives)
        return evolve(self, objectives=(*self.objectives, *further)) if further else self

    def reached(self, stages: Sequence[Stage], values: Sequence[int | Fraction], bounds: Sequence[int | Fraction]) -> bool:
        """Whether values are good enough, or as close to their bounds as is asked for: what is lost has no gap."""
        return all(
            value <= bound or self.is_enough(name, value) or (name in self.objectives and value - bound <= self.gap * value)
            for (name, _), value, bound in zip(stages, values, bounds, strict=True)
        )

    def is_enough(self, name: str, value: int | Fraction) -> bool:
        """Whether an objective is good enough at a value, whatever its bound."""
        return self.enough is not None and name == self.objectives[-1] and value <= self.enough

    def stages(self, problem: Problem) -> list[Stage]:
        """What is minimised, in order: protection lost, then the objectives; soft rules come first where none asks for them, or
        after moves that are first."""
        stages: list[Stage] = [(name, 0) for name in self.objectives]
        if "rules" not in self.objectives and any(not b.must for b in problem.compiled_rules):
            stages.insert(1 if self.objectives[0] == "moves" else 0, ("rules", 0))
        lost: list[Stage] = [("lost", p) for p in priorities(problem)] if self.best_effort else []
        return lost + stages

    def free(self, problem: Problem) -> BoolArray:
        """VMs whose node is open, shape (n_vms,)."""
        waiting = problem.node_of < 0
        return waiting | problem.movable if self.move_running else waiting

    def unbound(self, problem: Problem) -> BoolArray:
        """VMs whose node is open and that no rule binds to other VMs, shape (n_vms,)."""
        return self.free(problem) & problem.alone

    @property
    def few_moves(self) -> bool:
        """Whether VMs that may move should rather not."""
        return self.objectives[0] in ("moves", "rules") or self.max_moves is not None or self.max_migrated is not None

    def settled(self, problem: Problem) -> IntArray:
        """The placement to start from: the nodes of VMs that stay, or should; -1 for the others, shape (n_vms,)."""
        return problem.node_of if self.few_moves else np.where(self.free(problem), -1, problem.node_of)

    def limit(self, problem: Problem) -> IntArray:
        """What normal running may use of each node, in MiB."""
        limit = problem.limit if self.headroom else problem.usable
        if self.max_share is None:
            return limit
        share = self.max_share
        most = np.array([share.numerator * c // share.denominator for c in problem.usable.tolist()], dtype=np.int64)
        return np.where(problem.online, np.minimum(limit, most), limit)

    def limits(self, problem: Problem) -> IntArray:
        """What normal running may use of each node, shape (n_nodes, n_resources)."""
        return np.column_stack([self.limit(problem), problem.capacity[:, 1:]])

    def allowed(self, problem: Problem, node_of: IntArray) -> bool:
        """Whether a placement keeps all that holds in normal running: places, memory, must-rules, limits on moves."""
        placed = np.flatnonzero(node_of != problem.node_of)
        moved = placed[problem.node_of[placed] >= 0]
        return bool(
            node_of.min(initial=0) >= 0
            and (problem.reachable.all() or np.all(problem.reachable[problem.signature, node_of]))
            and np.all(problem.online[node_of[placed]])
            and (self.move_running or not len(moved))
            and np.all(problem.movable[moved])
            and np.all(problem.loads(node_of) <= self.limits(problem))
            and all(kept(b, node_of) for b in problem.compiled_rules if b.must)
            and len(moved) <= (inf if self.max_moves is None else self.max_moves)
            and int(problem.memory[moved].sum()) <= (inf if self.max_migrated is None else self.max_migrated)
        )

    def accepts(self, problem: Problem, verdict: JointVerdict) -> bool:
        """Whether the failures are survived as far as asked, with no more nodes on than may be."""
        if self.max_powered is not None:
            hosting = np.zeros(problem.n_nodes + 1, dtype=bool)
            state = verdict.parts[0].state
            hosting[state.node_of] = True
            if int((state.target | (problem.maintenance & hosting[:-1])).sum()) > self.max_powered:
                return False
        if not self.best_effort:
            return verdict.safe
        return self.worst is None or all(map(_none_worse, verdict.parts, self.worst))

    def values(
        self, problem: Problem, node_of: IntArray, verdict: JointVerdict, powered: BoolArray | None
    ) -> tuple[int | Fraction, ...]:
        """What a placement is worth in each stage; less is better."""
        return tuple(self._value(stage, problem, node_of, verdict, powered) for stage in self.stages(problem))

    def _value(
        self, stage: Stage, problem: Problem, node_of: IntArray, verdict: JointVerdict, powered: BoolArray | None
    ) -> int | Fraction:
        name, priority = stage
        if name == "lost":
            return sum(memory.get(priority, 0) for part in verdict.parts for memory in lost_at_most(part).values())
        if name == "rules":
            return soft_cost(problem.compiled_rules, node_of)
        if name == "moves":
            return migrated(problem, node_of)
        if name == "consolidate":
            assert powered is not None
            return int(powered.sum())
        return peak(problem, node_of)


def better(first: CandidatePlacement | None, second: CandidatePlacement | None) -> CandidatePlacement | None:
    """The one whose values are less; the first if they are equal, None if there is neither."""
    both = [candidate for candidate in (first, second) if candidate is not None]
    return min(both, key=lambda candidate: candidate.values, default=None)


def migrated(problem: Problem, node_of: IntArray) -> int:
    """The memory of VMs that a placement has on another node than they are on now, in MiB."""
    return int(problem.memory[(problem.node_of >= 0) & (problem.node_of != node_of)].sum())


def priorities(problem: Problem) -> list[int]:
    """Priorities of protected VMs, highest first."""
    found = {priority for part in problem.each for priority in np.unique(part.priority[part.protected]).tolist()}
    return sorted(found, reverse=True)


def peak(problem: Problem, node_of: IntArray) -> Fraction:
    """The highest share of usable memory in use on an online node."""
    load, usable = problem.load(node_of)[problem.online], problem.usable[problem.online]
    # The float only picks a few to compare exactly.
    share = load / usable if len(load) else np.zeros(0)
    near = share >= share.max(initial=0) * (1 - 1e-9)
    pairs = set(zip(load[near].tolist(), usable[near].tolist(), strict=True))
    return max((Fraction(used, whole) for used, whole in pairs), default=Fraction(0))


def lost_at_most(verdict: Verdict) -> dict[int, LostMemory]:
    """What each scenario leaves without a restart; where that is not decided, all that it displaces."""
    lost = lost_memory(verdict)
    open_ = np.flatnonzero(verdict.fate == ScenarioStatus.UNKNOWN)
    vms, counts = verdict.state.displaced_by(open_)
    for number, mine in zip(open_.tolist(), np.split(vms, np.cumsum(counts)[:-1]), strict=False):
        lost[number] = by_priority(verdict.state.problem, mine)
    return lost


def _none_worse(verdict: Verdict, worst: Mapping[Key, LostMemory]) -> bool:
    """Whether no failure leaves out more than it may."""
    scenarios = verdict.state.scenarios
    lost = ((scenarios.key(number), memory) for number, memory in lost_at_most(verdict).items())
    return all(no_worse(memory, worst[key]) for key, memory in lost if key in worst)


def losses(problem: Problem, verdict: Verdict) -> list[tuple[int, ...]]:
    """Per scenario, the memory it leaves without a restart, by priority, highest first."""
    lost, ranks = lost_at_most(verdict), priorities(problem)
    return [tuple(lost.get(number, {}).get(rank, 0) for rank in ranks) for number in range(len(verdict.state.scenarios))]


def faulty(problem: Problem) -> bool:
    """Whether a node is overfull now, or a VM is where it may not be."""
    now = problem.node_of
    here = np.flatnonzero(now >= 0)
    misplaced = ~problem.reachable[problem.signature[here], now[here]]
    broken = not all(kept(b, now) for b in problem.compiled_rules if b.must)
    return bool(np.any(problem.loads(now) > problem.capacity) or misplaced.any() or broken)


_FINEST_SHARE = 2**20


@frozen(eq=False)
class Shares:
    """Shares of usable memory in parts of `whole`, for loads in whole units.

    Parameters
    ----------
    unit
        MiB that all loads are multiples of.
    usable
        Of the online nodes, in MiB.
    whole
        Parts of a full node: the least number that expresses every share, or 2**20 where that is more.
    """

    unit: int
    usable: IntArray
    whole: int

    @classmethod
    def of(cls, problem: Problem, unit: int) -> "Shares":
        """Of a problem's online nodes."""
        usable = problem.usable[problem.online]
        whole = lcm(*(int(c) // gcd(int(c), unit) for c in np.unique(usable))) if len(usable) else 1
        return cls(unit, usable, min(whole, _FINEST_SHARE))

    def factor(self, usable: int) -> int | None:
        """How many parts of a node one unit of load takes; None if they are not a whole number."""
        parts, rest = divmod(self.unit * self.whole, usable)
        return None if rest else parts

    def most(self, parts: int, usable: int) -> int:
        """The most units that a node may carry within a share."""
        return parts * usable // (self.whole * self.unit)

    def ceil(self, share: Fraction) -> int:
        """A share in parts, rounded up."""
        return -(-share.numerator * self.whole // share.denominator)

    def above(self, parts: int) -> Fraction:
        """The least share above this one that some node can have."""
        kinds = np.unique(self.usable).tolist()
        return min((Fraction((self.most(parts, c) + 1) * self.unit, c) for c in kinds), default=Fraction(0))
