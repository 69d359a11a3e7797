"""Results of admission: frozen values, in the names of the cluster."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Any, overload

import numpy as np
from attrs import field, frozen

from vmplace.model.columns import IntArray
from vmplace.model.units import spell_memory
from vmplace.results.to_dict import ToDict
from vmplace.results.values import Migration, Status

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
    DOUBT = 8

    @classmethod
    def of(cls, worse: bool | None) -> "Rejection":
        """From whether some failure gets worse; None if that is unknown."""
        return cls.DOUBT if worse is None else cls.FAILURE if worse else cls.NOTHING

    @property
    def status(self) -> Status:
        """What it makes of a request."""
        return {Rejection.NOTHING: Status.ADMITTED, Rejection.DOUBT: Status.UNKNOWN}.get(self, Status.REFUSED)

    def sentence(self, node: str, free: int, failing: str) -> str:
        """What it is, of a node with so many MiB free; `failing`: what must not fail, if it is a failure."""
        has = f"{node} has {spell_memory(free)} free"
        return {
            Rejection.NOTHING: "",
            Rejection.POOL: f"{node} is in another pool",
            Rejection.STATE: f"{node} takes nothing new",
            Rejection.MEMORY: has,
            Rejection.HEADROOM: f"{has}, and headroom to keep",
            Rejection.RESOURCE: f"{node} has too little of a further resource",
            Rejection.RULE: f"a rule keeps it off {node}",
            Rejection.FAILURE: f"if {failing} failed, not every VM could restart as it can now",
            Rejection.DOUBT: "time ran out before it was known what failures would do",
        }[self]


@frozen
class Admission(ToDict):
    """Whether something may be done to a cluster without harm to its guarantee.

    Parameters
    ----------
    status
        ``admitted``: the guarantee holds afterwards, or is no worse than before; ``refused``; ``unknown``: time ran out.
    vm
        Name of the VM; of the first where several are asked for.
    node
        Where it goes; None unless admitted. Of several, where the first goes.
    placement
        VM to node, for all that was asked.
    score
        Of the node: see `Candidate`; None for several VMs, and where nothing was chosen.
    reason
        Why not, in a sentence with figures; empty if admitted as things stand.
    migrations
        What has to migrate first, if room had to be made.
    """

    status: Status
    vm: str
    node: str | None = None
    placement: Mapping[str, str] = field(factory=dict, hash=False)
    score: int | float | None = None
    reason: str = ""
    migrations: tuple[Migration, ...] = ()

    @property
    def admitted(self) -> bool:
        """Whether the status is ``admitted``."""
        return self.status is Status.ADMITTED


@frozen
class Candidate(ToDict):
    """A node with what speaks for and against a VM there.

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


@frozen(eq=False)
class Candidates(ToDict, Sequence[Candidate]):
    """All nodes in document order, each a `Candidate` made when it is asked for.

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
    failures
        What must not fail then: for nodes that a failure speaks against, an index that `failure` makes a name of,
        shape (n_nodes,).
    """

    _keys = "candidates:_all"

    names: Sequence[str]
    memory: int
    rejections: IntArray
    scores: Any
    penalties: IntArray
    free: IntArray
    failures: IntArray
    failure: Callable[[int], str] = field(repr=False)

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
        fits = rejection in (Rejection.NOTHING, Rejection.FAILURE, Rejection.DOUBT)
        score = self.scores[index].item() if fits else None
        return Candidate(self.names[index], rejection.status, score, int(self.penalties[index]), self._reason(index))

    def _reason(self, index: int) -> str:
        rejection = Rejection(int(self.rejections[index]))
        failing = self.failure(int(self.failures[index])) if rejection is Rejection.FAILURE else ""
        return rejection.sentence(self.names[index], int(self.free[index]), failing)

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
        if len(names) == len(self.names):
            return self
        index = {name: i for i, name in enumerate(self.names)}
        place = np.array([index.get(name, -1) for name in names], dtype=np.int64)

        def spread(column: Any, other: int) -> Any:
            return np.append(np.asarray(column), other)[place]

        return Candidates(
            names,
            self.memory,
            spread(self.rejections, int(Rejection.POOL)),
            spread(self.scores, 0),
            spread(self.penalties, 0),
            spread(self.free, 0),
            spread(self.failures, -1),
            self.failure,
        )

    def summary(self) -> str:
        """Why no node is admitted, in a sentence with figures."""
        counts = np.bincount(self.rejections, minlength=len(Rejection))
        size = spell_memory(self.memory)
        if number := int(counts[Rejection.DOUBT]):
            return f"time ran out before it was known whether one of {_nodes(number)} could take {size}"
        if number := int(counts[Rejection.FAILURE]):
            first = int(self._those(Rejection.FAILURE)[0])
            has, failing = "has" if number == 1 else "have", self.failure(int(self.failures[first]))
            worse = f"with {self.names[first]}, if {failing} failed"
            return f"{_nodes(number)} {has} {size} free, but there the guarantee would be worse than now: {worse}"
        for rejection, what in _SHORT.items():
            if counts[rejection]:
                among = self._those(rejection)
                most = among[self.free[among].argmax()]
                return f"no node has {what.format(size=size)}: {self._reason(int(most))}"
        return "no node of its pool takes anything new"

    def _those(self, rejection: Rejection) -> IntArray:
        """The nodes that something speaks against."""
        return np.flatnonzero(self.rejections == int(rejection))


_SHORT = {
    Rejection.RULE: "{size} free and no rule against it",
    Rejection.RESOURCE: "{size} free and enough of everything else",
    Rejection.HEADROOM: "{size} free beside its headroom",
    Rejection.MEMORY: "{size} free",
}


def _nodes(number: int) -> str:
    return f"{number} node" if number == 1 else f"{number} nodes"
