"""Results of admission: frozen values, in the names of the cluster."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Any, overload

import numpy as np
from attrs import field, frozen

from vmplace.model.columns import BoolArray, IntArray
from vmplace.model.text import counted
from vmplace.model.units import spell_memory
from vmplace.results.result import Result
from vmplace.results.to_dict import ToDict
from vmplace.results.values import MigrationTable, Status

__all__ = ["Admission", "Candidate", "Candidates", "Rejection"]


class Rejection(IntEnum):
    """What speaks against a node."""

    NOTHING = 0
    POOL = 1
    STATE = 2
    MEMORY = 3
    HEADROOM = 4
    RESOURCE = 5
    RULE = 6
    FAILURE = 7
    WORSE = 8
    SIZE = 9
    DOUBT = 10

    @classmethod
    def of(cls, worse: bool | None, *, survived: bool) -> "Rejection":
        """From whether a failure gets worse (None if that is unknown) that is `survived` now, or is not."""
        harm = cls.FAILURE if survived else cls.WORSE
        return cls.DOUBT if worse is None else harm if worse else cls.NOTHING

    @property
    def status(self) -> Status:
        """What it makes of a request."""
        return {Rejection.NOTHING: Status.ADMITTED, Rejection.DOUBT: Status.UNKNOWN}.get(self, Status.REFUSED)

    def sentence(self, node: str, free: int, cause: str) -> str:
        """What it is, of a node with so many MiB free; `cause`: the resource, the rule or the failure, if it is one of these."""
        has = f"{node} has {spell_memory(free)} free"
        return {
            Rejection.NOTHING: "",
            Rejection.POOL: f"{node} is in another pool",
            Rejection.STATE: f"{node} is not online: it takes no new VM",
            Rejection.MEMORY: has,
            Rejection.HEADROOM: f"{has}, and its headroom must stay free",
            Rejection.RESOURCE: f"{node} has too little {cause}",
            Rejection.RULE: f"{node} is excluded by {cause}",
            Rejection.SIZE: f"{node} takes no VM of that size: max_vm",
            Rejection.FAILURE: f"a failure of {cause} is survived now, and would not be with this VM here",
            Rejection.WORSE: f"a failure of {cause} would leave more VMs without a restart than now",
            Rejection.DOUBT: "time ran out before it was known whether every failure could still be survived",
        }[self]


@frozen(eq=False, repr=False)
class Admission(Result):
    """Whether something may be done to a cluster without harm to its guarantee.

    Parameters
    ----------
    status
        ``admitted``: the guarantee holds afterwards, or is no worse than before; ``refused``; ``unknown``: time ran out.
    vm
        Name of the VM; of several, of the first.
    node
        Its node; None unless admitted. Of several VMs, the node of the first.
    placement
        VM to node, for all VMs asked about.
    score
        Of the node: see `Candidate`; None for several VMs, and where nothing was chosen.
    reason
        Why it is not admitted, or not without migrations, in a sentence with figures; else empty.
    migrations
        The migrations that must come first, if room had to be made.
    warnings
        Names in rules, homes and guarantees that the cluster lacks; only `admit` reports them.
    """

    status: Status
    vm: str
    node: str | None = None
    placement: Mapping[str, str] = field(factory=dict, hash=False)
    score: int | float | None = None
    reason: str = ""
    migrations: MigrationTable = field(factory=MigrationTable, converter=MigrationTable)
    warnings: tuple[str, ...] = ()

    @property
    def admitted(self) -> bool:
        """Whether the status is ``admitted``."""
        return self.status is Status.ADMITTED

    @property
    def safe(self) -> bool:
        """Whether it is admitted: the guarantee is kept, or no worse than before."""
        return self.admitted

    def summary(self) -> str:
        """The answer in a line."""
        where = ", ".join(f"{vm} on {node}" for vm, node in self.placement.items())
        return f"{self.status}: {where if self.admitted else self.reason}"


@frozen
class Candidate(ToDict):
    """A node, whether the VM may start there, and why not.

    Parameters
    ----------
    status
        ``admitted``, ``refused`` or ``unknown``.
    score
        Less is better: with ``tightest`` the MiB that would stay free there, with ``balance`` the share of its usable memory
        that would be in use; None where the VM does not fit.
    penalty
        The weight of the soft rules that would be broken there: it counts before the score.
    reason
        Why not, in a sentence with figures.
    """

    node: str
    status: Status
    score: int | float | None
    penalty: int = 0
    reason: str = ""


@frozen(eq=False, repr=False)
class Candidates(Result, Sequence[Candidate]):
    """Nodes in columns, in document order or as they were asked about; each is made a `Candidate` when it is asked for.

    Parameters
    ----------
    names
        Of the nodes.
    memory
        What the VM asks for, in MiB.
    rejections
        A `Rejection` per node, shape (n_nodes,).
    scores, penalties
        As in `Candidate`, shape (n_nodes,).
    free
        Free memory of each node, in MiB, shape (n_nodes,).
    causes
        The resource, rule, limit on size or failure that speaks against a node: an index that `cause` makes a name of, -1 where
        it is none of these; shape (n_nodes,).
    guarantees
        Of several guarantees, the index of the one that speaks against a node, -1 where none does, shape (n_nodes,); else None.
    """

    _keys = "candidates:_all"

    names: Sequence[str]
    memory: int
    rejections: IntArray
    scores: Any
    penalties: IntArray
    free: IntArray
    causes: IntArray
    cause: Callable[[int], str] = field(repr=False)
    guarantees: IntArray | None = None

    @property
    def admitted(self) -> BoolArray:
        """The nodes that the VM may start on, shape (n_nodes,)."""
        return np.asarray(self.rejections == int(Rejection.NOTHING))

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, index: int) -> Candidate: ...
    @overload
    def __getitem__(self, index: slice) -> list[Candidate]: ...
    def __getitem__(self, index: int | slice) -> Candidate | list[Candidate]:
        if isinstance(index, slice):
            return [self._made(i) for i in range(len(self))[index]]
        return self._made(range(len(self))[index])

    def __iter__(self) -> Iterator[Candidate]:
        return (self._made(i) for i in range(len(self)))

    def _made(self, index: int) -> Candidate:
        rejection = Rejection(int(self.rejections[index]))
        fits = rejection is Rejection.NOTHING or rejection >= Rejection.FAILURE
        score = self.scores[index].item() if fits else None
        return Candidate(self.names[index], rejection.status, score, int(self.penalties[index]), self.reason(index))

    def reason(self, index: int) -> str:
        """What speaks against a node, in a sentence."""
        asked = self._guarantee(index)
        return f"{asked}: {self._sentence(index)}" if asked else self._sentence(index)

    def _sentence(self, index: int) -> str:
        return Rejection(int(self.rejections[index])).sentence(self.names[index], int(self.free[index]), self._cause(index))

    def _guarantee(self, index: int) -> str:
        """Which of several guarantees speaks against a node."""
        return "" if self.guarantees is None or self.guarantees[index] < 0 else f"guarantee {self.guarantees[index] + 1}"

    def _cause(self, index: int) -> str:
        cause = int(self.causes[index])
        return self.cause(cause) if cause >= 0 else ""

    @property
    def status(self) -> Status:
        """``admitted`` if some node is, ``unknown`` if one may be, else ``refused``."""
        known = (h.status for h in (Rejection.NOTHING, Rejection.DOUBT) if np.any(self.rejections == int(h)))
        return next(known, Status.REFUSED)

    @property
    def _all(self) -> list[Candidate]:
        return list(self)

    def among(self, names: Sequence[str]) -> "Candidates":
        """The same as part of all nodes: those that are not in it are in another pool."""
        if list(names) == list(self.names):
            return self
        place = self.places(names)

        def spread(column: Any, other: int) -> Any:
            return np.append(np.asarray(column), other)[place]

        return Candidates(
            names,
            self.memory,
            spread(self.rejections, int(Rejection.POOL)),
            spread(self.scores, 0),
            spread(self.penalties, 0),
            spread(self.free, 0),
            spread(self.causes, -1),
            self.cause,
            None if self.guarantees is None else spread(self.guarantees, -1),
        )

    def places(self, names: Sequence[str]) -> IntArray:
        """The index of each of some nodes, -1 where it is not there, shape (len(names),)."""
        index = {name: i for i, name in enumerate(self.names)}
        return np.array([index.get(name, -1) for name in names], dtype=np.int64)

    def refusal(self) -> str:
        """Why no node is admitted, in a sentence with figures."""
        counts = np.bincount(self.rejections, minlength=len(Rejection))
        size = spell_memory(self.memory)
        if number := int(counts[Rejection.DOUBT]):
            return f"time ran out before it was known whether one of {_nodes(number)} could take {size}"
        harmed = [*self._those(Rejection.FAILURE).tolist(), *self._those(Rejection.WORSE).tolist()]
        if harmed:
            return self._harm(harmed, size)
        for rejection, what in _SHORT.items():
            if counts[rejection]:
                among = self._those(rejection)
                if rejection is Rejection.SIZE and len(among) == len(self.names):
                    return self.cause(int(self.causes[among[0]]))
                most = among[self.free[among].argmax()]
                asked = self._guarantee(int(most))
                return f"{asked and f'{asked}: '}no node has {what.format(size=size)}: {self._sentence(int(most))}"
        return "no node of its pool is online"

    def _harm(self, nodes: Sequence[int], size: str) -> str:
        """What the VM would do on nodes where failures speak against it."""
        first, each = nodes[0], {self._guarantee(node) for node in nodes}
        broken = self.rejections[first] == int(Rejection.FAILURE)
        verb, harm = ("break", "not be survived") if broken else ("weaken", "leave more VMs without a restart than now")
        failing = f"a failure of {self._cause(first)} could {harm}"
        if len(each) > 1:
            broken_one, failing = "a guarantee", f"{failing} ({self._guarantee(first)})"
        else:
            broken_one = self._guarantee(first) or "the guarantee"
        if len(nodes) == 1:
            return f"1 node has {size} free, but the VM would {verb} {broken_one} there: {failing}"
        where = f"on each; on {self.names[first]}, for example, {failing}"
        return f"{_nodes(len(nodes))} have {size} free, but the VM would {verb} {broken_one} {where}"

    def _those(self, rejection: Rejection) -> IntArray:
        """The nodes that something speaks against."""
        return np.flatnonzero(self.rejections == int(rejection))

    @property
    def safe(self) -> bool:
        """Whether the VM is admitted on any node."""
        return bool(self.admitted.any())

    def summary(self) -> str:
        """The answer in a line."""
        return f"{np.count_nonzero(self.admitted)} of {counted(len(self), 'node')} may take {spell_memory(self.memory)}"


@frozen
class TicketConflict:
    """What an inventory says against a ticket.

    Parameters
    ----------
    ticket
        Its id.
    vm
        Name of a VM that it holds room for.
    reason
        What speaks against it, in a sentence.
    held
        Whether the room is held all the same.
    """

    ticket: str
    vm: str
    reason: str
    held: bool


@frozen(eq=False, repr=False)
class Synced(Result):
    """What a new inventory has changed.

    Parameters
    ----------
    added, removed, changed
        Names of VMs: those that are new, those that are gone, and those that are elsewhere or otherwise than before.
    nodes_added, nodes_removed, nodes_changed
        Names of nodes.
    settings
        Whether rules, guarantees or other settings of the cluster differ.
    conflicts
        The tickets that the inventory contradicts.
    """

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    nodes_added: tuple[str, ...] = ()
    nodes_removed: tuple[str, ...] = ()
    nodes_changed: tuple[str, ...] = ()
    settings: bool = False
    conflicts: tuple[TicketConflict, ...] = field(default=(), kw_only=True)

    @property
    def safe(self) -> bool:
        """Whether the inventory contradicts no ticket; whether the guarantee holds, `Admitter.verdicts` tells."""
        return not self.conflicts

    def summary(self) -> str:
        """What has changed, in a line."""
        of_vms = ((self.added, "new"), (self.removed, "gone"), (self.changed, "changed"))
        of_nodes = ((self.nodes_added, "new"), (self.nodes_removed, "gone"), (self.nodes_changed, "changed"))
        told = [f"{counted(len(names), 'VM')} {what}" for names, what in of_vms if names]
        told += [f"{counted(len(names), 'node')} {what}" for names, what in of_nodes if names]
        told += ["settings changed"] if self.settings else []
        told += [f"{counted(len(self.conflicts), 'conflict')} with tickets"] if self.conflicts else []
        return ", ".join(told) or "nothing has changed"


_SHORT = {
    Rejection.SIZE: "{size} free and takes a VM of that size",
    Rejection.RULE: "{size} free where the rules allow the VM",
    Rejection.RESOURCE: "{size} free and enough of everything else",
    Rejection.HEADROOM: "{size} free beside its headroom",
    Rejection.MEMORY: "{size} free",
}


def _nodes(number: int) -> str:
    return f"{number} node" if number == 1 else f"{number} nodes"
