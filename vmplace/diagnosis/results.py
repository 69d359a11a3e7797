"""Why a cluster is not safe, and what would help, as values."""

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen

from vmplace.model.cluster import Cluster
from vmplace.model.text import counted
from vmplace.results.result import Result
from vmplace.results.to_dict import ToDict
from vmplace.results.values import BrokenRule, Conflict, MigrationTable, Status

__all__ = ["KINDS", "Blame", "Explanation", "Obstacle", "Remedy", "Slack", "Stuck", "ranked"]

KINDS = ("start", "finish", "move", "return", "rule", "headroom", "promise", "node", "unprotect", "shrink", "stop")
"""Kinds of remedies, the least intrusive first: what starts, or moves, or comes back; what is asked for a little less; what is
bought; and what is given up."""


@frozen
class Stuck(ToDict):
    """A VM that cannot restart after a failure, and why.

    Parameters
    ----------
    vm, memory
        Which, and how much it takes, in MiB.
    reason
        Why it finds no node, in a sentence with figures.
    """

    vm: str
    memory: int
    reason: str


@frozen
class Blame(ToDict):
    """One thing that is wrong as the cluster stands, with the VMs, rules and nodes to blame.

    Parameters
    ----------
    kind
        ``failure`` (one that is not survived), ``turns`` (a pool's failures one after the other), or of now: ``overfull``,
        ``rule``, ``size`` (a VM larger than its node takes) or ``waiting`` (a protected VM without a node).
    subject
        The failure scenario, the pool, the node, the rule (``rules[3]``) or the VM. Failures, and pools in turn, of the second
        of several guarantees are marked as the keys of its scenarios: ``2++n1+n2``.
    pool
        Where it is.
    reason
        What is wrong, in a sentence with figures.
    vms, rules
        To blame: of a failure, with only these VMs on what fails and only these must-rules it is not survived.
    nodes
        Of a failure: the survivors whose memory matters; with boundless memory on any one, it would be survived. None: every
        survivor of the pool.
    shortfall
        MiB missing: of a failure, what one of the freest survivors would have to have more (`on` says which) so that it is
        survived, and no less; None where more memory on one node does not help, or was not tried in time.
    on
        The node of `shortfall`.
    displaced, free
        Of a failure: MiB that must restart, and MiB free on all survivors.
    minimal
        Whether it is proved that without any one of these VMs, rules and nodes the failure would be survived.
    stuck
        Of a failure: each VM that cannot restart even with the best plan.
    late
        Whether time ran out before all of this was found; `vms` may then hold only the VMs that cannot restart.
    missing
        Of a failure: what is missing where more memory is no help, in words; else empty.
    """

    kind: str
    subject: str
    pool: str
    reason: str
    vms: tuple[str, ...] = ()
    rules: tuple[int, ...] = ()
    nodes: tuple[str, ...] | None = None
    shortfall: int | None = None
    on: str | None = None
    displaced: int | None = None
    free: int | None = None
    minimal: bool = False
    stuck: tuple[Stuck, ...] = ()
    late: bool = False
    missing: str = ""


@frozen
class Obstacle(ToDict):
    """Why no placement of a pool is safe, even if every VM may migrate.

    Parameters
    ----------
    pool
        Empty where a rule binds several pools together.
    reason
        In a sentence with figures.
    conflict
        The VMs and rules to blame, with what the bound compares.
    shortfall
        MiB missing, where the bound compares memory.
    """

    pool: str
    reason: str
    conflict: Conflict
    shortfall: int | None = None


@frozen
class Slack(ToDict):
    """How much memory stays free after a failure that is survived.

    Parameters
    ----------
    scenario, pool
        What fails, as the keys of scenarios are.
    displaced
        Memory of the VMs that must restart, in MiB.
    left
        Free memory of all survivors after these restarts, in MiB.
    piece
        An upper bound on the free memory of one survivor after them, in MiB.
    """

    scenario: str
    pool: str
    displaced: int
    left: int
    piece: int


@frozen(eq=False)
class Remedy(ToDict):
    """One change that makes a cluster, or the pool named, safe: found by solving, and checked.

    Parameters
    ----------
    kind
        Of `KINDS`.
    pool
        What becomes safe; empty for the whole cluster.
    action
        What to do, in a sentence with figures.
    cluster
        The cluster after the change and the migrations.
    moved, bought
        MiB migrated, and MiB of new nodes.
    given_up, forgone
        VMs that stop, shrink or no longer need to restart; and their MiB that are given up.
    least
        Whether it is proved that less does not help: fewer GiB migrated, a smaller node or cut, or one VM less.
    migrations
        The migrations that go with it.
    verified
        Always true: only verified changes are listed.
    how
        How it was verified.
    """

    _keys = "kind pool action moved bought forgone least verified how given_up migrations"

    kind: str
    pool: str
    action: str
    cluster: Cluster = field(repr=False)
    moved: int = 0
    bought: int = 0
    given_up: tuple[str, ...] = ()
    forgone: int = 0
    least: bool = True
    migrations: MigrationTable = field(factory=MigrationTable, converter=MigrationTable)
    verified: bool = True
    how: str = "check of the changed cluster: safe"


@frozen(kw_only=True, eq=False, repr=False)
class Explanation(Result):
    """What `explain` found.

    Parameters
    ----------
    status
        ``safe``; ``unsafe`` (as it stands); ``infeasible`` (unsafe, and proved that no placement is safe); ``unknown``.
    blames
        All that is wrong as it stands.
    obstacles
        If ``infeasible``: why no migration helps.
    tightest
        If ``safe``: the failures that leave least, the tightest first.
    remedies
        The least intrusive first (see `KINDS`), and of a kind what costs least; last those that give up several VMs.
    futile
        Kinds of remedies that were all tried without success: none of them helps alone.
    undecided
        The failures of which it is not known whether they are survived.
    unfinished
        What is not decided, as time ran out or a search left it open, in sentences.
    broken_rules
        Soft rules that are broken as it stands, VMs away from home among them.
    warnings
        Names in rules, homes and guarantees that the cluster lacks.
    """

    _keys = "status blames obstacles tightest remedies futile undecided unfinished broken_rules warnings stats"

    cluster: Cluster = field(repr=False)
    status: Status
    blames: tuple[Blame, ...] = ()
    obstacles: tuple[Obstacle, ...] = ()
    tightest: tuple[Slack, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    futile: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    unfinished: tuple[str, ...] = ()
    broken_rules: tuple[BrokenRule, ...] = ()
    warnings: tuple[str, ...] = ()
    stats: Mapping[str, Any] = field(factory=dict)

    def summary(self) -> str:
        """The answer in a line."""
        remedy = f"; first remedy: {self.remedies[0].action}" if self.remedies else ""
        return f"{self.status}: {counted(len(self.blames), 'thing')} wrong, {len(self.remedies)} remedies found{remedy}"


def ranked(remedies: list[Remedy]) -> tuple[Remedy, ...]:
    """The least intrusive first, and of a kind what costs least; last what gives up several VMs."""
    return tuple(sorted(remedies, key=lambda r: (len(r.given_up) > 1, KINDS.index(r.kind), r.forgone, r.bought, r.moved)))
