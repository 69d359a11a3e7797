"""The cluster: nodes, VMs, rules and the guarantee asked for, in one frozen value."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import evolve, field, frozen

from vmplace.model.columns import NodeColumns, VMColumns
from vmplace.model.converters import name_places, parse_date, parse_meta, parse_names, parse_ratios
from vmplace.model.dataframe import read_nodes, read_vms
from vmplace.model.entities import VM, Guarantee, Node, Rule, Tag
from vmplace.model.errors import InputError
from vmplace.model.labels import Labels
from vmplace.model.references import ambiguous_domains, broken_references
from vmplace.model.units import short

__all__ = ["Cluster"]


def _parse_nodes(value: Iterable[Node]) -> Sequence[Node]:
    return value if isinstance(value, NodeColumns) else _all(Node, value)


def _parse_vms(value: Iterable[VM]) -> Sequence[VM]:
    return value if isinstance(value, VMColumns) else _all(VM, value)


def _parse_rules(value: Iterable[Rule]) -> tuple[Rule, ...]:
    return _all(Rule, value)


def _parse_guarantee(value: Guarantee) -> Guarantee:
    if not isinstance(value, Guarantee):
        raise TypeError(f"{short(value)} is not a Guarantee")
    return value


def _in_question(nodes: Sequence[Node], vms: Sequence[VM], rules: Iterable[Rule]) -> list[tuple[int, VM]]:
    """The VMs to be looked at one by one; of columns made together, which are checked: those in other pools or under rules."""
    if not (isinstance(nodes, NodeColumns) and isinstance(vms, VMColumns) and vms.node_names is nodes.names):
        return list(enumerate(vms))
    named = {name for rule in rules if not isinstance(rule.vms, Tag) for name in rule.vms}
    doubtful = set(_in_other_pools(nodes, vms))
    doubtful.update(index for index, name in enumerate(vms.names if named else ()) if name in named)
    return [(index, vms[index]) for index in sorted(doubtful)]


def _in_other_pools(nodes: NodeColumns, vms: VMColumns) -> list[int]:
    """The VMs on a node of another pool."""
    number = {pool: i for i, pool in enumerate(dict.fromkeys([*nodes.pool.words, *vms.pool.words]))}
    if len(number) < 2:
        return []
    on = np.flatnonzero(vms.node >= 0)
    found: list[int] = on[nodes.pool.numbered(number)[vms.node[on]] != vms.pool.numbered(number)[on]].tolist()
    return found


def _all(kind: Any, value: Iterable[Any]) -> tuple[Any, ...]:
    members = tuple(value)
    odd = next((m for m in members if not isinstance(m, kind)), None)
    if odd is not None:
        raise TypeError(f"{short(odd)} is not a {getattr(kind, '__name__', 'rule')}")
    return members


@frozen(field_transformer=name_places)
class Cluster:
    """Nodes, the VMs on them or waiting, the rules and the guarantee.

    Parameters
    ----------
    nodes, vms
        In document order; names are unique within each.
    rules
        What binds VMs to nodes and to each other.
    guarantee
        What must be survivable.
    overcommit
        Ratio per further resource.
    soft_resources
        Further resources that a failover may exceed.
    date
        ISO date of the snapshot.
    meta
        Passed through.

    Raises
    ------
    InputError
        (a ValueError) that lists every duplicate name, unknown name and contradiction.
    """

    nodes: Sequence[Node] = field(converter=_parse_nodes)
    vms: Sequence[VM] = field(default=(), converter=_parse_vms)
    rules: tuple[Rule, ...] = field(default=(), converter=_parse_rules)
    guarantee: Guarantee = field(factory=Guarantee, converter=_parse_guarantee)
    overcommit: Mapping[str, Fraction] = field(factory=dict, converter=parse_ratios, hash=False, kw_only=True)
    soft_resources: tuple[str, ...] = field(default=(), converter=parse_names, kw_only=True)
    date: str | None = field(default=None, converter=parse_date, kw_only=True)
    meta: Mapping[str, Any] = field(factory=dict, converter=parse_meta, hash=False, kw_only=True)

    def __attrs_post_init__(self) -> None:
        doubtful = _in_question(self.nodes, self.vms, self.rules)
        if not doubtful and not self.rules and isinstance(self.nodes, NodeColumns):
            return  # columns are checked when made
        flaws = broken_references(list(enumerate(self.nodes)), doubtful, list(enumerate(self.rules)))
        if self.guarantee.scope == "domain":
            flaws += ambiguous_domains(self.nodes)
        if flaws:
            raise InputError(flaws)

    @cached_property
    def node_columns(self) -> NodeColumns:
        """The nodes as columns."""
        return NodeColumns.holding(self.nodes)

    @cached_property
    def vm_columns(self) -> VMColumns:
        """The VMs as columns, their nodes as indices into `nodes`."""
        return VMColumns.holding(self.vms, self.node_columns.names)

    def in_maintenance(self, names: Collection[str]) -> "Cluster":
        """The same with some nodes in maintenance."""
        if not names:
            return self
        if isinstance(self.nodes, NodeColumns):
            states = [
                "maintenance" if name in names else state for name, state in zip(self.nodes.names, self.nodes.state, strict=True)
            ]
            return evolve(self, nodes=evolve(self.nodes, state=Labels.of(states)))
        return evolve(self, nodes=[evolve(n, state="maintenance") if n.name in names else n for n in self.nodes])

    @classmethod
    def from_arrays(
        cls,
        *,
        node_memory: npt.ArrayLike,
        vm_memory: npt.ArrayLike,
        vm_node: npt.ArrayLike | None = None,
        node_names: Sequence[str] | None = None,
        vm_names: Sequence[str] | None = None,
        guarantee: Guarantee | None = None,
    ) -> "Cluster":
        """A cluster from columns, with no object per VM; `nodes` and `vms` are views of the columns.

        Parameters
        ----------
        node_memory
            Usable memory of each node in MiB, shape (n_nodes,), integers.
        vm_memory
            Reserved memory of each VM in MiB, shape (n_vms,), integers.
        vm_node
            Index of each VM's node, shape (n_vms,), integers; -1 for a VM without one. None: all wait.
        node_names, vm_names
            Unique names; by default ``n0, n1, ...`` and ``vm0, vm1, ...``.
        guarantee
            By default N+1.

        Raises
        ------
        InputError
            (a ValueError) that names the first bad entry of each column.
        """
        nodes = NodeColumns.of(node_memory, node_names)
        vms = VMColumns.of(vm_memory, vm_node, vm_names, nodes.names)
        return cls(nodes, vms, (), guarantee or Guarantee())

    @classmethod
    def from_frame(cls, vms: Any, nodes: Any, *, rules: Iterable[Rule] = (), guarantee: Guarantee | None = None) -> "Cluster":
        """A cluster from two tables, with no object per VM: dataframes (pandas, polars), arrow tables, or mappings of columns.

        Columns are named as the keys of a document, and hold what it does: memory in whole MiB or as ``"8GiB"``.

        Parameters
        ----------
        vms
            ``name``, ``memory`` and, where wanted, ``node`` (the name of its node; null: none), ``running``, ``movable``,
            ``protected``, ``priority``, ``pool``; n_vms rows.
        nodes
            ``name``, ``memory`` and, where wanted, ``reserve``, ``state``, ``pool``; n_nodes rows.
        rules
            They name VMs by lists; no tag is in a table.
        guarantee
            By default N+1.

        Raises
        ------
        InputError
            (a ValueError) that lists unknown and missing columns, or the first bad entry of each column.
        """
        hosts = read_nodes(nodes)
        return cls(hosts, read_vms(vms, hosts.names), rules, guarantee or Guarantee())
