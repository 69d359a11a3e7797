"""The parts of results as frozen values: verdicts, failures, violations, migrations, conflicts."""

from enum import StrEnum

from attrs import frozen

from vmplace.results.to_dict import ToDict

__all__ = ["BrokenRule", "Comparison", "Conflict", "Migration", "Scenario", "Start", "Status", "Step", "Unprotected", "Violation"]


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


@frozen
class Violation(ToDict):
    """Something a placement or a failover plan breaks.

    Parameters
    ----------
    kind
        ``placement`` (a VM that is nowhere, or where it may not be), ``overfull``, ``headroom``, ``rule``,
        ``failover`` (a plan that breaks something), ``unprotected`` (a plan that leaves a VM out) or ``unverified``
        (nothing found, but no plan given to decide by, or too hard to tell).
    subject
        The node, the VM, the rule (``rules[3]``) or the failure scenario.
    message
        What is wrong, in a sentence with figures.
    """

    kind: str
    subject: str
    message: str


@frozen
class Scenario(ToDict):
    """One failure: whether it is survived, and what told so.

    Parameters
    ----------
    status
        ``safe``, ``unsafe`` or ``unknown``.
    method
        ``empty`` (nothing to restart), ``certificate`` (survived in any order of restarts), ``slots`` (enough of them, or too
        few), ``packing``, ``sums``, ``rules`` or ``search``; ``adversary`` (of restarts in any order) or ``policy`` (simulated);
        ``time`` if unknown.
    displaced
        Memory of the protected VMs that the failure displaces, in MiB.
    """

    status: Status
    method: str
    displaced: int


@frozen
class Unprotected(ToDict):
    """The VMs that a failure leaves without a restart.

    Parameters
    ----------
    scenario
        What fails: the names of nodes or failure domains, joined by "+".
    vms
        Who cannot be restarted beside those in the failover plan; where restarts are not planned, everyone who may be stranded.
    reason
        Why, in a sentence with figures.
    minimal
        Whether no plan protects more (higher priority first, then memory): proved, not supposed.
    """

    scenario: str
    vms: tuple[str, ...]
    reason: str
    minimal: bool


@frozen
class Migration(ToDict):
    """One VM's way from the node it is on to another; `memory` in MiB, `step` None where moves are not ordered.

    Steps begin at 1, and equal ones run in parallel. A VM that stops over has a migration to there, and one from there.
    """

    _keys = "vm from:source to:destination memory step"

    vm: str
    source: str
    destination: str
    memory: int
    step: int | None = None


@frozen
class BrokenRule(ToDict):
    """A rule that is not a must and is not kept in normal running, with its weight."""

    rule: int
    kind: str
    weight: int
    vms: tuple[str, ...]


@frozen
class Conflict(ToDict):
    """Why no placement exists: these VMs, under these rules and limits, cannot all be placed as asked.

    A VM that may not move counts with the place where it has to stay.

    Parameters
    ----------
    kind
        The bound that shows it: ``size`` or ``rules`` (a VM that no node has room for, or may take), ``group`` (VMs that must
        be together), ``capacity`` (too much memory for normal running), ``sums`` or ``slots`` (too much without the largest
        node), ``alone`` (no other node), ``apart`` (more VMs to keep apart than there are places), ``drain`` (VMs that
        cannot leave a node to be emptied); or ``search``, if only
        trying every way does.
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
        Whether no one of them can be left out: without any one VM, rule or limit the others could be met. Proved, not supposed.
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
class Comparison(ToDict):
    """What one way to promise restarts says of a cluster, and whether it is wrong.

    Parameters
    ----------
    policy, source
        What it is called, and who promises so.
    says
        ``safe``, ``unsafe`` or ``unknown``.
    wrong
        ``false safe`` or ``false unsafe``, where it is known whether there is a plan for each failure; else empty.
    reason
        Why it says so, in a sentence with figures.
    """

    policy: str
    source: str
    says: Status
    wrong: str
    reason: str


@frozen
class Start(ToDict):
    """A VM that waits is started on a node; `memory` in MiB."""

    vm: str
    node: str
    memory: int


@frozen
class Step(ToDict):
    """What is done at the same time; the next step begins when all of it is done.

    Parameters
    ----------
    number
        From 1.
    migrations, starts
        What is done. A migration takes its memory on both nodes until the step ends.
    guarantee
        ``safe``, ``unsafe`` or ``unknown``: of what runs then, after the step.
    exposed
        The failures that are not survived then, or not known to be.
    crowded
        The nodes that have less free than the headroom during the step, and receive something.
    """

    _keys = "step:number migrations starts guarantee exposed crowded"

    number: int
    migrations: tuple[Migration, ...]
    starts: tuple[Start, ...]
    guarantee: Status
    exposed: tuple[str, ...] = ()
    crowded: tuple[str, ...] = ()
