"""What a type checker finds in the code of a user."""

import inspect
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from vmplace import VM, Guarantee

pytest.importorskip("mypy")

RIGHT = """
import datetime
import threading
from fractions import Fraction
import numpy as np
from attrs import evolve
from vmplace import VM, Admitter, Apart, Cluster, Guarantee, Node, NotOn, OnlyOn, Tag, Together
from vmplace import check, drain, headroom, load, place, repair, rolling_drain, size, what_if

flags = np.array([True, False])
big = Node("n1", "64GiB", reserve=0, domain="a", tags={"gpu"}, price=0.5, resources={"vcpu": 8}, max_vm={"memory": "8GiB"})
small = Node("n2", 65536, reserve="4GiB", state="maintenance", headroom=Fraction(1, 10), meta={"rack": [1]})
db = VM("db", "8GiB", "n1", target="n2", movable="cold", running=flags[0], overhead="256MiB", used=None, tags=["db"], priority=-1)
rules = [Apart(["a", "b"], scope="domain", must=False, weight=2), Together(Tag("db"), during_failover=False, name="pair")]
more = [OnlyOn({"tag": "db"}, [big.name]), NotOn(("a",), Tag("gpu"))]
asked = Guarantee(failures={"domain": 1, "node": 1}, restart="any-order", headroom=0.1, quorum="majority", vms={"tag": "db"})
several = [asked, Guarantee(policy="fewest-vms", order="priority", quorum=2, scope="domain", vms=["db"])]
cluster = Cluster([big, small], [db], [*rules, *more], several, overcommit={"vcpu": 4}, date=datetime.date(2026, 11, 23))
evolve(big, state=small.state, max_vm=small.max_vm, tags=small.tags, headroom=small.headroom)
evolve(asked, restart=several[1].restart, policy=several[1].policy, quorum=several[1].quorum)
what_if(cluster, guarantee={"failures": 2}, start="all", resize_vms={"db": "16GiB"})
safe: bool = check(cluster, time_limit=5, cancel=threading.Event()).safe
place(cluster, method="exact", objective=("moves", "balance"), max_migrated="64GiB")
repair(cluster, method="greedy", time_limit=2.5, parallel_per_node=None)
drain(cluster, ["n1"], strict=True, bandwidth="10Gbit")
rolling_drain(cluster, at_once=1, max_moves=3)
headroom(cluster, "8GiB", method="auto", overhead="256MiB")
size(cluster, Node("n", "1TiB"), method="exact")
Admitter(cluster, score="balance").admit(VM("b", "1GiB")).node
name: str = cluster.node("n1").name
"""

HEAD = """
from vmplace import VM, Admitter, Apart, Cluster, Guarantee, Node, NotOn, OnlyOn, Tag, Together
from vmplace import check, drain, explain, generate, headroom, load, place, repair, rolling_drain, size, what_if
cluster = load("c.json")
"""

WRONG = """
place(cluster, method="exakt")
drain(cluster, "n1", best_efort=True)
repair(cluster, methode="exact")
rolling_drain(cluster, parallel="two")
headroom(cluster, "8GiB", method="all")
headroom(cluster, "8GiB", overhead=None)
size(cluster, "1TiB", method=None)
Admitter(cluster, score="best")
Admitter(cluster).fail(3)
check("cluster.json")
check(cluster, cancel=True)
place(cluster, progress="bar")
explain(cluster, time_limit="x")
generate(nodes=4, profile="huge")
generate(nodes=4, placed="nowhere")
what_if(cluster, start=3)
what_if(cluster, resize_vms={"db": None})
Node("n", None)
Node(4, 4)
Node("n", 4, state="up")
Node("n", 4, price="1")
Node("n", 4, headroom=[1])
Node("n", 4, max_vm={"memory": None})
Node("n", 4, resources=["vcpu"])
VM("v", 4, movable="hott")
VM("v", 4, 5)
VM("v", 4, priority="high")
VM("v", 4, tags=3)
VM("v", 4, overhead=1.5)
VM("v", 4, protected="no")
Guarantee(restart="any")
Guarantee(failures="one")
Guarantee(policy="worst-fit")
Guarantee(order="biggest")
Guarantee(quorum="half")
Guarantee(scope="rack")
Guarantee(sequence="later")
Guarantee(vms=3)
Guarantee(headroom="10%")
Apart(["a", "b"], must="x")
Apart(["a", "b"], scope="rack")
Together(["a", "b"], weight="heavy")
OnlyOn(["a"], nodes=None)
NotOn(Tag(5), ["n"])
Cluster([VM("v", 4)])
Cluster([], overcommit={"vcpu": "4"})
Cluster([], guarantee={"failures": 2})
cluster.node("n").state == "onlin"
cluster.guarantee.restart == "any"
"""


def errors_of(folder: Path, **programs: str) -> dict[str, list[int]]:
    """The lines of each program in which mypy finds an error."""
    for name, program in programs.items():
        (folder / f"{name}.py").write_text(program)
    files = [str(folder / f"{name}.py") for name in programs]
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", str(folder / "cache"), *files]
    said = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    assert said.stderr == ""
    places = [line.split(":")[:2] for line in said.stdout.splitlines() if ": error: " in line]
    return {name: [int(line) for file, line in places if Path(file).stem == name] for name in programs}


@pytest.mark.slow
def test_right_code_passes_and_each_wrong_call_is_found(tmp_path: Path) -> None:
    found = errors_of(tmp_path, right=RIGHT, wrong=HEAD + WRONG)
    first = len(HEAD.splitlines()) + 2
    assert found == {"right": [], "wrong": list(range(first, first + len(WRONG.split("\n")) - 2))}


def test_signatures_say_at_run_time_what_fields_take() -> None:
    shown = inspect.signature(VM).parameters
    assert [shown[name].annotation for name in ("name", "memory", "node")] == [str, int | str, str | None]
    assert inspect.signature(Guarantee).parameters["restart"].annotation == Literal["planned", "any-order"]
