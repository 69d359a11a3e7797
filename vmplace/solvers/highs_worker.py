"""The child process of `vmplace.solvers.highs`: solves one integer linear program by HiGHS through MathOpt.

It reads the task from stdin and writes progress and result to stdout, one line of JSON each. It imports nothing of the package.
"""

import contextlib
import json
import os
import pickle
import re
import sys
import threading
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, TextIO

__all__ = ["main"]

# Columns of HiGHS's log: counts of nodes, share explored, then bound and value.
_LINE = re.compile(r"^.{0,3}\s*\d+\s+\d+\s+\d+\s+[\d.]+%\s+(\S+)\s+(\S+)")


def main() -> None:
    """Read, solve, tell, end."""
    with os.fdopen(os.dup(1), "w") as said:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # HiGHS prints as it likes
        task = pickle.load(sys.stdin.buffer)  # from the process that started this one
        threading.Thread(target=_end_with_parent, daemon=True).start()
        _tell(said, **_solve(said, *task))


def _end_with_parent() -> None:
    sys.stdin.buffer.read()
    os._exit(1)


def _tell(said: TextIO, **what: Any) -> None:
    said.write(json.dumps(what) + "\n")
    said.flush()


def _solve(said: TextIO, program: Any, hint: Sequence[int] | None, time_limit: float | None, node_limit: int | None) -> Any:
    from ortools.math_opt.python import mathopt  # slow to import

    parameters = mathopt.SolveParameters(
        time_limit=None if time_limit is None else timedelta(seconds=time_limit),
        node_limit=node_limit,
        # Objectives are whole: less than one apart is none; no gap in proportion, however large they are.
        absolute_gap_tolerance=0.99,
        relative_gap_tolerance=0.0,
        # Its presolve calls some suboptimal solutions optimal (known of releases up to 1.14), and gives them as bounds.
        presolve=mathopt.Emphasis.OFF,
    )
    model = mathopt.Model.from_model_proto(_model(*program))
    start = mathopt.ModelSolveParameters()
    if hint is not None:
        at = dict(zip(model.variables(), map(float, hint), strict=True))
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


def _model(lower: list[int], upper: list[int], rows: list[Any], objective: list[tuple[int, int]]) -> Any:
    """Lists as those of `IntegerProgram`, as a message of MathOpt."""
    from ortools.math_opt import model_pb2

    model = model_pb2.ModelProto()
    model.variables.ids.extend(range(len(lower)))
    model.variables.lower_bounds.extend(lower)
    model.variables.upper_bounds.extend(upper)
    model.variables.integers.extend([True] * len(lower))
    model.linear_constraints.ids.extend(range(len(rows)))
    model.linear_constraints.lower_bounds.extend(-float("inf") if low is None else low for _, low, _ in rows)
    model.linear_constraints.upper_bounds.extend(float("inf") if high is None else high for _, _, high in rows)
    for row, (terms, _, _) in enumerate(rows):
        columns, coefficients = _summed(terms)
        model.linear_constraint_matrix.row_ids.extend([row] * len(columns))
        model.linear_constraint_matrix.column_ids.extend(columns)
        model.linear_constraint_matrix.coefficients.extend(coefficients)
    columns, costs = _summed(objective)
    model.objective.linear_coefficients.ids.extend(columns)
    model.objective.linear_coefficients.values.extend(costs)
    return model


def _summed(terms: Iterable[tuple[int, int]]) -> tuple[list[int], list[int]]:
    """Variables in order with their coefficients added up: terms may name a variable twice, MathOpt's may not."""
    total: dict[int, int] = {}
    for v, c in terms:
        total[v] = total.get(v, 0) + c
    return sorted(total), [total[v] for v in sorted(total)]


if __name__ == "__main__":
    main()
