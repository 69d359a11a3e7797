"""``vmplace admit``: admission control for one more VM."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click
from attrs import evolve
from click.core import ParameterSource

from vmplace.admission.candidates import SCORES
from vmplace.cli.exits import blaming, exit_of, refuse_output
from vmplace.cli.io import drawn, print_json, progress_text, save
from vmplace.cli.options import (
    MIB,
    SECONDS,
    all_option,
    combined,
    file_argument,
    given,
    json_option,
    memory_option,
    output_option,
    overhead_option,
    several,
)
from vmplace.cli.specs import parse_amount
from vmplace.cli.what_if import change_options, load_changed
from vmplace.model.errors import Flaw, InputError
from vmplace.model.units import parse_memory
from vmplace.report.console import watched

__all__ = ["admit"]


@click.command("admit")
@file_argument
@click.option("--name", required=True, metavar="NAME", help="Name of the new VM; without --memory, of a waiting VM in FILE.")
@click.option("--memory", callback=memory_option(parse_memory), metavar="MEMORY", help=f"Memory that it reserves{MIB}.")
@click.option(
    "--resource",
    "resources",
    multiple=True,
    callback=several(parse_amount),
    metavar="NAME=AMOUNT",
    help="What it needs besides memory, such as vcpu=4; may be repeated.",
)
@overhead_option
@click.option("--priority", type=int, default=0, show_default=True, help="VMs of higher priority restart first if not all can.")
@click.option("--pool", default="default", show_default=True, help="The pool whose nodes it may use.")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="Tag that rules may name; may be repeated.")
@click.option("--unprotected", is_flag=True, help="It need not restart when its node fails.")
@click.option("--evictable", is_flag=True, help="It may be stopped to make room in a failover.")
@click.option("--make-room", is_flag=True, help="If no node has room, migrate the least memory that makes room.")
@click.option("--candidates", is_flag=True, help="Show every node with its verdict.")
@click.option("--score", type=click.Choice(SCORES), default=SCORES[0], show_default=True, help="How admitted nodes are ranked.")
@click.option("--time-limit", **SECONDS, help="Stop searching after this time (default 60); inf: search until it is known.")
@combined(change_options, output_option, json_option, all_option)
def admit(
    file: str,
    name: str,
    memory: int | None,
    unprotected: bool,
    make_room: bool,
    candidates: bool,
    score: Any,
    time_limit: float | None,
    output: str | None,
    as_json: bool,
    everything: bool,
    **wanted: Any,
) -> int:
    """Find a node where one more VM may start safely.

    Afterwards every failure is survived, or none leaves out more than before. -o writes the document with the VM on that node,
    and with the VMs that must migrate first on their new nodes.
    """
    if memory is None:
        _refuse_idle(click.get_current_context())
    refuse_output(output, as_json=as_json)
    import vmplace
    from vmplace.admission.admit import applied
    from vmplace.admission.barred import barred
    from vmplace.report.admission import admission_report, room_hint
    from vmplace.results.values import Status

    cluster = load_changed(file, wanted)
    wanted = given({**wanted, "resources": dict(wanted["resources"])})
    limit = 60.0 if time_limit is None else time_limit
    with blaming(file, {"time_limit": limit, **_options(name, memory, wanted)}), watched(progress_text("moves")) as progress:
        asked = vmplace.VM(name, memory, protected=not unprotected, **wanted) if memory is not None else name
        with _naming_options():
            found = vmplace.admit(cluster, asked, make_room=make_room, score=score, time_limit=limit, progress=progress)
        nodes = vmplace.Admitter(cluster, score=score, time_limit=limit).candidates(asked) if candidates else None
        vm = asked if isinstance(asked, vmplace.VM) else next(vm for vm in cluster.vms if vm.name == name)
        after = applied(cluster, [vm], found) if found.admitted and output is not None else None
    if after is not None and output is not None:
        save(after, output)
    if as_json:
        print_json({**found.to_dict(), **({} if nodes is None else nodes.to_dict())})
    else:
        refused = found.status is Status.REFUSED and not make_room
        hint = room_hint(barred(vm, cluster, found.reason)) if refused else ""
        drawn(admission_report, (found, vm.charged, nodes, hint), everything, aside=output == "-")
    return exit_of(found.status.value)


_OF_A_NEW_VM = ("resources", "overhead", "priority", "pool", "tags", "unprotected", "evictable")


def _refuse_idle(context: click.Context) -> None:
    """Refuse options that have no effect on a VM that the document has."""
    for option in context.command.params:
        if option.name in _OF_A_NEW_VM and context.get_parameter_source(option.name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{option.opts[0]} describes a new VM: add --memory, or leave it out for a VM in FILE")


@contextmanager
def _naming_options() -> Iterator[None]:
    """Have flaws of the VM name the option that it is asked for with."""
    try:
        yield
    except InputError as error:
        raise InputError(map(_of_option, error.flaws)) from None


def _of_option(flaw: Flaw) -> Flaw:
    if flaw.place not in ("vm", "vm.name"):
        return flaw
    joint = " Or" if flaw.message.endswith("?") else ", or"
    mend = f"{joint} add --memory to start a new VM" if flaw.code == "not-found" else ""
    return evolve(flaw, place="name", message=flaw.message + mend)


def _options(name: str, memory: int | None, wanted: dict[str, Any]) -> dict[str, Any]:
    """Options that an error may name."""
    return {"name": name, "memory": memory, **wanted}
