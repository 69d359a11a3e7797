"""Nodes and VMs as columns: the one form in which a cluster holds them; an object is made when one is asked for."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar, TypeVar, overload

import attrs
import numpy as np
import numpy.typing as npt
from attrs import Factory, evolve, field, frozen

from vmplace.model.arrays import checked_names, index_array, memory_array, reserve_array
from vmplace.model.entities import VM, Node
from vmplace.model.errors import Flaw, InputError
from vmplace.model.kinds import each
from vmplace.model.labels import Labels, constant
from vmplace.model.units import short

__all__ = ["BoolArray", "IntArray", "NodeColumns", "VMColumns"]

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_T = TypeVar("_T", Node, VM)
_C = TypeVar("_C", bound="_Columns[Any]")

_SHOWN = 100
"""The longest columns that are shown entry by entry."""


class _Columns(Sequence[_T]):
    """Nodes or VMs as columns, one for each of their fields; equal to the objects in a tuple, in all that a tuple is asked."""

    __slots__ = ()

    kind: ClassVar[type[Any]]
    memory: IntArray
    names: Sequence[str]
    tags: Labels[frozenset[str]]
    resources: Labels[Mapping[str, int]]

    def __len__(self) -> int:
        return len(self.memory)

    @overload
    def __getitem__(self, index: int) -> _T: ...
    @overload
    def __getitem__(self: _C, index: slice) -> _C: ...
    def __getitem__(self: Any, index: int | slice) -> Any:
        if isinstance(index, slice):
            return self.rows(np.arange(*index.indices(len(self))))
        start = range(len(self))[index]
        return next(self._objects(slice(start, start + 1)))

    def __iter__(self) -> Iterator[_T]:
        return self._objects(slice(None))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, type(self)) and self._comparable(other):
            keys = [key.name for key in attrs.fields(type(self))]  # type: ignore[arg-type]
            return all(_same_column(getattr(self, key), getattr(other, key)) for key in keys)
        return isinstance(other, Sequence) and _same_entries(self, other)

    def __hash__(self) -> int:
        return hash(tuple(self))  # as that of the objects in a tuple, which are equal to it

    def __repr__(self) -> str:
        if len(self) <= _SHOWN:
            return repr(tuple(self))
        return f"<{len(self)} {self.kind.__name__}s, {short(self.names[0])} to {short(self.names[-1])}>"

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        """What IPython and hypothesis show."""
        printer.text(repr(self))

    def amounts(self) -> Mapping[str, IntArray]:
        """Each further resource that is named, with the amount of each entry, shape (n_entries,)."""
        words, code = self.resources.words, self.resources.code
        names = dict.fromkeys(name for word in words for name in word)
        return {name: np.array([word.get(name, 0) for word in words], dtype=np.int64)[code] for name in names}

    def tagged(self, tag: str) -> IntArray:
        """Indices of the entries that bear a tag."""
        return np.flatnonzero(np.array([tag in tags for tags in self.tags.words], dtype=bool)[self.tags.code])

    def rows(self: _C, chosen: IntArray, names: Sequence[str] | None = None) -> _C:
        """Some of the entries, or some of them again, under new names where these are given."""
        parts = {key: _rows(getattr(self, key), chosen) for key in _keys(type(self)) if key != "names"}
        return evolve(self, **parts, names=_rows(self.names, chosen) if names is None else names)  # type: ignore[misc]

    def unlike(self: _C, other: _C, *, but: str = "") -> BoolArray:
        """Which entries differ from those of other columns, one by one, in a field other than that named, shape (n_entries,)."""
        differ = np.zeros(len(self), dtype=bool)
        for key in _keys(type(self)):
            one, more = getattr(self, key), getattr(other, key)
            if key == but or one is more:
                continue
            if isinstance(one, Labels):
                differ |= one.unlike(more)
            elif isinstance(one, np.ndarray):
                differ |= one != more
            else:
                differ |= np.fromiter((a != b for a, b in zip(one, more, strict=True)), bool, len(self))
        return differ

    def _followed_by(self: _C, other: _C) -> _C:
        return evolve(self, **{key: _joined(getattr(self, key), getattr(other, key)) for key in _keys(type(self))})  # type: ignore[misc]

    def _comparable(self, other: Any) -> bool:
        """Whether columns of the same kind are equal just where each of their columns is."""
        return True

    def _objects(self, part: slice) -> Iterator[_T]:
        # The columns have been checked, so that the slots are filled without another look at each value.
        keys = [key.name for key in attrs.fields(self.kind)]
        slots = [getattr(self.kind, key).__set__ for key in keys]
        for values in zip(*(self.values(key, part) for key in keys), strict=True):
            made = object.__new__(self.kind)
            for fill, value in zip(slots, values, strict=True):
                fill(made, value)
            yield made

    def values(self, key: str, part: slice = slice(None)) -> Iterable[Any]:
        """What a field of the objects is, or of some of them."""
        column = self.names if key == "name" else getattr(self, key)
        values = column if part == slice(None) else column[part]  # names that are numbered come one by one
        if isinstance(values, np.ndarray):
            return values.tolist()  # type: ignore[no-any-return]
        return map(dict, values) if key in ("resources", "max_vm", "meta") else values


# What a column holds unless it is given: the same for each, which takes no memory for each.
def _filled(value: np.generic) -> Any:
    return Factory(lambda self: constant(value, len(self.memory)), takes_self=True)


def _labelled(word: object) -> Any:
    return Factory(lambda self: Labels.alike(word, len(self.memory)), takes_self=True)


@frozen(eq=False, repr=False)
class NodeColumns(_Columns[Node]):
    """Nodes.

    Parameters
    ----------
    memory, reserve
        In MiB, shape (n_nodes,).
    names, state, pool, domain, tags, price, resources, headroom, max_vm, meta
        As long; a domain that is empty is none.
    """

    kind = Node

    memory: IntArray
    names: Sequence[str]
    reserve: IntArray = field(default=_filled(np.int64(0)))
    state: Labels[str] = field(default=_labelled("online"))
    pool: Labels[str] = field(default=_labelled("default"))
    domain: Labels[str] = field(default=_labelled(""))
    tags: Labels[frozenset[str]] = field(default=_labelled(frozenset()))
    price: Labels[Fraction] = field(default=_labelled(Fraction(1)))
    resources: Labels[Mapping[str, int]] = field(default=_labelled({}))
    headroom: Labels[Fraction | int | None] = field(default=_labelled(None))
    max_vm: Labels[Mapping[str, int]] = field(default=_labelled({}))
    meta: Labels[Mapping[str, Any]] = field(default=_labelled({}))

    @classmethod
    def of(cls, memory: npt.ArrayLike, names: Iterable[str] | None = None) -> "NodeColumns":
        """Columns from anything array-like; raises InputError for a bad entry."""
        column = memory_array("node_memory", memory)
        return cls(column, checked_names("node_names", names, len(column), "n"))

    @classmethod
    def holding(cls, nodes: Iterable[Node]) -> "NodeColumns":
        """The columns of valid nodes, whose names may still be taken; raises InputError for anything that is not a node."""
        if isinstance(nodes, cls):
            return nodes
        held = _NODES(nodes)
        return cls(
            memory=_array([node.memory for node in held], np.int64),
            names=[node.name for node in held],
            reserve=_array([node.reserve for node in held], np.int64),
            state=Labels.of([node.state for node in held]),
            pool=Labels.of([node.pool for node in held]),
            domain=Labels.of([node.domain or "" for node in held]),
            tags=Labels.of([node.tags for node in held]),
            price=Labels.of([node.price for node in held]),
            resources=Labels.of([node.resources for node in held]),
            headroom=Labels.of([node.headroom for node in held]),
            max_vm=Labels.of([node.max_vm for node in held]),
            meta=Labels.of([node.meta for node in held]),
        )

    @property
    def usable(self) -> IntArray:
        """Memory for VMs in MiB, shape (n_nodes,)."""
        return self.memory - self.reserve

    @cached_property
    def index_of(self) -> Mapping[str, int]:
        """The place of each name."""
        return {name: place for place, name in enumerate(self.names)}

    def followed_by(self, nodes: Iterable[Node]) -> "NodeColumns":
        """These nodes and then others."""
        return self._followed_by(NodeColumns.holding(nodes))

    def in_state(self, state: str, chosen: BoolArray) -> "NodeColumns":
        """The nodes, some of them in another state."""
        states = [state if other else now for now, other in zip(self.state, chosen.tolist(), strict=True)]
        return evolve(self, state=Labels.of(states))

    def values(self, key: str, part: slice = slice(None)) -> Iterable[Any]:
        values = super().values(key, part)
        return (domain or None for domain in values) if key == "domain" else values


@frozen(eq=False, repr=False)
class VMColumns(_Columns[VM]):
    """VMs.

    Parameters
    ----------
    memory
        In MiB, shape (n_vms,).
    node, target
        Indices into `node_names`, -1 for none, shape (n_vms,).
    running, movable, cold, protected, priority, evictable
        Shape (n_vms,); `movable` is live migration, and what moves by being stopped and started is `cold`.
    overhead, used
        In MiB, shape (n_vms,); -1 where what the guest uses is unknown.
    names, pool, tags, resources, home, meta
        Length n_vms. An empty home means that the VM has none; a home need not be the name of a node.
    """

    kind = VM

    memory: IntArray
    node: IntArray
    names: Sequence[str]
    node_names: Sequence[str]
    running: BoolArray = field(default=_filled(np.True_))
    movable: BoolArray = field(default=_filled(np.True_))
    cold: BoolArray = field(default=_filled(np.False_))
    protected: BoolArray = field(default=_filled(np.True_))
    priority: IntArray = field(default=_filled(np.int64(0)))
    pool: Labels[str] = field(default=_labelled("default"))
    evictable: BoolArray = field(default=_filled(np.False_))
    target: IntArray = field(default=_filled(np.int64(-1)))
    tags: Labels[frozenset[str]] = field(default=_labelled(frozenset()))
    resources: Labels[Mapping[str, int]] = field(default=_labelled({}))
    overhead: IntArray = field(default=_filled(np.int64(0)))
    home: Labels[str] = field(default=_labelled(""))
    used: IntArray = field(default=_filled(np.int64(-1)))
    meta: Labels[Mapping[str, Any]] = field(default=_labelled({}))

    @classmethod
    def of(
        cls,
        memory: npt.ArrayLike,
        node: npt.ArrayLike | None,
        names: Iterable[str] | None,
        node_names: Sequence[str],
        overhead: npt.ArrayLike | None = None,
    ) -> "VMColumns":
        """Columns from anything array-like; raises InputError for a bad entry."""
        column = memory_array("vm_memory", memory)
        where = constant(np.int64(-1), len(column)) if node is None else index_array("vm_node", node, len(node_names))
        beside = constant(np.int64(0), len(column)) if overhead is None else reserve_array("vm_overhead", overhead)
        flaws = [
            Flaw(place, f"{len(given)} entries for {len(column)} VMs: give one for each", "length")
            for place, given in (("vm_node", where), ("vm_overhead", beside))
            if len(given) != len(column)
        ]
        if flaws:
            raise InputError(flaws)
        return cls(column, where, checked_names("vm_names", names, len(column), "vm"), node_names, overhead=beside)

    @classmethod
    def holding(cls, vms: Iterable[VM]) -> "VMColumns":
        """The columns of valid VMs, whose names may still be taken; raises InputError for anything that is not a VM."""
        if isinstance(vms, cls):
            return vms
        held = _VMS(vms)
        nodes, targets = [vm.node for vm in held], [vm.target for vm in held]
        named = dict.fromkeys([*nodes, *targets] if any(targets) else nodes)
        named.pop(None, None)
        index: dict[str | None, int] = {name: i for i, name in enumerate(named)} | {None: -1}
        return cls(
            memory=_array([vm.memory for vm in held], np.int64),
            node=_array(list(map(index.__getitem__, nodes)), np.int64),
            names=[vm.name for vm in held],
            node_names=tuple(filter(None, named)),
            running=_array([vm.running for vm in held], np.bool_),
            movable=_array([vm.movable is True for vm in held], np.bool_),
            cold=_array([vm.movable == "cold" for vm in held], np.bool_),
            protected=_array([vm.protected for vm in held], np.bool_),
            priority=_array([vm.priority for vm in held], np.int64),
            pool=Labels.of([vm.pool for vm in held]),
            evictable=_array([vm.evictable for vm in held], np.bool_),
            target=_array(list(map(index.__getitem__, targets)), np.int64),
            tags=Labels.of([vm.tags for vm in held]),
            resources=Labels.of([vm.resources for vm in held]),
            overhead=_array([vm.overhead for vm in held], np.int64),
            home=Labels.of([vm.home or "" for vm in held]),
            used=_array([-1 if vm.used is None else vm.used for vm in held], np.int64),
            meta=Labels.of([vm.meta for vm in held]),
        )

    @property
    def charged(self) -> IntArray:
        """What each takes on a node: its memory and the overhead, in MiB, shape (n_vms,)."""
        if self.overhead.strides == (0,) and not self.overhead[:1].any():
            return self.memory
        return self.memory + self.overhead

    @cached_property
    def index_of(self) -> Mapping[str, int]:
        """The place of each name."""
        return {name: place for place, name in enumerate(self.names)}

    def on(self, node_names: Sequence[str]) -> "VMColumns":
        """The VMs with indices into other nodes' names; those whose node is not among these have none."""
        if self.node_names is node_names:
            return self
        index = {name: i for i, name in enumerate(node_names)}
        known = np.array([*(index.get(name, -1) for name in self.node_names), -1], dtype=np.int64)
        target = known[self.target] if len(self) and self.target.max() >= 0 else self.target
        return evolve(self, node=known[self.node], target=target, node_names=node_names)

    def followed_by(self, vms: Iterable[VM]) -> "VMColumns":
        """These VMs and then others."""
        more = VMColumns.holding(vms)
        named = dict.fromkeys(self.node_names)
        further = [name for name in more.node_names if name not in named]
        names = (*self.node_names, *further) if further else self.node_names
        return evolve(self._followed_by(more.on(names)), node_names=names)

    def values(self, key: str, part: slice = slice(None)) -> Iterable[Any]:
        if key in ("node", "target"):
            return (None if node < 0 else self.node_names[node] for node in getattr(self, key)[part].tolist())
        if key == "movable" and self.cold.any():
            return np.where(self.cold[part], "cold", self.movable[part].astype(object)).tolist()  # type: ignore[no-any-return]
        values = super().values(key, part)
        if key == "used":
            return (None if used < 0 else used for used in values)
        return (home or None for home in values) if key == "home" else values

    def _comparable(self, other: "VMColumns") -> bool:
        return _same_entries(self.node_names, other.node_names)


def _keys(kind: type[Any]) -> list[str]:
    """The columns that have one entry for each object."""
    return [key.name for key in attrs.fields(kind) if key.name != "node_names"]


_NODES, _VMS = each(Node, "Node"), each(VM, "VM")


def _array(values: list[Any], dtype: type) -> npt.NDArray[Any]:
    alike = bool(values) and values.count(values[0]) == len(values)
    return constant(dtype(values[0]), len(values)) if alike else np.array(values, dtype=dtype)


def _rows(column: Any, chosen: IntArray) -> Any:
    if isinstance(column, Labels):
        return column.chosen(chosen)
    return column[chosen] if isinstance(column, np.ndarray) else [column[index] for index in chosen.tolist()]


def _joined(one: Any, other: Any) -> Any:
    if isinstance(one, Labels):
        return one.followed_by(other)
    return np.concatenate([one, other]) if isinstance(one, np.ndarray) else [*one, *other]


def _same_column(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    return bool(one == other) if isinstance(one, Labels) else _same_entries(one, other)


def _same_entries(one: Sequence[Any], other: Sequence[Any]) -> bool:
    return one is other or (len(one) == len(other) and all(a == b for a, b in zip(one, other, strict=True)))
