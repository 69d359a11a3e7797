"""Nodes and VMs held as columns: sequences that make an object only when one is asked for."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar, overload

import attrs
import numpy as np
import numpy.typing as npt
from attrs import Factory, evolve, field, frozen

from vmplace.arrays import index_array, memory_array, name_flaws
from vmplace.errors import Flaw, InputError
from vmplace.labels import Labels, Numbered
from vmplace.model import VM, Node
from vmplace.units import short

__all__ = ["BoolArray", "IntArray", "NodeColumns", "VMColumns", "names_of"]

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_T = TypeVar("_T")


class _Columns(Sequence[_T]):
    """What makes columns equal to their things in a tuple, in all that a tuple is asked."""

    __slots__ = ()

    memory: IntArray
    names: Sequence[str]

    @abstractmethod
    def _made(self, part: slice) -> Iterator[_T]:
        """The objects of a part."""

    @abstractmethod
    def _comparable(self, other: Any) -> bool:
        """Whether columns of the same kind are equal just where each of their columns is."""

    def __len__(self) -> int:
        return len(self.memory)

    @overload
    def __getitem__(self, index: int) -> _T: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[_T]: ...
    def __getitem__(self, index: int | slice) -> _T | Sequence[_T]:
        if isinstance(index, slice):
            return list(self._made(index))
        start = range(len(self))[index]
        return next(self._made(slice(start, start + 1)))

    def __iter__(self) -> Iterator[_T]:
        return self._made(slice(None))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, type(self)) and self._comparable(other):
            keys = [key.name for key in attrs.fields(type(self))]  # type: ignore[arg-type]
            return all(_same_column(getattr(self, key), getattr(other, key)) for key in keys)
        return isinstance(other, Sequence) and _same_entries(self, other)

    def __hash__(self) -> int:
        return hash(tuple(self))  # as that of the things in a tuple, which are equal to it


# What a column holds unless it is given: the same for each, which takes no memory for each.
def _filled(value: np.generic) -> Any:
    return Factory(lambda self: np.broadcast_to(value, len(self.memory)), takes_self=True)


def _labelled(word: str) -> Any:
    return Factory(lambda self: Labels.alike(word, len(self.memory)), takes_self=True)


@frozen(eq=False)
class NodeColumns(_Columns[Node]):
    """Nodes without tags, domain, price and further resources.

    Parameters
    ----------
    memory, reserve
        In MiB, shape (n_nodes,).
    names, state, pool
        As long.
    """

    memory: IntArray
    names: Sequence[str]
    reserve: IntArray = field(default=_filled(np.int64(0)), repr=False)
    state: Labels = field(default=_labelled("online"), repr=False)
    pool: Labels = field(default=_labelled("default"), repr=False)

    @classmethod
    def of(cls, memory: npt.ArrayLike, names: Iterable[str] | None = None) -> "NodeColumns":
        """Columns from anything array-like; raises InputError for a bad entry."""
        column = memory_array("node_memory", memory)
        return cls(column, _named("node_names", names, len(column), "n"))

    @classmethod
    def holding(cls, nodes: Sequence[Node]) -> "NodeColumns":
        """What columns can hold of valid nodes."""
        if isinstance(nodes, NodeColumns):
            return nodes
        return cls(
            np.array([node.memory for node in nodes], dtype=np.int64),
            [node.name for node in nodes],
            np.array([node.reserve for node in nodes], dtype=np.int64),
            Labels.of([node.state for node in nodes]),
            Labels.of([node.pool for node in nodes]),
        )

    @property
    def usable(self) -> IntArray:
        """Memory for VMs in MiB, shape (n_nodes,)."""
        return self.memory - self.reserve

    def _made(self, part: slice) -> Iterator[Node]:
        columns = zip(
            self.names[part],
            self.memory[part].tolist(),
            self.reserve[part].tolist(),
            self.state[part],
            self.pool[part],
            strict=True,
        )
        return (Node(name, memory, reserve=reserve, state=state, pool=pool) for name, memory, reserve, state, pool in columns)

    def _comparable(self, other: "NodeColumns") -> bool:
        return True


@frozen(eq=False)
class VMColumns(_Columns[VM]):
    """VMs without target, tags and further resources, none of them evictable.

    Parameters
    ----------
    memory
        In MiB, shape (n_vms,).
    node
        Index into `node_names`, -1 for none, shape (n_vms,).
    running, movable, protected, priority
        Shape (n_vms,).
    names, pool
        As long.
    """

    memory: IntArray
    node: IntArray
    names: Sequence[str]
    node_names: Sequence[str] = field(repr=False)
    running: BoolArray = field(default=_filled(np.True_), repr=False)
    movable: BoolArray = field(default=_filled(np.True_), repr=False)
    protected: BoolArray = field(default=_filled(np.True_), repr=False)
    priority: IntArray = field(default=_filled(np.int64(0)), repr=False)
    pool: Labels = field(default=_labelled("default"), repr=False)

    @classmethod
    def of(
        cls, memory: npt.ArrayLike, node: npt.ArrayLike | None, names: Iterable[str] | None, node_names: Sequence[str]
    ) -> "VMColumns":
        """Columns from anything array-like; raises InputError for a bad entry."""
        column = memory_array("vm_memory", memory)
        where = np.broadcast_to(-1, len(column)) if node is None else index_array("vm_node", node, len(node_names))
        if len(where) != len(column):
            raise InputError([Flaw("vm_node", f"{len(where)} entries for {len(column)} VMs: give one for each")])
        return cls(column, where, _named("vm_names", names, len(column), "vm"), node_names)

    @classmethod
    def holding(cls, vms: Sequence[VM], node_names: Sequence[str]) -> "VMColumns":
        """What columns can hold of valid VMs, with indices into the nodes' names."""
        if isinstance(vms, VMColumns) and vms.node_names is node_names:
            return vms
        index: dict[str | None, int] = {name: i for i, name in enumerate(node_names)}
        if isinstance(vms, VMColumns):
            known = np.array([*(index.get(name, -1) for name in vms.node_names), -1], dtype=np.int64)
            return evolve(vms, node=known[vms.node], node_names=node_names)
        return cls(
            np.array([vm.memory for vm in vms], dtype=np.int64),
            np.array([index.get(vm.node, -1) for vm in vms], dtype=np.int64),
            [vm.name for vm in vms],
            node_names,
            np.array([vm.running for vm in vms], dtype=bool),
            np.array([vm.movable for vm in vms], dtype=bool),
            np.array([vm.protected for vm in vms], dtype=bool),
            np.array([vm.priority for vm in vms], dtype=np.int64),
            Labels.of([vm.pool for vm in vms]),
        )

    def _made(self, part: slice) -> Iterator[VM]:
        hosts = (None if node < 0 else self.node_names[node] for node in self.node[part].tolist())
        columns = zip(
            self.names[part],
            self.memory[part].tolist(),
            hosts,
            self.running[part].tolist(),
            self.movable[part].tolist(),
            self.protected[part].tolist(),
            self.priority[part].tolist(),
            self.pool[part],
            strict=True,
        )
        return (
            VM(name, memory, host, running=running, movable=movable, protected=protected, priority=priority, pool=pool)
            for name, memory, host, running, movable, protected, priority, pool in columns
        )

    def _comparable(self, other: "VMColumns") -> bool:
        return _same_entries(self.node_names, other.node_names)


def names_of(things: Sequence[Node] | Sequence[VM]) -> Sequence[str]:
    """The names of nodes or VMs; where they are columns, without making any of them."""
    return things.names if isinstance(things, NodeColumns | VMColumns) else [thing.name for thing in things]


def _same_column(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    return bool(one == other) if isinstance(one, Labels) else _same_entries(one, other)


def _same_entries(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return one is other or (len(one) == len(other) and all(a == b for a, b in zip(one, other, strict=True)))


def _named(place: str, names: Iterable[str] | None, count: int, prefix: str) -> Sequence[str]:
    if names is None:
        return Numbered(prefix, count)
    if isinstance(names, str):
        raise InputError([Flaw(place, f"{short(names)} is one name: give a list")])
    given = tuple(str.__str__(name) if isinstance(name, str) else name for name in names)
    flaws = list(name_flaws(given, lambda index: f"{place}[{index}]"))
    if len(given) != count:
        flaws.append(Flaw(place, f"{len(given)} names for {count} entries: give one for each"))
    if flaws:
        raise InputError(flaws)
    return given
