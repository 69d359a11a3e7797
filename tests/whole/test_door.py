"""What public functions do with arguments of wrong types and values: an answer, or an error that names the argument."""

import inspect
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import vmplace
from vmplace import VM, Admitter, Apart, Cluster, Guarantee, InputError, Node, NotOn, OnlyOn, Tag, Together, VMPlaceError
from vmplace.formats.document import dumps

NODES = [Node("n1", 64), Node("n2", 64), Node("n3", 64)]
VMS = [VM("a", 8, "n1"), VM("b", 16, "n2"), VM("w", 4)]
CLUSTER = Cluster(NODES, VMS, date="2026-01-01")
SOLUTION = vmplace.place(CLUSTER)
NEW = VM("z", 4)


class Odd:
    """Nothing that any function asks for, and hostile in what can be asked of it."""

    def __repr__(self) -> str:
        return "<\x1b[2Jodd\n>"

    def __bool__(self) -> bool:
        raise AssertionError("its truth was asked for")

    def __eq__(self, other: object) -> bool:
        raise AssertionError("it was compared")

    __hash__ = None  # type: ignore[assignment]


def wrong_values() -> Iterator[Any]:
    yield from (None, True, -1, 0, 1.5, float("nan"), float("inf"), -float("inf"), 10**30, 3 + 4j)
    yield from ("", "x", "../cluster.json", "\x1b[2J", b"x", "9" * 5000)
    yield from ([], (), {}, set(), [None], [1], ["x"], {"a": None}, {1: 2}, {"x"}, [[["x"]]], range(3), (x for x in [1]))
    yield from (np.array([1, 2]), np.array([0.5]), np.array([[1]]), np.array(1), np.array(["n1"]), np.float64(1.5))
    yield from (Odd(), Odd, len, SOLUTION, NODES[0], VMS[0], CLUSTER, Guarantee(), threading.Lock())


def admitter() -> Admitter:
    return Admitter(CLUSTER)


LIMITED: dict[str, Any] = {"time_limit": 1, "progress": None, "cancel": None}
SOLVED: dict[str, Any] = {"method": "greedy", "seed": 0, "deterministic": False, **LIMITED}
ORDERED: dict[str, Any] = {
    "max_moves": None,
    "max_migrated": None,
    "parallel": None,
    "parallel_per_node": None,
    "bandwidth": None,
}
PLACED: dict[str, Any] = {"objective": "moves", "ordered": True, **ORDERED, **SOLVED}
COUNTED: dict[str, Any] = {"pool": None, "resources": None, "move_running": False, **SOLVED}

CALLS: dict[str, tuple[Callable[[], Callable[..., Any]], dict[str, Any]]] = {
    "check": (lambda: vmplace.check, {"cluster": CLUSTER, "compare": False, **LIMITED}),
    "place": (lambda: vmplace.place, {"cluster": CLUSTER, "move_running": False, "best_effort": False, **PLACED}),
    "repair": (lambda: vmplace.repair, {"cluster": CLUSTER, "best_effort": False, **PLACED}),
    "drain": (lambda: vmplace.drain, {"cluster": CLUSTER, "nodes": ["n1"], "best_effort": False, **PLACED}),
    "rolling_drain": (lambda: vmplace.rolling_drain, {"cluster": CLUSTER, **PLACED}),
    "plan_moves": (lambda: vmplace.plan_moves, {"cluster": CLUSTER, "placement": {"a": "n2"}, "seed": 0, **ORDERED, **LIMITED}),
    "admit": (lambda: vmplace.admit, {"cluster": CLUSTER, "vm": NEW, "make_room": False, **LIMITED}),
    "headroom": (lambda: vmplace.headroom, {"cluster": CLUSTER, "memory": 8, **COUNTED}),
    "headroom_table": (lambda: vmplace.headroom_table, {"cluster": CLUSTER, "sizes": [8], **COUNTED}),
    "size": (lambda: vmplace.size, {"cluster": CLUSTER, "node": 64, "most": None, "growth": 0, "pool": None, **SOLVED}),
    "explain": (lambda: vmplace.explain, {"cluster": CLUSTER, **LIMITED}),
    "tolerance": (lambda: vmplace.tolerance, {"cluster": CLUSTER, "pool": None, **LIMITED}),
    "trend": (lambda: vmplace.trend, {"clusters": [CLUSTER], **LIMITED}),
    "what_if": (
        lambda: vmplace.what_if,
        {
            "cluster": CLUSTER,
            "add_nodes": (),
            "remove_nodes": (),
            "add_vms": (),
            "remove_vms": (),
            "resize_vms": None,
            "start": (),
        },
    ),
    "audit": (
        lambda: vmplace.audit,
        {"cluster": CLUSTER, "placement": SOLUTION.placement, "failover": None, "powered": None, "drained": ()},
    ),
    "audit_result": (lambda: vmplace.audit_result, {"cluster": CLUSTER, "result": vmplace.check(CLUSTER)}),
    "dump": (lambda: vmplace.dump, {"cluster": CLUSTER, "path": "out.json", "form": None}),
    "load": (lambda: vmplace.load, {"path": "in.json"}),
    "generate": (
        lambda: vmplace.generate,
        {"nodes": 4, "node_memory": "64GiB", "fill": 0.5, "profile": "azure", "seed": 1, "placed": "none"},
    ),
    "Admitter": (lambda: Admitter, {"cluster": CLUSTER, "score": "tightest", "time_limit": 1, "clock": time.time}),
    "Admitter.admit": (lambda: admitter().admit, {"vms": NEW, "make_room": False, **LIMITED}),
    "Admitter.candidates": (lambda: admitter().candidates, {"vm": NEW, "nodes": ["n1"], **LIMITED}),
    "Admitter.sync": (lambda: admitter().sync, {"cluster": CLUSTER, "time_limit": 1}),
    "Admitter.commit": (lambda: admitter().commit, {"vm": NEW, "node": "n1", "force": False, "time_limit": 1}),
    "Admitter.remove": (lambda: admitter().remove, {"name": "a"}),
    "Admitter.move": (lambda: admitter().move, {"name": "a", "node": "n2", "force": False, "time_limit": 1}),
    "Admitter.resize": (lambda: admitter().resize, {"name": "a", "memory": 9, "force": False, "time_limit": 1}),
    "Admitter.fail": (lambda: admitter().fail, {"node": "n1"}),
    "Admitter.recover": (lambda: admitter().recover, {"node": "n1"}),
    "Admitter.reserve": (lambda: admitter().reserve, {"vms": NEW, "node": None, "expires_in": 60, "time_limit": 1}),
    "Admitter.verdicts": (lambda: admitter().verdicts, {"time_limit": 1}),
    "Admitter.save": (lambda: admitter().save, {"path": "out.json"}),
    "Admitter.load": (lambda: Admitter.load, {"path": "in.json"}),
    "Node": (
        lambda: Node,
        {
            "name": "n",
            "memory": 8,
            "reserve": 0,
            "state": "online",
            "domain": None,
            "pool": "p",
            "tags": (),
            "price": 1,
            "headroom": None,
            "max_vm": {},
        },
    ),
    "VM": (
        lambda: VM,
        {
            "name": "a",
            "memory": 8,
            "node": None,
            "target": None,
            "running": True,
            "movable": True,
            "priority": 0,
            "meta": {},
            "overhead": 0,
            "home": None,
            "used": None,
        },
    ),
    "Apart": (lambda: Apart, {"name": None, "vms": ["a"], "scope": "node", "must": True, "weight": 1, "during_failover": True}),
    "Together": (lambda: Together, {"vms": ["a"], "must": True, "weight": 1}),
    "OnlyOn": (lambda: OnlyOn, {"vms": ["a"], "nodes": ["n"], "must": True, "weight": 1}),
    "NotOn": (lambda: NotOn, {"vms": ["a"], "nodes": ["n"], "must": True, "weight": 1}),
    "Tag": (lambda: Tag, {"tag": "x"}),
    "Guarantee": (
        lambda: Guarantee,
        {"failures": 1, "scope": "node", "sequence": "at-once", "restart": "planned", "headroom": 0},
    ),
    "Cluster": (
        lambda: Cluster,
        {"nodes": NODES, "vms": VMS, "rules": (), "guarantee": Guarantee(), "overcommit": {}, "soft_resources": (), "date": None},
    ),
    "Cluster.from_arrays": (
        lambda: Cluster.from_arrays,
        {
            "node_memory": [8, 8],
            "vm_memory": [1],
            "vm_node": None,
            "vm_overhead": None,
            "node_names": None,
            "vm_names": None,
            "guarantee": None,
        },
    ),
    "Cluster.from_frame": (
        lambda: Cluster.from_frame,
        {"vms": {"name": ["a"], "memory": [1]}, "nodes": {"name": ["n"], "memory": [9]}, "rules": (), "guarantee": None},
    ),
    "MigrationPlan.drawn": (lambda: vmplace.plan_moves(CLUSTER, {"a": "n2"}).drawn, {"form": "sh"}),
}

NAMED_AS = {"vms": ("vms", "vm", "name"), "vm": ("vm", "vms", "name"), "nodes": ("nodes", "vms", "rules"), "result": ("|.*",)}
"""The places that flaws of an argument may name: VMs of a cluster without nodes are on nodes that are missing."""


def test_every_public_function_is_in_the_table() -> None:
    functions = {name for name in vmplace.__all__ if inspect.isfunction(getattr(vmplace, name))}
    assert functions <= set(CALLS)
    assert {name for name, _ in inspect.getmembers(Admitter, inspect.isfunction) if name[0] != "_"} == {
        call.removeprefix("Admitter.") for call in CALLS if call.startswith("Admitter.") and call != "Admitter.load"
    }


@pytest.mark.parametrize("call", list(CALLS))
def test_each_argument_is_checked(call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.json").write_text(dumps(CLUSTER))
    found, right = CALLS[call]
    found()(**right)
    leaks = [leak for argument in right for value in wrong_values() if (leak := _leak(found(), right, argument, value))]
    assert leaks == []


def _leak(function: Callable[..., Any], right: dict[str, Any], argument: str, value: Any) -> str | None:
    """What is wrong with the error that a wrong value leads to, if it leads to one."""
    if argument == "progress" and callable(value):
        return None  # what the caller's own function raises is his
    try:
        function(**{**right, argument: value})
    except InputError as error:
        wanted = NAMED_AS.get(argument, (argument,))
        if error.flaws and all(re.match(rf"({'|'.join(wanted)})(?!\w)", flaw.place) for flaw in error.flaws):
            return None
        return f"{argument}: {error}"
    except OSError:
        return None if argument == "path" else f"{argument}: OSError"
    except Exception as error:
        return f"{argument}={type(value).__name__}: {type(error).__name__}: {error}"
    return None


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: vmplace.check("cluster.json"), "cluster: 'cluster.json' is not a Cluster: give one, as vmplace.load(path) does"),
        (lambda: vmplace.check(CLUSTER, cancel=True), "cancel: True is not an event: give a threading.Event"),
        (lambda: vmplace.place(CLUSTER, progress="bar"), "progress: 'bar' is not a function: give one"),
        (lambda: vmplace.place(CLUSTER, best_effort="no"), "best_effort: 'no' is not true or false: give True or False"),
        (lambda: vmplace.place(CLUSTER, time_limit="60"), "time_limit: '60' is not a number of seconds: write 0 or more"),
        (lambda: vmplace.drain(CLUSTER, [NODES[0], 3]), "nodes[1]: 3 is not a name: give one"),
        (lambda: Cluster([None], []), "nodes[0]: None is not a Node: give one"),
        (lambda: admitter().remove("aa"), "name: 'aa' is not a VM of this cluster; did you mean 'a'?"),
    ],
)
def test_what_is_said(call: Callable[[], Any], said: str) -> None:
    with pytest.raises(VMPlaceError) as caught:
        call()
    assert said in str(caught.value)


def test_the_original_signature_stays() -> None:
    names = list(inspect.signature(vmplace.check).parameters)
    assert (names[0], names[-3:]) == ("cluster", ["time_limit", "progress", "cancel"])
    assert vmplace.check.__doc__
    with pytest.raises(TypeError, match="unexpected keyword argument 'best_efort'"):
        vmplace.drain(CLUSTER, "n1", best_efort=True)  # type: ignore[call-arg,unused-ignore]


def test_a_generator_of_names_is_not_used_up() -> None:
    assert vmplace.drain(CLUSTER, (name for name in ["n1"])).drained == ("n1",)
