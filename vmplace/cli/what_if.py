"""What-if options: another guarantee; nodes added or removed, VMs added, resized or removed."""

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import click

from vmplace.cli.exits import RefusedError
from vmplace.cli.io import load
from vmplace.cli.options import combined, parsed, several
from vmplace.cli.specs import made, parse_spec
from vmplace.model.converters import parse_count
from vmplace.model.entities import VM, Node
from vmplace.model.errors import InputError
from vmplace.model.guarantee import POLICIES, parse_quorum
from vmplace.model.kinds import Quorum
from vmplace.model.units import parse_share, short
from vmplace.model.what_if import what_if

if TYPE_CHECKING:
    from vmplace.model.cluster import Cluster

__all__ = ["change_options", "guarantee_options", "load_changed"]


def _parse_resize(text: str) -> tuple[str, int | str]:
    name, equals, memory = text.rpartition("=")
    if not equals:
        raise ValueError(f"{short(text)} names no new size: write it like db-1=64GiB")
    return name, int(memory) if memory.isascii() and memory.isdigit() and len(memory) < 20 else memory


_OPTIONS: dict[str, tuple[str, str, Any, str]] = {
    "add_nodes": (
        "--add-node",
        "SPEC",
        parse_spec(Node),
        "What if there were this node: n9:512GiB,reserve=16GiB or 3x512GiB (MiB where no unit is given).",
    ),
    "remove_nodes": ("--remove-node", "NAME", str, "What if this node were gone? Its VMs wait."),
    "add_vms": (
        "--add-vm",
        "SPEC",
        parse_spec(VM),
        "What if there were this VM: db-9:64GiB,node=n1 or 3x16GiB (MiB where no unit is given).",
    ),
    "remove_vms": ("--remove-vm", "NAME", str, "What if this VM were gone?"),
    "start": ("--start", "NAME|all", str, "What if this stopped VM were to be started? all: every stopped VM."),
    "resize_vms": (
        "--resize-vm",
        "NAME=MEMORY",
        _parse_resize,
        "What if this VM had this much memory (MiB where no unit is given)?",
    ),
}


def _parse_headroom(text: str) -> Fraction:
    share = parse_share(text)
    if not 0 <= share < 1:
        raise ValueError(f"{short(text)} is not a share from 0 to below 1: write it like 0.1 or 10%")
    return share


def _parse_failures(text: str) -> int | dict[str, int]:
    if text.isascii() and text.isdigit():
        return parse_count(int(text[:20]))
    parts = [part.partition("=") for part in text.split(",")]
    if not all(kind in ("domain", "node") and number.isascii() and number.isdigit() for kind, _, number in parts):
        raise ValueError(f"{short(text)} is not a number of failures: write 2, or domain=1,node=1")
    return {kind: parse_count(int(number[:20])) for kind, _, number in parts}


def _parse_quorum(text: str) -> Quorum | str | None:
    if text == _NONE:
        return text
    asked: Any = int(text[:20]) if text.isascii() and text.isdigit() else text
    return parse_quorum(asked)


_NONE = "none"

_GUARANTEE: dict[str, tuple[str, dict[str, Any]]] = {
    "failures": (
        "How many nodes (or domains) fail at once; domain=1,node=1: a domain and a further node.",
        {"callback": parsed(_parse_failures), "metavar": "N"},
    ),
    "scope": ("What fails as a whole: nodes or failure domains.", {"type": click.Choice(["node", "domain"])}),
    "sequence": ("Whether several fail at once or one after the other.", {"type": click.Choice(["at-once", "sequential"])}),
    "restart": (
        "How VMs restart: by plans, or in any order on any node with room; replaces a policy.",
        {"type": click.Choice(["planned", "any-order"])},
    ),
    "policy": ("How the platform chooses the node of a restart.", {"type": click.Choice([*POLICIES, _NONE])}),
    "quorum": (
        "How many of a pool's nodes must be up for anything to restart.",
        {"callback": parsed(_parse_quorum), "metavar": "N|majority|none"},
    ),
    "headroom": (
        "Share of each node's memory that normal running leaves free: 0.1 or 10%.",
        {"callback": parsed(_parse_headroom), "metavar": "SHARE"},
    ),
}
"""What replaces each key of the guarantee: the help and the kind of option."""

guarantee_options = combined(
    click.option(
        "--guarantee",
        "asked_one",
        type=click.IntRange(min=1),
        metavar="N",
        help="Number of the guarantee to use, if FILE has a list.",
    ),
    *(
        click.option(f"--{key}", f"asked_{key}", help=f"{text} [replaces the document's]", **kind)
        for key, (text, kind) in _GUARANTEE.items()
    ),
)

_cluster_options = combined(
    *(
        click.option(option, name, multiple=True, metavar=metavar, callback=several(parse), help=text)
        for name, (option, metavar, parse, text) in _OPTIONS.items()
    )
)

change_options = combined(guarantee_options, _cluster_options)


def load_changed(path: str, options: dict[str, Any]) -> "Cluster":
    """The cluster in a file with the what-if options applied; they are removed from `options`."""
    changes = {name: options.pop(name, ()) for name in _OPTIONS}
    asked = {key: options.pop(f"asked_{key}", None) for key in _GUARANTEE}
    one = options.pop("asked_one", None)
    guarantee = {key: None if value == _NONE else value for key, value in asked.items() if value is not None}
    cluster = load(path)
    try:
        return _changed(_chosen(cluster, one), **changes, guarantee=guarantee or None)
    except InputError as error:
        shown = "stdin" if path == "-" else path
        lines = (
            f"{_OPTIONS[flaw.place][0]}: {flaw.message}" if flaw.place in _OPTIONS else f"{shown}, as it would be: {flaw}"
            for flaw in error.flaws
        )
        raise RefusedError(*lines) from None


def _chosen(cluster: "Cluster", one: int | None) -> "Cluster":
    """The cluster under one of its guarantees."""
    if one is None:
        return cluster
    if one > len(cluster.guarantees):
        raise RefusedError(f"--guarantee: {one} is too many: write a number from 1 to {len(cluster.guarantees)}")
    return what_if(cluster, guarantee=cluster.guarantees[one - 1])


def _changed(cluster: "Cluster", add_nodes: Any, add_vms: Any, resize_vms: Any, start: Any, **others: Any) -> "Cluster":
    return what_if(
        cluster,
        add_nodes=list(made(Node, add_nodes, cluster.nodes.names, "add_nodes")),
        add_vms=list(made(VM, add_vms, cluster.vms.names, "add_vms")),
        resize_vms=dict(resize_vms),
        start="all" if "all" in start else start,
        **others,
    )
