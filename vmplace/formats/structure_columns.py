"""Entries of a document that say no more than columns hold: read without an object for each."""

from collections.abc import Sequence
from typing import Any

from vmplace.model.columns import NodeColumns, VMColumns
from vmplace.model.units import parse_memory

__all__ = ["plain_columns"]


def plain_columns(nodes: Sequence[Any], vms: Sequence[Any]) -> tuple[NodeColumns, VMColumns] | None:
    """The columns of entries that are mappings of name, memory and, for VMs, node and ``running: true``.

    Parameters
    ----------
    nodes, vms
        As a document has them, unchecked.

    Returns
    -------
    tuple of NodeColumns and VMColumns, or None
        None where an entry says more, and where something is wrong: reading them one by one tells what.
    """
    try:
        if not (all(map(_is_plain_node, nodes)) and all(map(_is_plain_vm, vms))):
            return None
        hosts = NodeColumns.of(_memory(nodes), _names(nodes))
        index: dict[str | None, int] = {name: i for i, name in enumerate(hosts.names)}
        index[None] = -1
        where = [index[vm.get("node")] for vm in vms]
        return hosts, VMColumns.of(_memory(vms), where, _names(vms), hosts.names)
    except (KeyError, TypeError, ValueError):  # a key that is missing, a value that is wrong, a node that is unknown
        return None


def _is_plain_node(node: object) -> bool:
    return isinstance(node, dict) and len(node) == 2  # the two that are read


def _is_plain_vm(vm: object) -> bool:
    return isinstance(vm, dict) and len(vm) == 2 + ("node" in vm) + ("running" in vm) and vm.get("running", True) is True


def _names(entries: Sequence[Any]) -> list[str]:
    return [entry["name"] for entry in entries]


def _memory(entries: Sequence[Any]) -> list[int]:
    return [parse_memory(entry["memory"]) for entry in entries]
