"""``vmplace headroom`` and ``size``: how much more fits in, and how much it takes."""

from functools import partial
from typing import Any

import click
from attrs import evolve

from vmplace.cli.exits import DONE, NOT_SAFE, UNKNOWN, blaming, refuse_output
from vmplace.cli.io import print_result, save
from vmplace.cli.options import (
    SECONDS,
    all_option,
    combined,
    file_argument,
    json_option,
    memory_option,
    output_option,
    parsed,
    seed_option,
)
from vmplace.cli.specs import Spec, made, parse_amount, parse_bundle, parse_spec
from vmplace.cli.what_if import change_options, load_changed, several
from vmplace.model.entities import Node
from vmplace.model.errors import InputError
from vmplace.model.units import parse_memory, parse_reserve
from vmplace.report.console import watched
from vmplace.solvers.budget import Progress

__all__ = ["headroom", "size"]

_OF_STATUS = {"optimal": DONE, "feasible": DONE, "infeasible": NOT_SAFE, "unknown": UNKNOWN}

_planning_options = combined(
    click.option("--pool", metavar="NAME", help="The pool in question, where there are several."),
    click.option("--method", type=click.Choice(["auto", "exact", "greedy"]), default="auto", show_default=True),
    click.option("--time-limit", **SECONDS, help="Return the best found by then (60 unless given); inf: until it is proved."),
    seed_option,
    click.option("--deterministic", is_flag=True, help="Count time in work, so that every run ends the same."),
    change_options,
    output_option,
    json_option,
    all_option,
)


_resource_option = partial(
    click.option, "--resource", "resources", multiple=True, metavar="NAME=AMOUNT", callback=several(parse_amount)
)


@click.command("headroom")
@file_argument
@click.argument("memory", required=False, callback=parsed(parse_bundle))
@click.option(
    "--resource",
    "resources",
    multiple=True,
    metavar="NAME=AMOUNT",
    callback=several(parse_amount),
    help="What each VM needs, too.",
)
@click.option("--move-running", is_flag=True, help="VMs that run may migrate, too.")
@_planning_options
def headroom(file: str, memory: Any, output: str | None, as_json: bool, everything: bool, resources: Any, **options: Any) -> int:
    """How many more VMs of MEMORY fit in before the guarantee goes.

    MEMORY is like 8GiB, or a mix that comes as one, like 3x8GiB+16GiB; without it, a table of common sizes. -o FILE writes the
    cluster with so many more VMs.
    """
    if output is not None and memory is None:
        raise click.UsageError("-o FILE needs MEMORY: a table of sizes is no one cluster")
    _refuse_stdout(output, as_json)
    import vmplace
    from vmplace.report.capacity import headroom_report, table_report

    cluster = load_changed(file, options)
    options = {name: value for name, value in options.items() if value is not None} | {"resources": dict(resources)}
    with blaming(file, options), watched(_progress) as progress:
        if memory is None:
            table = vmplace.headroom_table(cluster, progress=progress, **options)
            print_result(table, table_report, as_json, everything)
            return _OF_STATUS[table.status.value]
        found = vmplace.headroom(cluster, memory, progress=progress, **options)
    if found.solution is not None and output is not None:
        save(found.to_document(), output)
    print_result(found, headroom_report, as_json, everything, aside=output == "-")
    return _OF_STATUS[found.status.value]


@click.command("size")
@file_argument
@click.option("--node-memory", callback=memory_option(parse_memory), metavar="MEMORY", help="Of each node.")
@click.option("--reserve", callback=memory_option(parse_reserve), metavar="MEMORY", help="What the hypervisor keeps of it.")
@_resource_option(help="What a node has, too.")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    metavar="SPEC",
    callback=several(parse_spec(Node, "most")),
    help="One of several kinds to choose from: big:1TiB,reserve=16GiB,resources.vcpu=128,price=2.5,most=4.",
)
@click.option("--growth", metavar="SHARE", help="So much more of the same mix: 0.2, or 20%.")
@click.option(
    "--failures", type=click.IntRange(min=0), metavar="N", help="Nodes that may fail at once, instead of the guarantee's."
)
@click.option("--headroom", type=float, metavar="SHARE", help="Instead of the guarantee's headroom.")
@_planning_options
def size(
    file: str,
    node_memory: int | None,
    reserve: int | None,
    resources: Any,
    kinds: tuple[Spec, ...],
    output: str | None,
    as_json: bool,
    everything: bool,
    **options: Any,
) -> int:
    """How many nodes the VMs of FILE need, on nodes of --node-memory; of several kinds, the cheapest set.

    The nodes in FILE do not count. -o FILE writes the VMs on their new nodes.
    """
    if (node_memory is None) == (not kinds) or (kinds and (reserve is not None or resources)):
        raise click.UsageError("give --node-memory (with --reserve, --resource), or --kind once for each kind of node")
    _refuse_stdout(output, as_json)
    import vmplace
    from vmplace.report.capacity import sizing_report

    cluster = load_changed(file, options)
    options = {name: value for name, value in options.items() if value is not None}
    with blaming(file, {**options, "node_memory": None, "reserve": None, "kind": None}), watched(_progress) as progress:
        try:
            nodes, most = _kinds(node_memory, reserve or 0, dict(resources), kinds)
            found = vmplace.size(cluster, nodes, most=most, progress=progress, **options)
        except InputError as error:
            option = "kind" if kinds else "node_memory"
            raise InputError(evolve(f, place=option) if f.place in ("node", "most") else f for f in error.flaws) from None
    if found.solution is not None and output is not None:
        save(found.to_document(), output)
    print_result(found, sizing_report, as_json, everything, aside=output == "-")
    return _OF_STATUS[found.status.value]


def _kinds(
    memory: int | None, reserve: int, resources: dict[str, int], specs: tuple[Spec, ...]
) -> tuple[list[Node], dict[str, int]]:
    """The nodes to choose from, and how many there may be of some."""
    if memory is not None:
        return [Node("node", memory, reserve=reserve, resources=resources)], {}
    limits = [spec.fields.get("most") for spec in specs]
    plain = [evolve(spec, fields={key: value for key, value in spec.fields.items() if key != "most"}) for spec in specs]
    nodes = list(made(Node, plain, (), "kind"))
    return nodes, {node.name: limit for node, limit in zip(nodes, limits, strict=True) if limit is not None}


def _refuse_stdout(output: str | None, as_json: bool) -> None:
    if as_json and output == "-":
        raise click.UsageError("--json and -o - would both write to stdout")
    refuse_output(output)


def _progress(progress: Progress) -> str:
    known = "" if progress.value is None else f", {progress.value:g} found"
    return progress.phase + known + ("" if progress.bound is None else f", bound {progress.bound:g}")
