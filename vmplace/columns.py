"""Nodes and VMs held as columns: sequences that make an object only when one is asked for."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from vmplace.errors import Flaw, InputError
from vmplace.fields import parse_name
from vmplace.model import VM, Node
from vmplace.units import MAX_MEMORY, short

__all__ = ["IntArray", "NodeColumns", "Numbered", "VMColumns"]

IntArray = npt.NDArray[np.int64]


@frozen
class Numbered(Sequence[str]):
    """The names ``prefix0, prefix1, ...``, made when asked for."""

    prefix: str
    size: int

    def __len__(self) -> int:
        return self.size

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [f"{self.prefix}{i}" for i in range(self.size)[index]]
        return f"{self.prefix}{range(self.size)[index]}"

    def __iter__(self) -> Iterator[str]:
        return (f"{self.prefix}{i}" for i in range(self.size))


@frozen(eq=False)
class NodeColumns(Sequence[Node]):
    """Online nodes with usable memory in MiB, shape (n_nodes,)."""

    memory: IntArray
    names: Sequence[str]

    @classmethod
    def of(cls, memory: npt.ArrayLike, names: Sequence[str] | None = None) -> "NodeColumns":
        """Columns from anything array-like; raises InputError for a bad entry."""
        column = _memory_column("node_memory", memory)
        return cls(column, _name_column("node_names", names, len(column), "n"))

    def __len__(self) -> int:
        return len(self.memory)

    @overload
    def __getitem__(self, index: int) -> Node: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Node]: ...
    def __getitem__(self, index: int | slice) -> Node | Sequence[Node]:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        return Node(self.names[index], int(self.memory[index]))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, NodeColumns):
            return np.array_equal(self.memory, other.memory) and _same_names(self.names, other.names)
        return _same_entries(self, other)

    def __hash__(self) -> int:
        return hash(tuple(self))  # as that of the nodes in a tuple, which are equal to it


@frozen(eq=False)
class VMColumns(Sequence[VM]):
    """Running (or waiting) VMs: memory in MiB and node index (-1 for none), each of shape (n_vms,)."""

    memory: IntArray
    node: IntArray
    names: Sequence[str]
    node_names: Sequence[str] = field(repr=False)

    @classmethod
    def of(
        cls, memory: npt.ArrayLike, node: npt.ArrayLike | None, names: Sequence[str] | None, node_names: Sequence[str]
    ) -> "VMColumns":
        """Columns from anything array-like; raises InputError for a bad entry."""
        column = _memory_column("vm_memory", memory)
        where = np.full(len(column), -1, dtype=np.int64) if node is None else _whole_column("vm_node", node)
        if len(where) != len(column):
            raise InputError([Flaw("vm_node", f"{len(where)} entries for {len(column)} VMs: give one for each")])
        _refuse("vm_node", where, (where < -1) | (where >= len(node_names)), f"no node: write -1, or 0 to {len(node_names) - 1}")
        return cls(column, where, _name_column("vm_names", names, len(column), "vm"), node_names)

    def __len__(self) -> int:
        return len(self.memory)

    @overload
    def __getitem__(self, index: int) -> VM: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[VM]: ...
    def __getitem__(self, index: int | slice) -> VM | Sequence[VM]:
        if isinstance(index, slice):
            return [self[i] for i in range(len(self))[index]]
        node = int(self.node[index])
        return VM(self.names[index], int(self.memory[index]), None if node < 0 else self.node_names[node])

    def __eq__(self, other: object) -> bool:
        if isinstance(other, VMColumns) and _same_names(self.node_names, other.node_names):
            same = np.array_equal(self.memory, other.memory) and np.array_equal(self.node, other.node)
            return same and _same_names(self.names, other.names)
        return _same_entries(self, other)

    def __hash__(self) -> int:
        return hash(tuple(self))  # as that of the VMs in a tuple, which are equal to it


def _same_names(one: Sequence[str], other: Sequence[str]) -> bool:
    return one is other or (len(one) == len(other) and all(a == b for a, b in zip(one, other, strict=True)))


def _same_entries(one: Sequence[Any], other: object) -> bool:
    return isinstance(other, Sequence) and len(one) == len(other) and all(a == b for a, b in zip(one, other, strict=True))


def _whole_column(place: str, values: npt.ArrayLike) -> IntArray:
    try:
        column = np.asarray(values)
    except (ValueError, OverflowError) as error:
        raise InputError([Flaw(place, f"is no column of numbers: {error}")]) from None
    if column.ndim != 1:
        raise InputError([Flaw(place, f"has {column.ndim} dimensions: give one")])
    if column.size and column.dtype.kind not in "iu":
        raise InputError([Flaw(place, f"holds {column.dtype}: give whole numbers")])
    _refuse(place, column, column > np.iinfo(np.int64).max, "too large")
    frozen_column: IntArray = column.astype(np.int64)
    frozen_column.setflags(write=False)
    return frozen_column


def _memory_column(place: str, values: npt.ArrayLike) -> IntArray:
    column = _whole_column(place, values)
    _refuse(place, column, (column <= 0) | (column > MAX_MEMORY), f"not within 1 to {MAX_MEMORY} MiB")
    return column


def _name_column(place: str, names: Iterable[str] | None, count: int, prefix: str) -> Sequence[str]:
    if names is None:
        return Numbered(prefix, count)
    if isinstance(names, str):
        raise InputError([Flaw(place, f"{short(names)} is one name: give a list")])
    first: dict[str, int] = {}
    flaws = [flaw for index, name in enumerate(names) if (flaw := _name_flaw(place, index, name, first)) is not None]
    if len(first) + len(flaws) != count:
        flaws.append(Flaw(place, f"{len(first) + len(flaws)} names for {count} entries: give one for each"))
    if flaws:
        raise InputError(flaws)
    return tuple(first)


def _name_flaw(place: str, index: int, name: object, first: dict[str, int]) -> Flaw | None:
    try:
        taken = first.setdefault(parse_name(name), index)
    except ValueError as error:
        return Flaw(f"{place}[{index}]", str(error))
    if taken == index:
        return None
    return Flaw(f"{place}[{index}]", f"{short(name)} is taken by {place}[{taken}]: give each its own name")


def _refuse(place: str, column: npt.NDArray[Any], bad: npt.NDArray[np.bool_], message: str) -> None:
    if bad.any():
        index = int(bad.argmax())
        raise InputError([Flaw(f"{place}[{index}]", f"{column[index]} is {message}")])
