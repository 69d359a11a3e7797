"""Counts how often clusters are compiled."""

import sys

import pytest

from vmplace.model.cluster import Cluster
from vmplace.problem.compile import compile_problem


def counted(monkeypatch: pytest.MonkeyPatch) -> list[Cluster]:
    """A list of the clusters compiled from now on, in whatever module."""
    compiled = []

    def compiling(cluster, *rest, **options):
        compiled.append(cluster)
        return compile_problem(cluster, *rest, **options)

    for name, module in list(sys.modules.items()):
        if name.startswith("vmplace") and getattr(module, "compile_problem", None) is compile_problem:
            monkeypatch.setattr(module, "compile_problem", compiling)
    return compiled
