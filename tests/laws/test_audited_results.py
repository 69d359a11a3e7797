"""Saved results of every kind: the audit confirms them as they are, and objects to every claim that is changed."""

import copy
import json
import re

import pytest
from attrs import evolve
from hypothesis import HealthCheck, given, settings

import vmplace
from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM, Apart, Node, OnlyOn
from vmplace.model.errors import InputError
from vmplace.model.guarantee import Guarantee
from vmplace.testing import clusters


def saved(result):
    """As ``--json`` prints it and a file keeps it."""
    return json.loads(json.dumps(result.to_dict()))


# What is changed: small clusters on which every command has something to say.

TIGHT = Cluster(
    [Node("n1", 100), Node("n2", 100), Node("n3", 100)],
    [VM("a", 60, "n1"), VM("b", 30, "n1"), VM("c", 50, "n2"), VM("d", 20, "n3"), VM("e", 10, "n3", protected=False)],
    [Apart(["b", "d"]), OnlyOn(["c"], ["n1"], must=False)],
)
WAITING = evolve(TIGHT, vms=[*(VM(vm.name, vm.memory, vm.node, priority=1) for vm in TIGHT.vms), VM("w", 5), VM("x", 70)])
BIG = Cluster([Node(f"n{i}", 64) for i in range(4)], [VM(f"v{i}", 8 + i, f"n{i % 2}") for i in range(8)])
ANY = evolve(TIGHT, guarantee=evolve(TIGHT.guarantee, restart="any-order"))
POLICY = evolve(TIGHT, guarantee=evolve(TIGHT.guarantee, policy="first-fit"))
FEW = Cluster([Node(f"n{i}", 64) for i in range(3)], [VM("a", 8, "n0"), VM("b", 9, "n1")])
LOST = Cluster([Node("n1", 10), Node("n2", 8)], [VM("a", 5, "n1"), VM("b", 5, "n1"), VM("c", 2, "n2")])


def sized():
    result = vmplace.size(BIG, Node("node", 64), time_limit=2)
    return result.to_document(), result


COLD = Cluster([Node(f"n{i}", 100) for i in range(3)], [VM("ct", 30, "n0", movable="cold"), VM("a", 40, "n0"), VM("b", 30, "n1")])

RESULTS = {
    "check": lambda: (BIG, vmplace.check(BIG)),
    "check, unsafe": lambda: (LOST, vmplace.check(LOST)),
    "check, waiting": lambda: (WAITING, vmplace.check(WAITING)),
    "check, any order": lambda: (ANY, vmplace.check(ANY)),
    "check, policy": lambda: (POLICY, vmplace.check(POLICY)),
    "repair": lambda: (TIGHT, vmplace.repair(TIGHT)),
    "place": lambda: (BIG, vmplace.place(BIG, objective=("balance", "moves"), move_running=True)),
    "place, waiting": lambda: (BIG2, vmplace.place(BIG2, move_running=True)),
    "place, consolidate": lambda: (BIG, vmplace.place(BIG, objective="consolidate", move_running=True)),
    "place, best effort": lambda: (LOST, vmplace.place(LOST, best_effort=True)),
    "place, infeasible": lambda: (LOST, vmplace.place(LOST)),
    "drain": lambda: (BIG, vmplace.drain(BIG, "n1")),
    "drain, cold": lambda: (COLD, vmplace.drain(COLD, "n0")),
    "rolling drain": lambda: (FEW, vmplace.rolling_drain(FEW, time_limit=10)),
    "check, several": lambda: (SEVERAL, vmplace.check(SEVERAL)),
    "repair, several": lambda: (TIGHTER, vmplace.repair(TIGHTER)),
    "place, several": lambda: (SEVERAL, vmplace.place(SEVERAL, best_effort=True)),
    "drain, several": lambda: (SEVERAL, vmplace.drain(SEVERAL, "n0")),
    "headroom, several": lambda: (SEVERAL, vmplace.headroom(SEVERAL, 8)),
    "tolerance": lambda: (BIG, vmplace.tolerance(BIG)),
    "tolerance, several": lambda: (SEVERAL, vmplace.tolerance(SEVERAL)),
    "explain, several, unsafe": lambda: (SEVERAL_LOST, vmplace.explain(SEVERAL_LOST, time_limit=5)),
    "explain, several": lambda: (SEVERAL_SAFE, vmplace.explain(SEVERAL_SAFE, time_limit=5)),
    "explain, size": lambda: (OVERSIZED, vmplace.explain(OVERSIZED, time_limit=5)),
    "admit, several": lambda: (SEVERAL, vmplace.admit(SEVERAL, "w")),
    "admit": lambda: (BIG2, vmplace.admit(BIG2, "w")),
    "headroom": lambda: (BIG, vmplace.headroom(BIG, 8)),
    "size": sized,
    "explain, unsafe": lambda: (LOST, vmplace.explain(LOST, time_limit=5)),
    "explain": lambda: (TIGHT, vmplace.explain(TIGHT, time_limit=5)),
}
BIG2 = evolve(BIG, vms=[*BIG.vms, VM("w", 12), VM("x", 3, priority=2)])
SEVERAL = evolve(FEW, vms=[*FEW.vms, VM("w", 12)], guarantee=[Guarantee(), Guarantee(failures=2, vms=["a"])])
TIGHTER = evolve(TIGHT, guarantee=[Guarantee(), Guarantee(vms=["a"], restart="any-order")])
SEVERAL_SAFE = evolve(SEVERAL, vms=FEW.vms)
SEVERAL_LOST = evolve(LOST, guarantee=[Guarantee(failures=0), Guarantee(vms=["a", "b"]), Guarantee(restart="any-order")])
OVERSIZED = evolve(FEW, nodes=[evolve(FEW.nodes[0], max_vm={"memory": 4}), *FEW.nodes[1:]])


def leaves(value, place=()):
    """The places of all scalars, and of all lists and mappings."""
    if place:
        yield place
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield from leaves(member, (*place, key))


def name_of(place):
    """As the audit spells it."""
    parts = [f"[{key}]" if isinstance(key, int) else f".{key}" for key in place]
    return "".join(parts).removeprefix(".")


def changes(value):
    """Other values of the same kind."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, int | float):
        yield value + 1
        yield value - 1
    elif isinstance(value, str) and value in STATUSES:
        yield from sorted(STATUSES - {value})
    elif isinstance(value, str):
        yield "nobody"
    elif isinstance(value, list):
        yield from (value[:i] + value[i + 1 :] for i in range(len(value)))
    elif isinstance(value, dict) and not FIXED & set(value):  # a mapping by names
        yield from ({k: v for k, v in value.items() if k != key} for key in value)


FIXED = {"status", "name", "vm", "kind", "step", "rule", "scenario", "nodes", "seconds"}
STATUSES = {"safe", "unsafe", "unknown", "optimal", "feasible", "infeasible", "admitted", "refused"}


def changed(document, place, value):
    document = copy.deepcopy(document)
    inner = document
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return document


def objects(cluster, document, open_):
    """Whether an audit refutes a result, refuses it, or lists a claim as not verified that was verified before."""
    try:
        audit = vmplace.audit_result(cluster, document)
    except InputError:
        return True
    return audit.status != "confirmed" or not {claim_of(left) for left in audit.unchecked} <= open_


def claim_of(left):
    return re.sub(r"\[\d+\]", "[]", left.claim)


@pytest.mark.parametrize("kind", RESULTS)
def test_every_claim_that_is_changed_is_found(kind):
    cluster, result = RESULTS[kind]()
    document = saved(result)
    audit = vmplace.audit_result(cluster, document)
    assert audit.status == "confirmed", audit.violations
    open_ = {claim_of(left) for left in audit.unchecked}
    missed = []
    for place in leaves(document):
        name = re.sub(r"(scenarios|unprotected)(\.[^.]+|\[\d+\])", r"\1[]", name_of(place))
        name = re.sub(r"\[\d+\]", "[]", name)
        if any(name == claim or name.startswith((f"{claim}.", f"{claim}[")) for claim in open_):
            continue
        value = document
        for key in place:
            value = value[key]
        for other in changes(value):
            if not claims_less(name, value, other) and not objects(cluster, changed(document, place, other), open_):
                missed.append((name, value, other))
    assert missed == []


def claims_less(name, value, other):
    """Whether a change leaves a claim that is as right, or only weaker."""
    return (
        (name.endswith("status") and (value, other) in {("optimal", "feasible"), ("safe", "unknown")})
        or name.endswith("minimal")  # true where it is verified
        or name in {"migrations[].step", "groups[].solution.migrations[].step", "tightest", "remedies"}
    )


def test_nothing_that_is_asserted_is_left_out_of_the_listing():
    """A key that the audit does not know is listed, wherever it stands."""
    document = saved(vmplace.repair(TIGHT)) | {"novel": 1}
    document["objective"]["extra"] = 2
    left = {entry.claim for entry in vmplace.audit_result(TIGHT, document).unchecked}
    assert {"novel", "objective.extra"} <= left


def test_each_failure_is_blamed_or_called_undecided():
    nodes = [Node(name, 10) for name in "abc"]
    cluster = Cluster(nodes, [VM(f"v{i}", 8, "abc"[i]) for i in range(3)])
    document = saved(vmplace.explain(cluster))
    assert [blame["subject"] for blame in document["blames"]] == ["a", "b", "c"]
    document |= {"blames": document["blames"][1:], "unfinished": ["what it would take to add up to four nodes"]}
    (found,) = vmplace.audit_result(cluster, document).violations
    assert found.message == "do not name a, which is not survived"
    assert vmplace.audit_result(cluster, document | {"undecided": ["a"]}).violations == ()
    (found,) = vmplace.audit_result(cluster, document | {"undecided": ["a", "x"]}).violations
    assert found.message == "names 'x', which is not a failure scenario"


CALLS = {
    "check": vmplace.check,
    "check, no time": lambda cluster: vmplace.check(cluster, time_limit=0),
    "place": vmplace.place,
    "balance": lambda cluster: vmplace.place(cluster, objective=("balance", "moves"), move_running=True),
    "slack": lambda cluster: vmplace.place(cluster, objective=(("balance", 0.2), "rules", "moves"), move_running=True),
    "consolidate": lambda cluster: vmplace.place(cluster, objective=("consolidate", "moves"), move_running=True),
    "best effort": lambda cluster: vmplace.place(cluster, best_effort=True, move_running=True),
    "repair": lambda cluster: vmplace.repair(cluster, method="greedy"),
    "drain": lambda cluster: vmplace.drain(cluster, cluster.nodes.names[0]),
    "rolling drain": lambda cluster: vmplace.rolling_drain(cluster, time_limit=1),
    "headroom": lambda cluster: vmplace.headroom(cluster, {2: 1, 3: 1}, pool=cluster.pools[0], time_limit=1),
    "tolerance": lambda cluster: vmplace.tolerance(cluster, time_limit=1),
    "admit": lambda cluster: vmplace.admit(cluster, [vm.name for vm in cluster.vms if vm.node is None], time_limit=1),
    "explain": lambda cluster: vmplace.explain(cluster, time_limit=0.3),
    "explain, no time": lambda cluster: vmplace.explain(cluster, time_limit=0),
}

FEATURES = {
    "min_nodes": 1,
    "max_vms": 5,
    "domains": True,
    "resources": True,
    "evictable": True,
    "targets": True,
    "policies": True,
    "failures": (1, 1, 1, 0, 2),
    "restart": ("planned", "planned", "any-order"),
    "sequences": ("at-once", "at-once", "sequential"),
}
DRAWN, SEVERAL_DRAWN = clusters(**FEATURES), clusters(**FEATURES, most_guarantees=3)


LISTS = (
    "check",
    "check, no time",
    "place",
    "balance",
    "slack",
    "consolidate",
    "best effort",
    "repair",
    "drain",
    "rolling drain",
    "headroom",
    "tolerance",
    "admit",
    "explain",
    "explain, no time",
)
"""The calls that take a list of guarantees."""


def never_refuted(name, drawn, examples):
    """What a call says of clusters that are drawn is right to the audit, if it says anything."""

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(drawn)
    def trial(cluster):
        try:
            result = CALLS[name](cluster)
        except InputError:
            return
        audit = vmplace.audit_result(cluster, saved(result))
        assert audit.status != "refuted", audit.violations

    trial()


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("examples", [6, pytest.param(150, marks=pytest.mark.slow)])
def test_what_is_right_is_never_refuted(name, examples):
    never_refuted(name, DRAWN, examples)


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("examples", [5, pytest.param(150, marks=pytest.mark.slow)])
def test_what_is_right_of_several_guarantees_is_never_refuted(name, examples):
    never_refuted(name, SEVERAL_DRAWN, examples)
