"""What an administrator does in each step of a plan: actions, one after the other, also as a table (CSV) and as JSON."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from attrs import evolve, frozen

from vmplace.model.text import counted, printable
from vmplace.results.to_dict import ToDict
from vmplace.results.values import Status, Step

__all__ = ["Action", "Part", "actions", "afterwards", "json_listing", "table", "timed"]

_FEW = 3
"""So many failures are named after a step."""


@frozen
class Action(ToDict):
    """One command: ``migrate`` a VM from a node to another, ``stop`` it on a node, or ``start`` it on one; memory in MiB."""

    _keys = "action vm from:source to:destination memory seconds"
    _if_known = ("seconds",)

    action: str
    vm: str
    source: str | None
    destination: str | None
    memory: int
    seconds: float | None = None

    @property
    def operands(self) -> tuple[str, ...]:
        """What the command is given: the VM, and the nodes as far as there are any."""
        return (self.vm, *(end for end in (self.source, self.destination) if end is not None))


@frozen
class Part:
    """Steps that belong together.

    Parameters
    ----------
    drained
        The nodes that they empty.
    serviced
        Whether these nodes are serviced after the steps, and are back before what follows.
    missing
        Why there are no steps although there is something to do; else empty.
    """

    steps: tuple[Step, ...]
    drained: tuple[str, ...] = ()
    missing: str = ""
    serviced: bool = False


def actions(step: Step) -> Iterator[Action]:
    """The actions of a step in an order in which they may be done one after the other."""
    for stop in step.stops:
        yield Action("stop", stop.vm, stop.node, None, stop.memory)
    for moved in step.migrations:
        if not moved.cold:
            yield Action("migrate", moved.vm, moved.source, moved.destination, moved.memory, moved.seconds)
    for moved in step.migrations:
        if moved.cold:
            yield Action("start", moved.vm, None, moved.destination, moved.memory)
    for start in step.starts:
        yield Action("start", start.vm, None, start.node, start.memory)


def timed(step: Step, bandwidth: Fraction) -> Step:
    """The step with the seconds that its live migrations take, each alone and all together.

    Parameters
    ----------
    bandwidth
        Of each node in each direction, in MiB per second. Migrations from one node, or to one, share it.
    """
    busy = dict[tuple[bool, str], int]()
    for moved in (migration for migration in step.migrations if not migration.cold):
        for end in ((False, moved.source), (True, moved.destination)):
            busy[end] = busy.get(end, 0) + moved.memory
    migrations = tuple(
        moved if moved.cold else evolve(moved, seconds=_seconds(moved.memory, bandwidth)) for moved in step.migrations
    )
    return evolve(step, migrations=migrations, seconds=_seconds(max(busy.values(), default=0), bandwidth))


def _seconds(memory: int, bandwidth: Fraction) -> float:
    return round(float(memory / bandwidth), 1)


def afterwards(step: Step) -> Iterator[str]:
    """What a failure would do after the step, if anything is asked of that."""
    if step.guarantee is Status.SAFE:
        yield "safe afterwards"
    elif step.suspended:
        if step.worst is not None:
            yield printable(f"the guarantee is suspended afterwards: {step.worst.sentence()}")
            return
        failures = [*step.exposed[:_FEW], *([counted(len(step.exposed) - _FEW, "other")] if len(step.exposed) > _FEW else [])]
        which = " or ".join(filter(None, (", ".join(failures[:-1]), *failures[-1:]))) or "some nodes"
        fate = "is not survived" if step.guarantee is Status.UNSAFE else "may not be survived"
        yield printable(f"the guarantee is suspended afterwards: a failure of {which} {fate}")


_COLUMNS = ("drain", "step", "action", "vm", "from", "to", "memory_mib", "seconds")


def table(parts: Sequence[Part]) -> Iterator[str]:
    """Lines of CSV with a header; characters that a terminal might obey are written as escapes."""
    yield _line(_COLUMNS)
    for part in parts:
        for step in part.steps:
            for action in actions(step):
                ends = (action.source or "", action.destination or "")
                yield _line((" ".join(part.drained), step.number, action.action, action.vm, *ends, action.memory, action.seconds))


def _line(cells: Sequence[object]) -> str:
    row = io.StringIO()
    csv.writer(row, lineterminator="\n").writerow([printable(cell) if isinstance(cell, str) else cell for cell in cells])
    return row.getvalue()


def json_listing(parts: Sequence[Part]) -> Iterator[str]:
    """A JSON document: the steps in order, each with its actions and the verdict after it; and why there are none, if so."""
    steps = [_step(part, step) for part in parts for step in part.steps]
    missing = [part.missing for part in parts if part.missing]
    yield json.dumps({"steps": steps, **({"reason": missing[0]} if missing else {})}, indent=1) + "\n"


def _step(part: Part, step: Step) -> dict[str, Any]:
    whole = step.to_dict()
    del whole["migrations"], whole["starts"]
    drained = {"drain": list(part.drained)} if part.drained else {}
    return {**drained, **whole, "actions": [action.to_dict() for action in actions(step)]}
