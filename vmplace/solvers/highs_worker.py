"""The process that `highs` starts: reads a program from stdin, tells on stdout, one line of JSON each, how far HiGHS has come."""

import contextlib
import json
import os
import re
import struct
import sys
import threading
from collections.abc import Mapping, Sequence
from datetime import timedelta
from io import BytesIO
from typing import Any, TextIO

import numpy as np

__all__ = ["main"]

# Columns of HiGHS's log: counts of nodes, share explored, then bound and value.
_LINE = re.compile(r"^.{0,3}\s*\d+\s+\d+\s+\d+\s+[\d.]+%\s+(\S+)\s+(\S+)")


def main() -> None:
    """Read, solve, tell, end."""
    with os.fdopen(os.dup(1), "w") as said:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # HiGHS prints as it likes
        (length,) = struct.unpack("<Q", sys.stdin.buffer.read(8))
        with np.load(BytesIO(sys.stdin.buffer.read(length))) as arrays:
            task = dict(arrays)
        threading.Thread(target=_end_with_parent, daemon=True).start()
        _tell(said, **_solve(task, said))


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def _tell(said: TextIO, **what: Any) -> None:
    said.write(json.dumps(what) + "\n")
    said.flush()


def _solve(task: Mapping[str, Any], said: TextIO) -> dict[str, Any]:
    from ortools.math_opt.python import mathopt  # slow to import

    limits = {key: value for key, value in json.loads(task["limits"].tobytes()).items() if value is not None}
    if "time_limit" in limits:
        limits["time_limit"] = timedelta(seconds=limits["time_limit"])
    # Objectives are whole: less than one apart is none; no gap in proportion, however large they are.
    parameters = mathopt.SolveParameters(absolute_gap_tolerance=0.99, relative_gap_tolerance=0.0, **limits)
    model = mathopt.Model.from_model_proto(_model(task))
    start = mathopt.ModelSolveParameters()
    if len(task["hint"]):
        at = dict(zip(model.variables(), task["hint"].tolist(), strict=True))
        start = mathopt.ModelSolveParameters(solution_hints=[mathopt.SolutionHint(variable_values=at)])
    result = mathopt.solve(
        model, mathopt.SolverType.HIGHS, params=parameters, model_params=start, msg_cb=lambda lines: _follow(lines, said)
    )
    values = (
        [value for _, value in sorted((v.id, value) for v, value in result.variable_values().items())]
        if result.has_primal_feasible_solution()
        else None
    )
    return {"values": values, "bound": result.termination.objective_bounds.dual_bound}


def _follow(lines: Sequence[str], said: TextIO) -> None:
    for line in lines:
        found = _LINE.match(line)
        if found:
            with contextlib.suppress(ValueError):
                _tell(said, bound=float(found[1]), value=float(found[2]))


def _model(task: Mapping[str, Any]) -> Any:
    from ortools.math_opt import model_pb2

    model = model_pb2.ModelProto()
    n, rows = len(task["lower"]), len(task["row_lower"])
    model.variables.ids.extend(range(n))
    model.variables.lower_bounds.extend(task["lower"].tolist())
    model.variables.upper_bounds.extend(task["upper"].tolist())
    model.variables.integers.extend([True] * n)
    model.linear_constraints.ids.extend(range(rows))
    model.linear_constraints.lower_bounds.extend(task["row_lower"].tolist())
    model.linear_constraints.upper_bounds.extend(task["row_upper"].tolist())
    row, column, coefficient = _summed(task["row"], task["column"], task["coefficient"])
    model.linear_constraint_matrix.row_ids.extend(row.tolist())
    model.linear_constraint_matrix.column_ids.extend(column.tolist())
    model.linear_constraint_matrix.coefficients.extend(coefficient.tolist())
    _, objective, cost = _summed(np.zeros_like(task["objective"]), task["objective"], task["cost"])
    model.objective.linear_coefficients.ids.extend(objective.tolist())
    model.objective.linear_coefficients.values.extend(cost.tolist())
    return model


def _summed(row: Any, column: Any, coefficient: Any) -> tuple[Any, Any, Any]:
    """Entries in order, those of one place added up: a row may name a variable twice, the matrix may not."""
    key = row * (column.max(initial=0) + 1) + column
    places, which = np.unique(key, return_inverse=True)
    first = np.zeros(len(places), dtype=np.int64)
    first[which.reshape(-1)] = np.arange(len(key))
    return row[first], column[first], np.bincount(which.reshape(-1), coefficient, len(places))


if __name__ == "__main__":
    main()
