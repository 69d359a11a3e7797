"""What a type checker finds in the code of a user."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("mypy")

RIGHT = """
import threading
from vmplace import VM, Admitter, Cluster, Node, check, drain, headroom, load, place, repair, rolling_drain, size

cluster = Cluster([Node("n1", "64GiB"), Node("n2", 65536, reserve="4GiB")], [VM("a", "8GiB", "n1")])
safe: bool = check(cluster, time_limit=5, cancel=threading.Event()).safe
place(cluster, method="exact", objective=("moves", "balance"), max_migrated="64GiB")
repair(cluster, method="greedy", time_limit=2.5, parallel_per_node=None)
drain(cluster, ["n1"], strict=True, bandwidth="10Gbit")
rolling_drain(cluster, at_once=1, max_moves=3)
headroom(cluster, "8GiB", method="auto")
size(cluster, Node("n", "1TiB"), method="exact")
Admitter(cluster, score="balance").admit(VM("b", "1GiB")).node
name: str = cluster.node("n1").name
"""

WRONG = """
from vmplace import Admitter, check, drain, headroom, load, place, repair, rolling_drain, size
cluster = load("c.json")
place(cluster, method="exakt")
drain(cluster, "n1", best_efort=True)
repair(cluster, methode="exact")
rolling_drain(cluster, parallel="two")
headroom(cluster, "8GiB", method="all")
size(cluster, "1TiB", method=None)
Admitter(cluster, score="best")
check("cluster.json")
check(cluster, cancel=True)
place(cluster, progress="bar")
"""


def errors_of(program: str, tmp_path: Path) -> list[int]:
    """The lines in which mypy finds an error."""
    (path := tmp_path / "user.py").write_text(program)
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", str(tmp_path / "cache"), str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert said.stderr == ""
    return [int(line.split(":")[1]) for line in said.stdout.splitlines() if ": error: " in line]


@pytest.mark.slow
def test_right_code_passes_and_each_wrong_call_is_found(tmp_path: Path) -> None:
    assert errors_of(RIGHT, tmp_path) == []
    assert errors_of(WRONG, tmp_path) == list(range(4, 14))
