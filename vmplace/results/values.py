"""The parts of results as frozen values: verdicts, failures, violations, migrations, conflicts."""

from enum import StrEnum
from fractions import Fraction

from attrs import frozen

from vmplace.results.exposure import Exposure
from vmplace.results.tables import Table
from vmplace.results.to_dict import ToDict

__all__ = [
    "AnyOrder",
    "Blocker",
    "BrokenRule",
    "Comparison",
    "Conflict",
    "Migration",
    "MigrationTable",
    "Scenario",
    "Start",
    "Status",
    "Step",
    "Stop",
    "Unprotected",
    "Violation",
    "relative_gap",
]


class Status(StrEnum):
    """A verdict; `str()` and `.value` are the lower-case word."""

    SAFE = "safe"
    UNSAFE = "unsafe"
    UNKNOWN = "unknown"
    OPTIMAL = "optimal"
    FEASIBLE = "feasible"
    INFEASIBLE = "infeasible"
    ADMITTED = "admitted"
    REFUSED = "refused"
    CONFIRMED = "confirmed"
    REFUTED = "refuted"


@frozen
class Violation(ToDict):
    """One thing that a placement or a failover plan breaks.

    Parameters
    ----------
    kind
        ``placement`` (a VM without a node, or on one that it may not use), ``overfull``, ``headroom``, ``rule``,
        ``failover`` (a failover plan that breaks something), ``unprotected`` (a plan that leaves a VM out), ``unverified``
        (no violation found, but no plan was given, or the search reached its limit) or ``claim`` (a claim of a saved result is
        wrong).
    subject
        The node, the VM, the rule (``rules[3]``), the failure scenario or the place of the claim (``objective.value``).
    message
        What is wrong, in a sentence with figures.
    """

    kind: str
    subject: str
    message: str


@frozen
class Scenario(ToDict):
    """One failure scenario: whether it is survived, and which method decided it.

    Parameters
    ----------
    status
        ``safe``, ``unsafe`` or ``unknown``.
    method
        ``empty`` (nothing to restart), ``certificate`` (survived in any order of restarts), ``slots`` (enough of them, or too
        few), ``packing``, ``sums``, ``rules`` or ``search``; ``adversary`` (for restarts in any order) or ``policy``
        (simulated); ``quorum`` (too few nodes would be left); ``time`` if the time limit came first.
    displaced
        Memory of the protected VMs that the failure displaces, in MiB.
    """

    status: Status
    method: str
    displaced: int


@frozen
class Unprotected(ToDict):
    """The VMs that cannot restart after a failure.

    Parameters
    ----------
    scenario
        What fails: the names of nodes or failure domains, joined by "+".
    vms
        The VMs that cannot restart beside those in the failover plan. Where restarts are not planned, all VMs that some order of
        restarts leaves without a node.
    reason
        Why, in a sentence with figures.
    minimal
        Whether it is proved that no plan protects more (higher priority first, then memory).
    """

    scenario: str
    vms: tuple[str, ...]
    reason: str
    minimal: bool


@frozen
class AnyOrder(ToDict):
    """Whether a cluster that is safe with planned restarts is safe whatever order and nodes the HA manager chooses.

    Parameters
    ----------
    status
        ``safe``; ``unsafe``, with an example; ``unknown`` if a second was too short to decide.
    scenario, reason
        A failure that some order of restarts does not survive, and which order; empty otherwise.
    """

    status: Status
    scenario: str = ""
    reason: str = ""


@frozen
class Migration(ToDict):
    """One live migration of a VM; `memory` in MiB, `step` None where migrations are not ordered.

    Steps begin at 1, and migrations of equal steps run in parallel. A VM with a stop-over has two migrations. `seconds`: how long
    this migration alone takes, where a bandwidth is given. In a `cold` migration the VM is stopped, in this step or an earlier
    one (`Step.stops`), and started on the other node.
    """

    _keys = "vm from:source to:destination memory step cold seconds"
    _if_known = ("seconds",)

    vm: str
    source: str
    destination: str
    memory: int
    step: int | None = None
    seconds: float | None = None
    cold: bool = False


class MigrationTable(Table[Migration]):
    """Migrations, sorted by step where they have steps."""

    __slots__ = ()

    _row = Migration


@frozen
class BrokenRule(ToDict):
    """A soft rule that normal running breaks.

    Parameters
    ----------
    rule
        Its index in the cluster; None for the homes of VMs, whose kind is ``home``.
    cost
        Its weight times the pairs of VMs that share a node or domain (``apart``), the nodes beyond one (``together``), or the VMs
        outside (``only-on``, ``not-on``, ``home``).
    vms
        The VMs that break it.
    name
        The rule's name, if it has one.
    """

    rule: int | None
    kind: str
    weight: int
    cost: int
    vms: tuple[str, ...]
    name: str | None = None


@frozen
class Conflict(ToDict):
    """Why no placement exists: these VMs, under these rules and limits, cannot all be placed as asked.

    A VM that may not move counts with the place where it has to stay.

    Parameters
    ----------
    kind
        The bound that shows it: ``size`` or ``rules`` (a VM that no node has room for, or may take), ``group`` (VMs that must
        be together), ``capacity`` (too much memory for normal running), ``sums`` or ``slots`` (too much without the largest
        node), ``quorum`` (too few nodes left), ``alone`` (no other node), ``apart`` (more VMs to keep apart
        than there are places), ``drain`` (VMs that cannot leave a node to be emptied); or ``search``, if only trying every way
        does.
    vms
        Names of the VMs in question, in document order.
    rules
        Indices of the must-rules in question.
    limits
        Which of ``max_moves`` and ``max_migrated`` are in question.
    need, free
        What the bound compares: MiB or, for ``slots``, numbers of slots; None where there is no such figure.
    slot
        For ``slots``: their size in MiB.
    minimal
        Whether no one of them can be left out: without any one VM, rule or limit the others could be met. This is proved.
    """

    kind: str
    vms: tuple[str, ...]
    rules: tuple[int, ...] = ()
    limits: tuple[str, ...] = ()
    need: int | None = None
    free: int | None = None
    slot: int | None = None
    minimal: bool = False


@frozen
class Blocker(ToDict):
    """A reason why VMs cannot leave a node that should be emptied, and what would help.

    Parameters
    ----------
    kind
        ``movable`` (the VM must not move), ``migrating`` (it is being migrated already), ``rules`` (its rules, its pool or the
        nodes' states leave no other node), ``size`` (no other node is large enough), ``apart`` or ``together`` (so a rule says of
        several VMs), ``capacity`` (all VMs need more than the other nodes have), or ``search`` (only trying every way shows it).
    vms
        Names of the VMs, in document order.
    node
        The node of a single VM that cannot leave it; None where several VMs are in each other's way.
    reason, remedy
        A sentence each, with figures.
    rules
        Indices of the rules that are in the way.
    """

    kind: str
    vms: tuple[str, ...]
    node: str | None
    reason: str
    remedy: str
    rules: tuple[int, ...] = ()


@frozen
class Comparison(ToDict):
    """What one admission policy says of a cluster, and whether it is wrong.

    Parameters
    ----------
    policy, source
        Its name, and the platform that uses it.
    says
        ``safe``, ``unsafe`` or ``unknown``.
    wrong
        ``false safe`` or ``false unsafe``, where it is known whether there is a plan for each failure; else empty.
    reason
        Why it says so, in a sentence with figures.
    guarantee
        Which of several guarantees it is about, from 1; None where there is one.
    """

    _if_known = ("guarantee",)

    policy: str
    source: str
    says: Status
    wrong: str
    reason: str
    guarantee: int | None = None


@frozen
class Start(ToDict):
    """A waiting VM that is started on a node; `memory` in MiB."""

    vm: str
    node: str
    memory: int


@frozen
class Stop(ToDict):
    """A VM that is stopped on a node, to be started on another; `memory` in MiB."""

    vm: str
    node: str
    memory: int


@frozen
class Step(ToDict):
    """Migrations and starts that run in parallel; the next step begins when all of them are done.

    Parameters
    ----------
    number
        From 1.
    stops, migrations, starts
        What is done: first VMs are stopped that move cold; then the others. A live migration takes its memory on both nodes
        until the step ends; cold ones, and starts, come last.
    guarantee
        ``safe``, ``unsafe`` or ``unknown``: of what runs then, after the step; pools in which the plan does nothing need not
        count. None where no guarantee is asked for.
    exposed, undecided
        The failures that are not survived after the step, or not known to be; and those of them that no search has decided.
    unprotected
        The VMs that some of these failures would leave without a node.
    crowded
        The nodes that take in VMs during the step and keep less free than the headroom.
    seconds
        How long the migrations take, where a bandwidth is given.
    worst
        The one of these failures that leaves most VMs without a node, if that is known.
    """

    _keys = "step:number stops migrations starts guarantee exposed undecided unprotected crowded seconds"
    _if_known = ("seconds",)

    number: int
    migrations: tuple[Migration, ...]
    starts: tuple[Start, ...]
    guarantee: Status | None
    exposed: tuple[str, ...] = ()
    crowded: tuple[str, ...] = ()
    unprotected: tuple[str, ...] = ()
    seconds: float | None = None
    stops: tuple[Stop, ...] = ()
    worst: Exposure | None = None
    undecided: tuple[str, ...] = ()

    @property
    def suspended(self) -> bool:
        """Whether a guarantee is asked for, and is not known to hold after the step."""
        return self.guarantee not in (Status.SAFE, None)


def relative_gap(value: int | Fraction | None, bound: int | Fraction | None) -> float | None:
    """|value - bound| / value: 0 if they are equal, None if one is unknown or the value is 0."""
    if value is None or bound is None:
        return None
    if value == bound:
        return 0.0
    return float(abs(Fraction(value) - bound) / Fraction(value)) if value else None
