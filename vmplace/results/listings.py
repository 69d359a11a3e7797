"""The steps of a plan as a table in CSV and as a JSON document, one entry for each action."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from typing import Any

from vmplace.model.text import printable
from vmplace.results.actions import Part, actions
from vmplace.results.values import Step

__all__ = ["json_listing", "table"]

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
