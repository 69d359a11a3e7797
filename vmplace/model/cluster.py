"""The cluster: nodes and VMs as columns, rules and the guarantee asked for, in one frozen value."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from attrs import evolve, field, frozen

from vmplace.model.columns import IntArray, NodeColumns, VMColumns
from vmplace.model.converters import name_places, parse_date, parse_meta, parse_ratios, parse_soft_resources
from vmplace.model.dataframe import read_nodes, read_vms
from vmplace.model.entities import VM, Node, Rule
from vmplace.model.errors import InputError, NotFoundError, not_found
from vmplace.model.guarantee import Guarantee
from vmplace.model.kinds import each, of_type
from vmplace.model.references import ambiguous_domains, broken_references, members_of, without_effect

__all__ = ["Cluster"]


def _parse_nodes(value: Iterable[Node]) -> NodeColumns:
    return NodeColumns.holding(value)


def _parse_vms(value: Iterable[VM]) -> VMColumns:
    return VMColumns.holding(value)


def _parse_rules(value: Iterable[Rule]) -> tuple[Rule, ...]:
    rules: tuple[Rule, ...] = _RULES(value)
    return rules


def _parse_guarantee(value: Guarantee | Sequence[Guarantee]) -> Any:
    if not isinstance(value, list | tuple):
        return _GUARANTEE(value)
    if not value:
        raise ValueError("[] asks for nothing: give one guarantee at least, or leave the key out")
    return _GUARANTEES(value)


def _parse_further(value: Iterable[Guarantee]) -> tuple[Guarantee, ...]:
    further: tuple[Guarantee, ...] = _GUARANTEES(value)
    return further


_RULES, _GUARANTEE = each(Rule, "rule"), of_type(Guarantee, "a Guarantee", "give one")
_GUARANTEES = each(Guarantee, "Guarantee")


@frozen(field_transformer=name_places)
class Cluster:
    """Nodes, the VMs on them or waiting, the rules and the guarantee.

    Parameters
    ----------
    nodes, vms
        In document order; names are unique within each. They are held as columns, which are sequences of `Node` and of `VM`.
    rules
        What binds VMs to nodes and to each other.
    guarantee
        What must be survivable; or a list of guarantees, all of which must hold: this is then the first of them.
    further
        The others of such a list.
    overcommit
        Ratio per further resource that a node has.
    soft_resources
        Further resources, of those that nodes have, that a failover may exceed.
    date
        ISO date of the snapshot.
    meta
        Passed through.

    Raises
    ------
    InputError
        (a ValueError) that lists every duplicate name, unknown name and contradiction.
    """

    nodes: NodeColumns = field(converter=_parse_nodes)
    vms: VMColumns = field(factory=lambda: VMColumns.holding(()), converter=_parse_vms)
    rules: tuple[Rule, ...] = field(default=(), converter=_parse_rules)
    guarantee: Guarantee = field(factory=Guarantee, converter=_parse_guarantee)
    overcommit: Mapping[str, Fraction] = field(factory=dict, converter=parse_ratios, hash=False, kw_only=True)
    soft_resources: tuple[str, ...] = field(default=(), converter=parse_soft_resources, kw_only=True)
    further: tuple[Guarantee, ...] = field(default=(), converter=_parse_further, kw_only=True)
    date: str | None = field(default=None, converter=parse_date, kw_only=True)
    meta: Mapping[str, Any] = field(factory=dict, converter=parse_meta, hash=False, kw_only=True)

    def __attrs_post_init__(self) -> None:
        if isinstance(self.guarantee, tuple):
            object.__setattr__(self, "further", self.guarantee[1:])
            object.__setattr__(self, "guarantee", self.guarantee[0])
        flaws = broken_references(self.nodes, self.vms, list(enumerate(self.rules)))
        flaws += without_effect(self.nodes, self.overcommit, self.soft_resources)
        if any(asked.scope == "domain" or asked.domains for asked in self.guarantees):
            flaws += ambiguous_domains(self.nodes)
        if flaws:
            raise InputError(flaws)
        object.__setattr__(self, "vms", self.vms.on(self.nodes.names))

    def node(self, name: str) -> Node:
        """The node of a name; raises NotFoundError, which suggests the nearest name, if there is none."""
        return self.nodes[self._found("node", name, self.nodes.index_of)]

    def vm(self, name: str) -> VM:
        """The VM of a name; raises NotFoundError, which suggests the nearest name, if there is none."""
        return self.vms[self._found("VM", name, self.vms.index_of)]

    @staticmethod
    def _found(noun: str, name: object, index: Mapping[str, int]) -> int:
        if not isinstance(name, str) or name not in index:
            raise NotFoundError([not_found("name", noun, name, index)])
        return index[name]

    @cached_property
    def rule_members(self) -> tuple[IntArray, ...]:
        """The VMs of each rule by index, as the rule lists them; names that the cluster lacks are left out."""
        return tuple(members_of(rule.vms, self.vms) for rule in self.rules)

    @cached_property
    def derived(self) -> dict[str, Any]:
        """What other layers made of the whole cluster, kept here as long as it is there; not for callers."""
        return {}

    @property
    def guarantees(self) -> tuple[Guarantee, ...]:
        """All guarantees that must hold."""
        return (self.guarantee, *self.further)

    def one_by_one(self) -> "list[Cluster]":
        """The same under each of its guarantees alone."""
        return [self.under(asked) for asked in self.guarantees]

    def under(self, asked: Guarantee) -> "Cluster":
        """The same under one guarantee, of its own or another; it is the same cluster if that is the only one."""
        return self if asked is self.guarantee and not self.further else evolve(self, guarantee=asked, further=())

    @property
    def pools(self) -> tuple[str, ...]:
        """The pools that nodes or VMs are in, those of nodes first, as they come."""
        return tuple(dict.fromkeys([*self.nodes.pool.words, *self.vms.pool.words]))

    def in_state(self, state: str, names: Collection[str]) -> "Cluster":
        """The same with some nodes in another state."""
        if not names:
            return self
        held = frozenset(names)
        chosen = np.array([name in held for name in self.nodes.names], dtype=bool)
        return evolve(self, nodes=self.nodes.in_state(state, chosen))

    @classmethod
    def from_arrays(
        cls,
        *,
        node_memory: npt.ArrayLike,
        vm_memory: npt.ArrayLike,
        vm_node: npt.ArrayLike | None = None,
        vm_overhead: npt.ArrayLike | None = None,
        node_names: Sequence[str] | None = None,
        vm_names: Sequence[str] | None = None,
        guarantee: Guarantee | None = None,
    ) -> "Cluster":
        """A cluster from arrays, with no object per VM.

        Parameters
        ----------
        node_memory
            Usable memory of each node in MiB, shape (n_nodes,), integers.
        vm_memory
            Reserved memory of each VM in MiB, shape (n_vms,), integers.
        vm_node
            Index of each VM's node, shape (n_vms,), integers; -1 for a VM without one. None: all wait.
        vm_overhead
            Memory of each VM's hypervisor process beside its own, in MiB, shape (n_vms,), integers. None: none.
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
        vms = VMColumns.of(vm_memory, vm_node, vm_names, nodes.names, vm_overhead)
        return cls(nodes, vms, (), Guarantee() if guarantee is None else guarantee)

    @classmethod
    def from_frame(cls, vms: Any, nodes: Any, *, rules: Iterable[Rule] = (), guarantee: Guarantee | None = None) -> "Cluster":
        """A cluster from two tables, with no object per VM: dataframes (pandas, polars), arrow tables, or mappings of columns.

        Columns are named as the keys of a document, and hold what it does: memory in whole MiB or as ``"8GiB"``.

        Parameters
        ----------
        vms
            ``name``, ``memory`` and, where wanted, ``node`` (the name of its node; null: none), ``running``, ``movable``,
            ``protected``, ``priority``, ``pool``, ``overhead``, ``home``, ``used``; n_vms rows.
        nodes
            ``name``, ``memory`` and, where wanted, ``reserve``, ``state``, ``pool``, ``headroom``, ``max_vm`` (mappings);
            n_nodes rows.
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
        return cls(hosts, read_vms(vms, hosts.names), rules, Guarantee() if guarantee is None else guarantee)
