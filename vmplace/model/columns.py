"""Nodes and VMs held as columns: sequences that make an object only when one is asked for."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, overload

import attrs
import numpy as np
import numpy.typing as npt
from attrs import Factory, evolve, field, frozen

from vmplace.model.arrays import index_array, memory_array, name_flaws
from vmplace.model.entities import VM, Node
from vmplace.model.errors import Flaw, InputError
from vmplace.model.labels import Labels, Numbered
from vmplace.model.units import short

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


def _amounts(things: Sequence[Node] | Sequence[VM]) -> Mapping[str, IntArray]:
    """The further resources of some things: each thing's amount, 0 where it says nothing."""
    names = dict.fromkeys(name for thing in things if thing.resources for name in thing.resources)
    return {name: np.array([thing.resources.get(name, 0) for thing in things], dtype=np.int64) for name in names}


@frozen(eq=False)
class NodeColumns(_Columns[Node]):
    """Nodes without tags and price.

    Parameters
    ----------
    memory, reserve
        In MiB, shape (n_nodes,).
    names, state, pool, domain
        As long; a domain that is empty is none.
    resources
        Amounts of further resources, each of shape (n_nodes,).
    """

    memory: IntArray
    names: Sequence[str]
    reserve: IntArray = field(default=_filled(np.int64(0)), repr=False)
    state: Labels = field(default=_labelled("online"), repr=False)
    pool: Labels = field(default=_labelled("default"), repr=False)
    domain: Labels = field(default=_labelled(""), repr=False)
    resources: Mapping[str, IntArray] = field(factory=dict, repr=False)

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
            Labels.of([node.domain or "" for node in nodes]),
            _amounts(nodes),
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
            self.domain[part],
            _each(self.resources, part, len(self)),
            strict=True,
        )
        return (
            Node(name, memory, reserve=reserve, state=state, pool=pool, domain=domain or None, resources=resources)
            for name, memory, reserve, state, pool, domain, resources in columns
        )

    def _comparable(self, other: "NodeColumns") -> bool:
        return True


@frozen(eq=False)
class VMColumns(_Columns[VM]):
    """VMs without tags.

    Parameters
    ----------
    memory
        In MiB, shape (n_vms,).
    node, target
        Indices into `node_names`, -1 for none, shape (n_vms,).
    running, movable, protected, priority, evictable
        Shape (n_vms,).
    names, pool
        As long.
    resources
        Amounts of further resources, each of shape (n_vms,).
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
    evictable: BoolArray = field(default=_filled(np.False_), repr=False)
    target: IntArray = field(default=_filled(np.int64(-1)), repr=False)
    resources: Mapping[str, IntArray] = field(factory=dict, repr=False)

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
            return evolve(vms, node=known[vms.node], target=known[vms.target], node_names=node_names)
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
            np.array([vm.evictable for vm in vms], dtype=bool),
            np.array([index.get(vm.target, -1) for vm in vms], dtype=np.int64),
            _amounts(vms),
        )

    def rows(self, chosen: IntArray, names: Sequence[str]) -> "VMColumns":
        """Some of the VMs, or some of them again, under new names."""
        return VMColumns(
            self.memory[chosen],
            self.node[chosen],
            names,
            self.node_names,
            self.running[chosen],
            self.movable[chosen],
            self.protected[chosen],
            self.priority[chosen],
            self.pool.chosen(chosen),
            self.evictable[chosen],
            self.target[chosen],
            {name: amounts[chosen] for name, amounts in self.resources.items()},
        )

    def followed_by(self, vms: Sequence[VM]) -> "VMColumns":
        """These VMs and then others, whose names are not among them."""
        more = VMColumns.holding(vms, self.node_names)
        kinds = dict.fromkeys([*self.resources, *more.resources])
        both = {
            name: np.concatenate([held.resources.get(name, np.zeros(len(held), dtype=np.int64)) for held in (self, more)])
            for name in kinds
        }
        return VMColumns(
            np.concatenate([self.memory, more.memory]),
            np.concatenate([self.node, more.node]),
            [*self.names, *more.names],
            self.node_names,
            np.concatenate([self.running, more.running]),
            np.concatenate([self.movable, more.movable]),
            np.concatenate([self.protected, more.protected]),
            np.concatenate([self.priority, more.priority]),
            self.pool.followed_by(more.pool),
            np.concatenate([self.evictable, more.evictable]),
            np.concatenate([self.target, more.target]),
            both,
        )

    def _made(self, part: slice) -> Iterator[VM]:
        columns = zip(
            self.names[part],
            self.memory[part].tolist(),
            self._hosts(self.node[part]),
            self.running[part].tolist(),
            self.movable[part].tolist(),
            self.protected[part].tolist(),
            self.priority[part].tolist(),
            self.pool[part],
            self.evictable[part].tolist(),
            self._hosts(self.target[part]),
            _each(self.resources, part, len(self)),
            strict=True,
        )
        keys = ("running", "movable", "protected", "priority", "pool", "evictable", "target", "resources")
        return (VM(name, memory, host, **dict(zip(keys, rest, strict=True))) for name, memory, host, *rest in columns)

    def _hosts(self, nodes: IntArray) -> Iterator[str | None]:
        return (None if node < 0 else self.node_names[node] for node in nodes.tolist())

    def _comparable(self, other: "VMColumns") -> bool:
        return _same_entries(self.node_names, other.node_names)


def names_of(things: Sequence[Node] | Sequence[VM]) -> Sequence[str]:
    """The names of nodes or VMs; where they are columns, without making any of them."""
    return things.names if isinstance(things, NodeColumns | VMColumns) else [thing.name for thing in things]


def _each(resources: Mapping[str, IntArray], part: slice, count: int) -> Iterator[dict[str, int]]:
    """What each thing of a part has of each resource that it has any of."""
    columns = {name: amounts[part].tolist() for name, amounts in resources.items()}
    return (
        {name: amounts[index] for name, amounts in columns.items() if amounts[index]} for index in range(len(range(count)[part]))
    )


def _same_column(one: Any, other: Any) -> bool:
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(np.array_equal(one[key], other[key]) for key in one)
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
