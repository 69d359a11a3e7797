"""``vmplace headroom``, ``size`` and ``trend``: capacity planning."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import click
from attrs import evolve

from vmplace.cli.exits import DONE, RefusedError, blaming, exit_of, refuse_output
from vmplace.cli.io import print_result, save
from vmplace.cli.options import (
    MIB,
    all_option,
    combined,
    effort_options,
    file_argument,
    given,
    json_option,
    memory_option,
    output_option,
    overhead_option,
    parsed,
    several,
    time_limit_option,
)
from vmplace.cli.specs import Spec, made, parse_amount, parse_bundle, parse_spec
from vmplace.cli.what_if import change_options, guarantee_options, load_changed
from vmplace.model.entities import Node
from vmplace.model.errors import InputError
from vmplace.model.units import parse_memory, parse_reserve
from vmplace.report.console import watched
from vmplace.solvers.budget import Progress

__all__ = ["headroom", "size", "trend"]

_planning_options = combined(
    click.option("--pool", metavar="NAME", help="The pool to plan for, if there are several."),
    effort_options,
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
@overhead_option
@_resource_option(help="What each VM needs besides memory; may be repeated.")
@click.option("--move-running", is_flag=True, help="Let running VMs migrate, too.")
@_planning_options
def headroom(file: str, memory: Any, output: str | None, as_json: bool, everything: bool, resources: Any, **options: Any) -> int:
    """Count how many more VMs of a size fit safely.

    MEMORY is the size, like 8GiB (MiB where no unit is given), or a mix that is added as one, like 3x8GiB+16GiB. Without it, a
    table of common sizes is shown. -o FILE writes the cluster with the additional VMs.
    """
    if output is not None and memory is None:
        raise click.UsageError("-o FILE needs MEMORY: a table of sizes has no single cluster to write")
    refuse_output(output, as_json=as_json)
    import vmplace
    from vmplace.report.capacity import headroom_report, table_report

    cluster = load_changed(file, options)
    options = given(options) | {"resources": dict(resources)}
    with blaming(file, options), watched(_progress) as progress:
        if memory is None:
            table = vmplace.headroom_table(cluster, progress=progress, **options)
            print_result(table, table_report, as_json, everything)
            return exit_of(table.status.value)
        found = vmplace.headroom(cluster, memory, progress=progress, **options)
    if found.solution is not None and output is not None:
        save(found.to_document(), output)
    still = not options.get("move_running")
    print_result(found, partial(headroom_report, still=still), as_json, everything, aside=output == "-")
    return exit_of(found.status.value)


@click.command("size")
@file_argument
@click.option("--node-memory", callback=memory_option(parse_memory), metavar="MEMORY", help=f"Memory of each node{MIB}.")
@click.option(
    "--reserve", callback=memory_option(parse_reserve), metavar="MEMORY", help=f"Memory that the hypervisor keeps{MIB}."
)
@_resource_option(help="What each node has besides memory; may be repeated.")
@click.option(
    "--kind",
    "kinds",
    multiple=True,
    metavar="SPEC",
    callback=several(parse_spec(Node, "most")),
    help="A kind of node to choose from; repeat it for each kind: big:1TiB,reserve=16GiB,resources.vcpu=128,price=2.5,most=4.",
)
@click.option("--growth", metavar="SHARE", help="Plan for growth by this share, with the same mix of VMs: 0.2 or 20%.")
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
    """Count the nodes that the VMs need, or find the cheapest set.

    --node-memory gives the size of a node; --kind, once for each kind, asks for the cheapest set of several kinds.
    The nodes in FILE do not count. -o FILE writes the VMs on their new nodes.
    """
    if (node_memory is None) == (not kinds) or (kinds and (reserve is not None or resources)):
        raise click.UsageError("give --node-memory (with --reserve, --resource), or --kind once for each kind of node")
    refuse_output(output, as_json=as_json)
    import vmplace
    from vmplace.report.capacity import sizing_report

    cluster = load_changed(file, options)
    options = given(options)
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
    return exit_of(found.status.value)


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


def _progress(progress: Progress) -> str:
    known = "" if progress.value is None else f", {progress.value:g} found"
    return progress.phase + known + ("" if progress.bound is None else f", bound {progress.bound:g}")


_INDEX = re.compile(r"clusters\[(\d+)\]\.?")


@click.command("trend")
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@combined(time_limit_option, guarantee_options, json_option, all_option)
def trend(files: Sequence[str], time_limit: float | None, as_json: bool, everything: bool, **asked: Any) -> int:
    """Show how usage grows, and when the guarantee will be lost.

    Each FILE is a document with a date; their order does not matter.
    """
    import vmplace
    from vmplace.report.trend import trend_report

    clusters = [load_changed(file, dict(asked)) for file in files]
    limit: dict[str, Any] = {} if time_limit is None else {"time_limit": time_limit}
    with _blaming(files), watched(lambda progress: f"check {progress.done or 0} of {len(files)}") as progress:
        found = vmplace.trend(clusters, progress=progress, **limit)
    print_result(found, trend_report, as_json, everything)
    return DONE


@contextmanager
def _blaming(files: Sequence[str]) -> Iterator[None]:
    """Name the file of each flaw."""
    try:
        yield
    except InputError as error:
        raise RefusedError(*(_line(str(flaw), files) for flaw in error.flaws)) from None


def _line(flaw: str, files: Sequence[str]) -> str:
    place = _INDEX.match(flaw)
    source = f"{files[int(place[1])]}: " if place else ""
    rest = flaw[place.end() :] if place else flaw
    return source + _INDEX.sub(lambda found: files[int(found[1])], rest)
