"""What common platforms would promise of a placement, after their documentation, beside the exact answer.

*Sum of survivors*: the memory in use fits the nodes without the largest (VergeOS; scripts around Ansible). *Percentage*, *slots*
and *dedicated host*: the admission control policies of VMware HA [1]_, which reserve a share of all memory, count slots as large
as the largest VM, or keep nodes empty. These four compare memory alone: no rule, no further resource, no headroom. oVirt [2]_ and
XenServer [3]_ simulate the restarts; a simulation is a `Guarantee.policy`, which heeds all that binds a restart. The sum of
survivors is a necessary condition, so its *unsafe* is right; a simulation is sufficient, so its *safe* is right. Proxmox VE [4]_
checks nothing before a failure: its row says what its restarts would do, and is never wrong.

References
----------
.. [1] VMware, vSphere Web Services API: ClusterFailoverResourcesAdmissionControlPolicy (percentage),
       ClusterFailoverLevelAdmissionControlPolicy (slots), ClusterFailoverHostAdmissionControlPolicy (dedicated host).
.. [2] oVirt, feature page "HA VM reservation".
.. [3] xapi-project/xen-api, ocaml/xapi/xapi_ha_vm_failover.ml.
.. [4] Proxmox VE Administration Guide, "Cluster Resource Scheduling", basic scheduler.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from attrs import evolve, frozen

from vmplace.failover.verdict import ScenarioStatus, Verdict
from vmplace.model.columns import BoolArray, IntArray
from vmplace.model.guarantee import FEWEST_VMS, Guarantee
from vmplace.model.kinds import Order, Policy
from vmplace.model.units import spell_memory
from vmplace.problem.problem import Problem
from vmplace.problem.sizes import ranges
from vmplace.results.placement import Report
from vmplace.results.values import Comparison, Status, Unprotected

__all__ = ["COUNTING", "SIMULATIONS", "Capacity", "CountingPolicy", "Simulation", "compare"]


@frozen(kw_only=True, eq=False)
class Capacity:
    """The nodes of a pool as platforms count them.

    VMs that need not restart take memory from their node, evictable ones take none; a node in maintenance has what it holds.

    Parameters
    ----------
    failures, noun
        How many fail, and of what: nodes, or failure domains.
    unit
        Number of the node or domain that fails as one, shape (n_nodes,).
    usable, memory, used
        Memory for VMs; the part that VMs that must restart may use, and the part that they do, in MiB, shape (n_nodes,).
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
        """The pools that have nodes, by number, with the placement as it stands."""
        node_of, must = problem.node_of, problem.protected & (problem.node_of >= 0)
        used = problem.load(np.where(must, node_of, -1))
        lasting = problem.load(np.where(problem.evictable, -1, node_of))
        memory = np.where(problem.online, np.maximum(problem.usable - (lasting - used), 0), used)
        hosting = np.isin(np.arange(problem.n_nodes), node_of[~problem.incoming])
        counting = problem.online | (problem.maintenance & hosting)
        vms = np.bincount(node_of[must], minlength=problem.n_nodes)

        def pool(number: int) -> Capacity:
            mine = np.flatnonzero(counting & (problem.pool == number))
            return cls(
                failures=problem.failures,
                noun="node" if problem.guarantee.scope == "node" else "failure domain",
                unit=np.unique(problem.unit[mine], return_inverse=True)[1],
                usable=problem.usable[mine],
                memory=memory[mine],
                used=used[mine],
                vms=vms[mine],
                largest=int(problem.memory[must & (problem.vm_pool == number)].max(initial=0)),
                online=problem.online[mine],
                empty=(problem.online & (lasting == 0))[mine],
            )

        return {number: pool(number) for number in problem.pools}

    @property
    def n_units(self) -> int:
        """How many can fail."""
        return int(self.unit.max(initial=-1)) + 1

    def without_best(self, amounts: IntArray) -> int:
        """The nodes' sum of some amounts, without as many units as fail: those that have most."""
        units = np.zeros(self.n_units, dtype=np.int64)
        np.add.at(units, self.unit, amounts)
        return int(np.sort(units)[: max(0, self.n_units - self.failures)].sum())

    def sizes(self) -> IntArray:
        """Memory of each unit's nodes, the largest first, shape (n_units, most nodes of a unit)."""
        order = np.lexsort((-self.usable, self.unit))
        count = np.bincount(self.unit, minlength=self.n_units)
        sizes = np.zeros((self.n_units, int(count.max(initial=0))), dtype=np.int64)
        sizes[self.unit[order], ranges(np.zeros_like(count), count)] = self.usable[order]
        return sizes

    def failing(self, which: str) -> str:
        """The units that fail at worst, in words."""
        return f"the {which} {self.noun}" if self.failures == 1 else f"the {self.failures} {which} {self.noun}s"


@frozen
class Count:
    """What a policy needs of a pool, what the pool has, and both in words."""

    needed: int
    there: int
    words: str


def _sum_of_survivors(pool: Capacity) -> Count:
    used, memory = int(pool.used.sum()), pool.without_best(pool.memory)
    words = f"{spell_memory(used)} used of {spell_memory(memory)} without {pool.failing('largest')}"
    return Count(used, memory, words)


def _percentage(pool: Capacity) -> Count:
    used, memory, units = int(pool.used.sum()), int(pool.memory.sum()), max(1, pool.n_units)
    taken = f"{spell_memory(used)} used of {spell_memory(memory)} ({used / max(1, memory):.1%})"
    words = f"{taken}, {min(1, pool.failures / units):.1%} to be kept free"
    return Count(used, memory * max(0, units - pool.failures) // units, words)


def _slots(pool: Capacity) -> Count:
    needed = int(pool.vms.sum())
    there = pool.without_best(np.where(pool.online, pool.memory // max(1, pool.largest), pool.vms))
    slots = f"{needed} slot{'s' * (needed != 1)} of {spell_memory(pool.largest)} needed"
    return Count(needed, there, f"{slots}, {there} available without {pool.failing('best')}")


def _dedicated_host(pool: Capacity) -> Count:
    busy = np.isin(np.arange(pool.n_units), pool.unit[~pool.empty])
    sizes = pool.sizes()
    enough = (sizes >= sizes[busy].max(axis=0, initial=0)).all(axis=1)
    needed, spare = pool.failures if pool.vms.any() else 0, int(np.count_nonzero(enough & ~busy))
    return Count(needed, spare, f"{needed} empty {pool.noun}{'s' * (needed != 1)} needed, {spare} as large as any in use")


@frozen
class CountingPolicy:
    """A policy that compares sums, and the platforms that have it: safe if every pool has what is needed."""

    policy: str
    source: str
    count: Callable[[Capacity], Count]

    def says(self, pools: Mapping[str, Capacity]) -> tuple[Status, str]:
        """Its verdict, and the figures of the pool that lacks most, by the pools' names."""
        counts = {name: self.count(pool) for name, pool in pools.items()}
        if not counts:
            return Status.SAFE, "the cluster has no node"
        name, worst = max(counts.items(), key=lambda entry: entry[1].needed - entry[1].there)
        where = f"pool {name}: " if len(pools) > 1 else ""
        return Status.SAFE if worst.needed <= worst.there else Status.UNSAFE, where + worst.words


COUNTING = (
    CountingPolicy("sum of survivors", "VergeOS, Ansible", _sum_of_survivors),
    CountingPolicy("percentage", "VMware", _percentage),
    CountingPolicy("slots", "VMware", _slots),
    CountingPolicy("dedicated host", "VMware", _dedicated_host),
)


@frozen
class Simulation:
    """A policy that restarts each failure's VMs one after the other, without looking back: a `choice` of nodes, in an `order`.

    Where the platform `promises` nothing by it, its verdict is only what would happen.
    """

    policy: str
    source: str
    choice: Policy
    order: Order
    promises: bool = True

    def promise(self, asked: Guarantee) -> Guarantee:
        """The same failures, survived in its way."""
        return evolve(asked, restart="planned", policy=self.choice, order=self.order)


SIMULATIONS = (
    Simulation("first-fit", "oVirt", "first-fit", "as-listed"),
    Simulation("worst-fit", "XenServer", "most-free", "largest-first"),
    Simulation(FEWEST_VMS, "Proxmox VE", FEWEST_VMS, "as-listed", promises=False),
)

_NO_FAILURE = "the guarantee covers no failure"

Judged = Callable[[Guarantee, float], tuple[Report, Verdict]]
"""Checks a placement for another guarantee, within a share of the time that is left."""


def compare(problem: Problem, pools: Sequence[str], judged: Judged) -> tuple[Comparison, ...]:
    """What vmplace and the policies say of a placement as it stands; `pools` are the pools' names, by number."""
    asked, waits = problem.guarantee, _waiting(problem)
    report, verdict = judged(evolve(asked, restart="planned", policy=None, order=None), 1 / 2)
    truth = report.status

    def told(policy: CountingPolicy | Simulation, says: Status, reason: str, *, promised: bool = True) -> Comparison:
        wrong = promised and says is not truth and Status.UNKNOWN not in (says, truth)
        return Comparison(policy.policy, policy.source, says, f"false {says}" if wrong else "", reason)

    planned = Comparison("planned", "vmplace", truth, "", _reason(report, verdict, waits))
    rows = []
    capacity = {pools[number]: pool for number, pool in Capacity.of(problem).items()}
    for policy in COUNTING:
        says, reason = policy.says(capacity) if problem.failures else (Status.SAFE, _NO_FAILURE)
        rows.append(told(policy, *((Status.UNSAFE, waits) if waits else (says, reason))))
    for done, simulation in enumerate(SIMULATIONS):
        # An equal share of the time for each, and for what comes after them.
        report, verdict = judged(simulation.promise(asked), 1 / (len(SIMULATIONS) - done + 1))
        reason = _reason(report, verdict, waits, simulated=simulation.choice != FEWEST_VMS)
        rows.append(told(simulation, report.status, reason, promised=simulation.promises))
    # Any order is decided last, as it may take longest.
    if truth is Status.UNSAFE:
        says, reason = truth, "what is unsafe with plans is unsafe in any order"
    else:
        report, verdict = judged(evolve(asked, restart="any-order", policy=None, order=None), 1)
        says, reason = report.status, _reason(report, verdict, waits)
    return (planned, Comparison("any-order", "vmplace", says, "", reason), *rows)


def _waiting(problem: Problem) -> str:
    """That protected VMs have no node, if some have none: then no answer can be safe."""
    count = int(np.count_nonzero((problem.protected | problem.optional) & (problem.node_of < 0)))
    return f"{count} protected VM{' waits' if count == 1 else 's wait'} for a node" if count else ""


def _reason(report: Report, verdict: Verdict, waits: str, *, simulated: bool = False) -> str:
    """Why a verdict is what it is: figures, and the first failure that is not survived."""
    total = len(verdict.fate)
    lost, undecided = (int(np.count_nonzero(verdict.fate == fate)) for fate in (ScenarioStatus.UNSAFE, ScenarioStatus.UNKNOWN))
    of = f"of {total} failure{'s' * (total != 1)}"
    if report.status is Status.SAFE:
        return f"{total} {of} survived" if total else _NO_FAILURE
    if report.status is Status.UNKNOWN:
        return f"{undecided} {of} not decided" if undecided else "not all failures decided"
    if lost:
        first = "".join(f"; {loss.scenario}: {_loss(loss, simulated)}" for loss in report.unprotected[:1])
        return f"{lost} {of} not survived{first}"
    if report.violations:
        return report.violations[0].message
    return waits or "not survived one after the other"


def _loss(loss: Unprotected, simulated: bool) -> str:
    return f"{loss.vms[0]} finds no node" if simulated else loss.reason
