"""What the usual platforms would promise of a placement, each in a few lines, beside what is true.

Written after what their documentation tells; none is the product itself. Sums, shares, slots and dedicated nodes look at
memory alone: at no rule, no further resource and no headroom. The simulations are those of `Guarantee.policy`, which look at
all that binds a restart. The sum of survivors is necessary, so its *unsafe* is right; a simulation is sufficient, so its
*safe* is right.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
from attrs import evolve, frozen

from vmplace.failover.verdict import ScenarioStatus, Verdict
from vmplace.model.columns import BoolArray, IntArray
from vmplace.model.entities import Guarantee
from vmplace.model.units import spell_memory
from vmplace.problem.problem import Problem
from vmplace.results.placement import Report
from vmplace.results.values import Comparison, Status, Unprotected

__all__ = ["PROMISES", "SIMULATIONS", "Capacity", "Promise", "Simulation", "compare"]


@frozen(kw_only=True, eq=False)
class Capacity:
    """A pool as platforms count it.

    VMs that need not restart take memory from their node, evictable ones take none; a node in maintenance has what it holds.

    Parameters
    ----------
    failures, noun
        How many fail, and of what: nodes, or failure domains.
    unit
        What fails as one: those of one number, shape (n_nodes,).
    usable, memory, used
        Memory for VMs; what VMs that must restart may use of it, and what they do, in MiB, shape (n_nodes,).
    vms
        How many these are, shape (n_nodes,).
    largest
        Memory of the largest of them in MiB.
    online, empty
        Nodes that restarts may use, and those of them that hold nothing, shape (n_nodes,).
    """

    failures: int
    noun: str
    unit: IntArray
    usable: IntArray
    memory: IntArray
    used: IntArray
    vms: IntArray
    largest: int
    online: BoolArray
    empty: BoolArray

    @classmethod
    def of(cls, problem: Problem) -> dict[int, "Capacity"]:
        """The pools that have nodes, as the placement stands."""
        node_of, must = problem.node_of, problem.protected & (problem.node_of >= 0)
        used = problem.load(np.where(must, node_of, -1))
        lasting = problem.load(np.where(problem.evictable, -1, node_of))
        memory = np.where(problem.online, np.maximum(problem.usable - (lasting - used), 0), used)
        hosting = np.isin(np.arange(problem.n_nodes), node_of[~problem.incoming])
        counting = problem.online | (problem.maintenance & hosting)
        empty = problem.online & (lasting == 0)
        vms = np.bincount(node_of[must], minlength=problem.n_nodes)
        noun = "node" if problem.guarantee.scope == "node" else "failure domain"

        def pool(number: int) -> Capacity:
            mine = np.flatnonzero(counting & (problem.pool == number))
            unit = np.unique(problem.unit[mine], return_inverse=True)[1]
            largest = int(problem.memory[must & (problem.vm_pool == number)].max(initial=0))
            return cls(
                failures=problem.failures,
                noun=noun,
                unit=unit,
                usable=problem.usable[mine],
                memory=memory[mine],
                used=used[mine],
                vms=vms[mine],
                largest=largest,
                online=problem.online[mine],
                empty=empty[mine],
            )

        return {number: pool(number) for number in problem.pools}

    @property
    def n_units(self) -> int:
        """How many can fail."""
        return int(self.unit.max(initial=-1)) + 1

    def without_best(self, amounts: IntArray) -> int:
        """What nodes have of something in all, without as many units as fail: those that have most."""
        units = np.zeros(self.n_units, dtype=np.int64)
        np.add.at(units, self.unit, amounts)
        return int(np.sort(units)[: max(0, self.n_units - self.failures)].sum())

    def sizes(self) -> IntArray:
        """Memory of each unit's nodes, the largest first, shape (n_units, most nodes of a unit)."""
        order = np.lexsort((-self.usable, self.unit))
        count = np.bincount(self.unit, minlength=self.n_units)
        sizes = np.zeros((self.n_units, int(count.max(initial=0))), dtype=np.int64)
        sizes[self.unit[order], np.arange(len(order)) - np.repeat(np.cumsum(count) - count, count)] = self.usable[order]
        return sizes

    def best(self, what: str) -> str:
        """The units that fail at worst, in words."""
        return f"the {what} {self.noun}" if self.failures == 1 else f"the {self.failures} {what} {self.noun}s"


@frozen
class Promise:
    """A policy that counts.

    Parameters
    ----------
    policy, source
        What it is called, and who promises so.
    counts
        Of a pool: what is needed, and what there is. It says safe if that is enough in every pool.
    words
        The same as a sentence.
    """

    policy: str
    source: str
    counts: Callable[[Capacity], tuple[int, int]]
    words: Callable[[Capacity, int, int], str]

    def says(self, pools: Mapping[str, Capacity]) -> tuple[Status, str]:
        """Its verdict, and the figures of the pool that is worst off, by the pools' names."""
        told = {name: self.counts(pool) for name, pool in pools.items()}
        if not told:
            return Status.SAFE, "there is no node"
        worst = max(told, key=lambda name: told[name][0] - told[name][1])
        need, have = told[worst]
        where = f"pool {worst}: " if len(pools) > 1 else ""
        return Status.SAFE if need <= have else Status.UNSAFE, where + self.words(pools[worst], need, have)


def _sums(pool: Capacity) -> tuple[int, int]:
    return int(pool.used.sum()), pool.without_best(pool.memory)


def _sums_in_words(pool: Capacity, used: int, memory: int) -> str:
    return f"{spell_memory(used)} used of {spell_memory(memory)} without {pool.best('largest')}"


def _percentage(pool: Capacity) -> tuple[int, int]:
    units = max(1, pool.n_units)
    return int(pool.used.sum()), int(pool.memory.sum()) * max(0, units - pool.failures) // units


def _percentage_in_words(pool: Capacity, used: int, _: int) -> str:
    memory, share = int(pool.memory.sum()), min(1, pool.failures / max(1, pool.n_units))
    taken = f"{spell_memory(used)} used of {spell_memory(memory)} ({used / max(1, memory):.1%})"
    return f"{taken}, {share:.1%} to be kept free"


def _slots(pool: Capacity) -> tuple[int, int]:
    slots = np.where(pool.online, pool.memory // max(1, pool.largest), pool.vms)
    return int(pool.vms.sum()), pool.without_best(slots)


def _slots_in_words(pool: Capacity, vms: int, slots: int) -> str:
    return f"{vms} slot{'s' * (vms != 1)} of {spell_memory(pool.largest)} needed, {slots} there without {pool.best('best')}"


def _dedicated(pool: Capacity) -> tuple[int, int]:
    busy = np.isin(np.arange(pool.n_units), pool.unit[~pool.empty])
    sizes = pool.sizes()
    enough = (sizes >= sizes[busy].max(axis=0, initial=0)).all(axis=1)
    return pool.failures if pool.vms.any() else 0, int(np.count_nonzero(enough & ~busy))


def _dedicated_in_words(pool: Capacity, needed: int, spare: int) -> str:
    return f"{needed} needed, {spare} empty and as large as any {pool.noun} in use"


PROMISES = (
    Promise("sum of survivors", "VergeOS, Ansible", _sums, _sums_in_words),
    Promise("percentage", "VMware", _percentage, _percentage_in_words),
    Promise("slots", "VMware", _slots, _slots_in_words),
    Promise("dedicated host", "VMware", _dedicated, _dedicated_in_words),
)
"""Survivors hold what is used; a share of all memory is kept free; a slot, as large as the largest VM, for each VM; as many nodes
kept empty as fail."""


@frozen
class Simulation:
    """A policy that restarts each failure's VMs one after the other and does not look back."""

    policy: str
    source: str
    choice: str
    order: str

    def promise(self, asked: Guarantee) -> Guarantee:
        """The same failures, survived in its way."""
        return evolve(asked, restart="planned", policy=self.choice, order=self.order)


SIMULATIONS = (
    Simulation("first-fit", "oVirt", "first-fit", "as-listed"),
    Simulation("worst-fit", "XenServer", "most-free", "largest-first"),
)


Judged = Callable[[Guarantee, float], tuple[Report, Verdict]]
"""Checks a placement for another guarantee, in so much of the time that is left."""


def compare(problem: Problem, pools: Sequence[str], judged: Judged) -> tuple[Comparison, ...]:
    """What vmplace and the usual policies say of a placement as it stands.

    Parameters
    ----------
    problem
        The cluster.
    pools
        The names of its pools, by number.
    judged
        Checks the same placement.
    """
    case = _Case(problem, judged)
    told = [*case.counted(pools), *case.simulated()]
    return (case.with_plans(), case.in_any_order(), *told)  # any order comes last, as it may take long to tell


@frozen(eq=False)
class _Case:
    """A placement on which the policies are heard."""

    problem: Problem
    judged: Judged

    @cached_property
    def planned(self) -> tuple[Report, Verdict]:
        """The truth."""
        return self.judged(evolve(self.problem.guarantee, restart="planned", policy=None, order=None), 1 / 2)

    @property
    def truth(self) -> Status:
        return self.planned[0].status

    @cached_property
    def waits(self) -> str:
        """That protected VMs are nowhere, if some are: then nobody can say safe."""
        problem = self.problem
        count = int(np.count_nonzero((problem.protected | problem.optional) & (problem.node_of < 0)))
        return f"{count} protected VM{' waits' if count == 1 else 's wait'} for a node" if count else ""

    def with_plans(self) -> Comparison:
        return Comparison("planned", "vmplace", self.truth, "", self._ground(*self.planned, _whole))

    def in_any_order(self) -> Comparison:
        if self.truth is Status.UNSAFE:
            return Comparison("any-order", "vmplace", Status.UNSAFE, "", "no order does better than a plan")
        report, verdict = self.judged(evolve(self.problem.guarantee, restart="any-order", policy=None, order=None), 1)
        return Comparison("any-order", "vmplace", report.status, "", self._ground(report, verdict, _whole))

    def counted(self, pools: Sequence[str]) -> Iterator[Comparison]:
        capacity = {pools[number]: pool for number, pool in Capacity.of(self.problem).items()}
        for promise in PROMISES:
            says, reason = promise.says(capacity) if self.problem.failures else (Status.SAFE, _NO_FAILURE)
            says, reason = (Status.UNSAFE, self.waits) if self.waits else (says, reason)
            yield Comparison(promise.policy, promise.source, says, self._wrong(says), reason)

    def simulated(self) -> Iterator[Comparison]:
        for done, simulation in enumerate(SIMULATIONS):
            # An equal share of the time for each, and for what comes after them.
            report, verdict = self.judged(simulation.promise(self.problem.guarantee), 1 / (len(SIMULATIONS) - done + 1))
            says, reason = report.status, self._ground(report, verdict, _first_lost)
            yield Comparison(simulation.policy, simulation.source, says, self._wrong(says), reason)

    def _wrong(self, says: Status) -> str:
        return "" if says is self.truth or Status.UNKNOWN in (says, self.truth) else f"false {says}"

    def _ground(self, report: Report, verdict: Verdict, why: Callable[[Unprotected], str]) -> str:
        """Why a verdict is what it is: figures, and the first that is wrong."""
        total = len(verdict.fate)
        lost, undecided = (
            int(np.count_nonzero(verdict.fate == fate)) for fate in (ScenarioStatus.UNSAFE, ScenarioStatus.UNKNOWN)
        )
        of = f"of {total} failure{'s' * (total != 1)}"
        if report.status is Status.SAFE:
            return f"{total} {of} survived" if total else _NO_FAILURE
        if report.status is Status.UNKNOWN:
            return f"{undecided} {of} not decided" if undecided else "not all failures decided"
        if lost:
            first = "".join(f"; {loss.scenario}: {why(loss)}" for loss in report.unprotected[:1])
            return f"{lost} {of} not survived{first}"
        if report.violations:
            return report.violations[0].message
        return self.waits or "not survived one after the other"


_NO_FAILURE = "no failure is to be survived"


def _whole(loss: Unprotected) -> str:
    return loss.reason


def _first_lost(loss: Unprotected) -> str:
    return f"{loss.vms[0]} finds no node"
