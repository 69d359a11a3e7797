"""What a guarantee may say: situations that people described, each with the right answer."""

import json
import random
import time
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

import vmplace
from tests.support.brute import World
from tests.support.conjunctions import alone
from vmplace import VM, Apart, Cluster, Guarantee, InputError, Node
from vmplace.cli import main
from vmplace.failover.check import AnyOrderOutlook
from vmplace.formats.structure import from_document
from vmplace.testing import clusters

CASES = Path(__file__).parent / "guarantee"


def five(**asked):
    """Five nodes with two small VMs."""
    return Cluster([Node(f"n{i}", 100) for i in range(5)], [VM("a", 10, "n0"), VM("b", 10, "n1")], (), Guarantee(**asked))


# Quorum


def test_a_failure_that_leaves_too_few_nodes_is_not_survived_whatever_the_memory_says(tmp_path, capsys):
    found = vmplace.check(five(failures=3, quorum="majority"))
    assert found.status == "unsafe"
    assert {loss.reason for loss in found.unprotected} == {"2 of 5 nodes would be left; quorum needs 3"}
    assert all(loss.minimal for loss in found.unprotected)
    assert found.scenarios["n2+n3+n4"].status == "unsafe"  # nothing of the pool restarts then
    vmplace.dump(five(failures=3), tmp_path / "c.json")
    assert main(["check", str(tmp_path / "c.json"), "--quorum", "majority"]) == 1
    assert "2 of 5 nodes would be left; quorum needs 3" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("quorum", "failures", "status"), [("majority", 2, "safe"), (3, 2, "safe"), (4, 2, "unsafe"), (5, 0, "safe")]
)
def test_as_many_as_the_quorum_needs_are_enough(quorum, failures, status):
    asked = five(quorum=quorum, failures=failures)
    found = vmplace.check(asked)
    assert found.status == status
    assert (vmplace.audit(asked, found.placement, found.failover) == []) == (status == "safe")


def test_a_node_in_maintenance_counts_and_one_that_is_offline_does_not():
    asked = five(quorum="majority", failures=2)
    for state, status in (("maintenance", "safe"), ("offline", "unsafe")):
        nodes = [evolve(node, state=state) if node.name == "n4" else node for node in asked.nodes]
        assert vmplace.check(evolve(asked, nodes=nodes)).status == status


def test_where_nothing_protected_runs_no_quorum_is_needed():
    asked = five(quorum=5)
    idle = [*asked.nodes, Node("m0", 10, pool="idle")]
    vms = [evolve(vm, protected=False) for vm in asked.vms]
    assert vmplace.check(evolve(asked, nodes=idle, vms=vms)).status == "safe"
    assert vmplace.check(evolve(asked, nodes=idle)).pools == {"default": "unsafe", "idle": "safe"}


def test_what_the_quorum_forbids_is_infeasible_with_that_conflict():
    found = vmplace.repair(five(quorum=5))
    assert (found.status, found.conflict.kind, found.conflict.need, found.conflict.free) == ("infeasible", "quorum", 5, 4)
    assert found.reason == "a failure of the largest would leave 4 of 5 nodes; quorum needs 5"
    assert vmplace.headroom(five(quorum=5), 5).status == "infeasible"
    assert vmplace.admit(five(quorum=5), VM("z", 5)).status == "refused"


@pytest.mark.parametrize(("quorum", "failures", "on", "bought"), [(3, 1, 4, 4), ("majority", 1, 4, 3), ("majority", 2, 5, 5)])
def test_as_many_nodes_stay_on_and_are_bought_as_the_quorum_needs(quorum, failures, on, bought):
    asked = five(quorum=quorum, failures=failures)
    found = vmplace.place(asked, objective="consolidate", move_running=True)
    assert (found.status, found.objective) == ("optimal", on)
    sized = vmplace.size(asked, 60)
    assert (sized.status, sized.objective) == ("optimal", bought)


def test_explain_says_what_would_help():
    found = vmplace.explain(five(quorum=5))
    assert found.status == "infeasible"
    assert any(remedy.kind == "node" and remedy.verified for remedy in found.remedies)


quorate = clusters(
    max_nodes=4, max_vms=4, placed="all", pools=False, failures=(1, 2), domains=True, evictable=True, policies=True, quorums=True
)


@settings(max_examples=25, deadline=None)
@given(quorate, st.integers(1, 3))
def test_what_is_admitted_never_makes_a_safe_cluster_unsafe(cluster, memory):
    found = vmplace.Admitter(cluster).candidates(VM("new", memory))
    for node in [node.node for node in found if node.status == "admitted"] if vmplace.check(cluster).status == "safe" else ():
        assert vmplace.check(evolve(cluster, vms=[*cluster.vms, VM("new", memory, node)])).status == "safe"


def test_the_first_vm_of_a_pool_is_refused_where_another_failure_would_cost_the_quorum():
    nodes = [Node("a", 9), Node("b", 9), Node("c", 9, domain="r"), Node("d", 9, domain="r"), Node("e", 9, domain="r")]
    alone = Cluster(nodes, (), (), Guarantee(scope="domain", quorum="majority"))
    assert vmplace.check(alone).status == "safe"
    assert vmplace.admit(alone, VM("v", 1)).status == "refused"


# The policy that does not look at memory


def test_the_node_that_runs_the_fewest_vms_takes_the_restart_and_is_overfull(capsys):
    file = str(CASES / "fewest-vms.json")
    assert main(["check", file]) == 1
    assert "72 of 64 GiB on n2" in capsys.readouterr().out
    found = vmplace.check(vmplace.load(file))
    assert [(loss.scenario, loss.vms) for loss in found.unprotected if loss.scenario == "n1"] == [("n1", ("w",))]
    assert vmplace.check(vmplace.what_if(found.cluster, guarantee={"policy": "first-fit"})).scenarios["n1"].status == "safe"


def test_ties_go_to_the_first_node_by_name_not_by_place():
    nodes = [Node("z", 8), Node("y", 8), Node("b", 8), Node("a", 8)]
    cluster = Cluster(nodes, [VM("v", 2, "z"), VM("w", 2, "z")], (), Guarantee(policy="fewest-vms"))
    found = vmplace.check(cluster)
    assert (found.status, found.failover["z"]) == ("safe", {"v": "a", "w": "b"})
    assert vmplace.audit(cluster, found.placement, found.failover) == []
    assert vmplace.audit(cluster, found.placement, {"z": {"v": "b", "w": "a"}}) != []


def test_a_placement_is_found_that_the_policy_leaves_right():
    found = vmplace.repair(vmplace.load(CASES / "fewest-vms.json"), time_limit=2)
    assert found.status in ("optimal", "feasible")
    assert vmplace.check(found.to_document()).status == "safe"


# An answer as soon as the verdict is known


def test_a_vm_that_is_certainly_lost_in_turn_is_listed():
    nodes, asked = [Node("n0", 8), Node("n2", 8)], Guarantee(failures=2, restart="any-order", sequence="sequential")
    vms = [VM("v0", 4, "n0"), VM("v1", 4, "n2")]
    for rules in ([], [Apart(["v0", "v1"])]):
        found = vmplace.check(Cluster(nodes, [*vms, VM("new3", 3, "n0")], rules, asked))
        assert [(loss.scenario, set(loss.vms), loss.minimal) for loss in found.unprotected] == [
            ("n0+n2", {"v0", "v1", "new3"}, True)
        ]
        candidates = vmplace.Admitter(Cluster(nodes, vms, rules, asked)).candidates(VM("new3", 3))
        assert {node.status.value for node in candidates} == {"refused"}


def odd_sizes():
    """Twelve nodes with 900 VMs of odd sizes, so full that no failure is survived."""
    chance, vms = random.Random(3), []
    for node in range(12):
        left = 92_600
        while (memory := chance.randrange(800, 1600)) <= left:
            vms.append(VM(f"v{len(vms)}", memory, f"n{node}"))
            left -= memory
    return Cluster([Node(f"n{i}", 100_000) for i in range(12)], vms)


def test_how_little_is_left_out_is_looked_for_no_longer_than_a_second():
    begun = time.monotonic()
    found = vmplace.check(odd_sizes())
    assert time.monotonic() - begun < 20  # it was never
    assert found.status == "unsafe"
    assert len(found.unprotected) == 12
    assert not all(loss.minimal for loss in found.unprotected)


def test_the_least_is_proved_where_that_is_asked(tmp_path, capsys):
    cluster = Cluster(
        [Node("n1", 100), *(Node(f"m{i}", 20) for i in range(2))],
        [*(VM(f"a{i}", m, "n1") for i, m in enumerate((2, 3, 3, 4, 6, 7))), VM("b", 9, "m0"), VM("c", 11, "m1")],
    )
    found = vmplace.check(cluster, thorough=True)
    assert [(loss.scenario, loss.minimal) for loss in found.unprotected] == [("n1", True)]
    vmplace.dump(cluster, tmp_path / "c.json")
    assert main(["check", str(tmp_path / "c.json"), "--thorough"]) == 1
    assert "perhaps fewer" not in capsys.readouterr().out


NO_TIME = [
    (["check", "no-time-policy.yaml", "--time-limit", "0", "--json"], 3),
    (["show", "no-time-shown.json", "--time-limit", "0", "--json"], 3),
    (["explain", "no-time-explained.yaml", "--time-limit", "0.3", "--json"], 0),
]


@pytest.mark.parametrize(("arguments", "status"), NO_TIME)
def test_without_time_under_a_policy_the_answer_is_unknown_and_whole(arguments, status, capsys):
    command, file, *options = arguments
    assert main([command, str(CASES / file), *options]) in (status, 3)
    out, err = capsys.readouterr()
    assert "internal error" not in err
    assert json.loads(out)["status"] in ("unknown", "unsafe", "infeasible", "optimal", "feasible", "safe")


def test_a_policy_without_time_is_unknown_not_an_error():
    one = Cluster([Node("n1", 1), Node("n2", 1)], [VM("vm1", 1, "n2")], (), Guarantee(policy="first-fit"))
    found = vmplace.check(one, time_limit=0)
    assert (found.status, dict(found.failover)) == ("unknown", {"n1": {}})
    two = Cluster([Node("n1", 1), Node("n2", 3)], [VM("vm1", 1), VM("vm2", 1)], (), Guarantee(policy="best-fit"))
    assert vmplace.explain(two).status == "infeasible"
    assert vmplace.explain(two, time_limit=0).status in ("infeasible", "unknown")


# Which restarts are meant


TIGHT = Cluster([Node("n1", 10), Node("n2", 4), Node("n3", 5)], [VM("a", 4, "n1"), VM("b", 5, "n1")])


@pytest.mark.parametrize(
    ("cluster", "status", "line"),
    [
        (five(), "safe", "In any order of restarts, too: yes."),
        (
            TIGHT,
            "unsafe",
            "In any order of restarts: no. For example, if n1 fails (--all shows how).",
        ),
    ],
)
def test_a_safe_report_says_whether_it_would_hold_in_any_order(cluster, status, line, tmp_path, capsys):
    found = vmplace.check(cluster)
    assert (found.status, found.any_order.status, found.to_dict()["any_order"]["status"]) == ("safe", status, status)
    vmplace.dump(cluster, tmp_path / "c.json")
    assert main(["check", str(tmp_path / "c.json")]) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[:2] == ["SAFE: any single node can fail and every VM restarts (planned restarts)", line]
    assert ("if it chooses nodes itself, use --restart any-order" in said) == (status == "unsafe")
    assert main(["check", str(tmp_path / "c.json"), "--all"]) == 0
    how = "n1: b (5 MiB) on n1 finds no node if the HA manager restarts a on n3 first"
    assert (how in capsys.readouterr().out) == (status == "unsafe")


def test_more_failures_than_there_are_nodes_are_told_as_such(tmp_path, capsys):
    vmplace.dump(five(), tmp_path / "c.json")
    assert main(["check", str(tmp_path / "c.json"), "--failures", "9"]) == 1
    assert "1 of 1 failure of 9 nodes (there are only 5)" in capsys.readouterr().out


def test_without_time_for_it_the_other_restarts_are_left_open():
    found = vmplace.check(TIGHT)
    assert AnyOrderOutlook(found.witness.names, found.witness.verdict, 0)().status == "unknown"


def test_where_restarts_are_not_planned_or_not_safe_nothing_is_said_beside():
    for asked in ({"restart": "any-order"}, {"policy": "first-fit"}, {"failures": 0}):
        assert vmplace.check(five(**asked)).any_order is None
    assert vmplace.check(five(failures=5)).any_order is None


@settings(max_examples=60, deadline=None)
@given(clusters(max_nodes=4, max_vms=5, placed="all", failures=(1, 1, 2), evictable=True, domains=True))
def test_what_is_said_beside_is_what_a_check_of_any_order_says(cluster):
    found = vmplace.check(cluster)
    if found.any_order is not None and found.any_order.status != "unknown":
        assert found.any_order.status == vmplace.check(vmplace.what_if(cluster, guarantee={"restart": "any-order"})).status


# One domain and one more node; some VMs only


def test_a_site_and_one_more_node_at_once(tmp_path, capsys):
    file = str(CASES / "site-and-node.json")
    assert main(["check", file]) == 1
    assert "failures of 1 failure domain and 1 further node are not survived" in capsys.readouterr().out
    seven = vmplace.load(file)
    assert list(vmplace.check(seven).scenarios)[:2] == ["dc1-+dc2-0", "dc1-0+dc2-"]
    six = vmplace.what_if(seven, remove_vms=[vm.name for vm in seven.vms if vm.name.endswith("-v6")])
    found = vmplace.check(six)
    assert (found.status, len(found.scenarios)) == ("safe", 10)
    assert vmplace.audit(six, found.placement, found.failover) == []
    assert main(["check", file, "--json"]) == 1
    (tmp_path / "r.json").write_text(capsys.readouterr().out)
    assert main(["audit", file, str(tmp_path / "r.json")]) == 0
    assert main(["tolerance", file, "--scope", "domain"]) == 0  # the number of failures in the document does not matter


def test_a_site_and_a_node_may_be_asked_for_by_option(tmp_path):
    path, out = str(CASES / "site-and-node.json"), str(tmp_path / "out.json")
    assert main(["convert", path, "--failures", "1", "-o", out]) == 0
    assert vmplace.load(out).guarantee == Guarantee()
    assert main(["convert", out, "--failures", "domain=1,node=1", "-o", out]) == 0
    assert vmplace.load(out) == vmplace.load(path)
    assert json.loads(Path(out).read_text())["guarantee"] == {"failures": {"domain": 1, "node": 1}}


def test_kinds_of_failures():
    assert Guarantee(failures={"domain": 2}) == Guarantee(failures=2, scope="domain")
    assert Guarantee(failures={"node": 2}) == Guarantee(failures=2)
    both = Guarantee(failures={"domain": 1, "node": 2})
    assert (both.failures, both.domains, both.scope) == (3, 1, "node")
    assert vmplace.what_if(five(failures={"domain": 1, "node": 1}), guarantee={"failures": 2}).guarantee == Guarantee(failures=2)
    for wrong in ({"rack": 1}, {}, {"domain": -1}, {"domain": 1, "node": True}):
        with pytest.raises(InputError, match=r"^failures"):
            Guarantee(failures=wrong)
    with pytest.raises(InputError, match=r"^sequence"):
        Guarantee(failures={"domain": 1, "node": 1}, sequence="sequential")


@pytest.mark.parametrize("vms", [{"tag": "hana"}, ["hana0", "hana1"]])
def test_only_the_vms_that_are_named_are_protected(vms, tmp_path):
    cluster = vmplace.load(CASES / "per-vm-failures.json")
    tagged = [evolve(vm, tags=["hana"]) if vm.name.startswith("hana") else vm for vm in cluster.vms]
    asked = evolve(cluster, vms=tagged, guarantee=Guarantee(failures=2, vms=vms))
    found = vmplace.check(asked)
    assert (found.status, set(found.failover["k0+k1"])) == ("safe", {"hana0", "hana1"})
    assert vmplace.audit(asked, found.placement, found.failover) == []
    assert vmplace.audit(asked, found.placement, {**found.failover, "k0+k2": {"hana0": "k3", "m2": "k3"}}) != []
    assert vmplace.check(evolve(asked, guarantee=Guarantee(failures=2))).status == "unsafe"
    vmplace.dump(asked, tmp_path / "c.yaml")
    assert vmplace.load(tmp_path / "c.yaml") == asked


def test_a_vm_that_is_named_and_not_there_is_warned_about():
    assert vmplace.check(five(vms=["a", "ghost"])).warnings == ("guarantee.vms: no VM is called 'ghost'",)
    assert vmplace.check(five(vms={"tag": "none"})).warnings == ("guarantee.vms: no VM has the tag 'none'",)


# Several guarantees


def per_vm():
    """Two VMs that are to survive two failures, and all that are to survive one."""
    cluster = vmplace.load(CASES / "per-vm-failures.json")
    tagged = [evolve(vm, tags=["hana"]) if vm.name.startswith("hana") else vm for vm in cluster.vms]
    return evolve(cluster, vms=tagged, guarantee=[Guarantee(), Guarantee(failures=2, vms={"tag": "hana"})])


def test_all_of_several_guarantees_hold(tmp_path, capsys):
    asked = per_vm()
    found = vmplace.check(asked)
    assert (found.status, [part.status.value for part in found.guarantees]) == ("safe", ["safe", "safe"])
    assert next(key for key in found.scenarios if key.startswith("2++")) == "2++k0+k1"
    assert set(found.failover["2++k0+k1"]) == {"hana0", "hana1"}
    assert vmplace.audit(asked, found.placement, found.failover) == []
    path, result = tmp_path / "c.json", tmp_path / "r.json"
    vmplace.dump(asked, path)
    assert vmplace.load(path) == asked
    assert main(["check", str(path)]) == 0
    assert capsys.readouterr().out.splitlines()[:3] == [
        "SAFE: 2 of 2 guarantees hold",
        "guarantee 1: SAFE: any single node can fail and every VM restarts (planned restarts)",
        "guarantee 2: SAFE: any 2 nodes can fail at once and every VM that the guarantee names restarts (planned restarts)",
    ]
    assert main(["check", str(path), "--json"]) == 0
    result.write_text(capsys.readouterr().out)
    assert json.loads(result.read_text())["guarantees"] == [{"status": "safe", "pools": {"default": "safe"}}] * 2
    assert main(["audit", str(path), str(result)]) == 0


def test_one_of_several_that_does_not_hold_is_told_with_its_number(tmp_path, capsys):
    asked = vmplace.what_if(per_vm(), guarantee=[Guarantee(), Guarantee(failures=2)])
    found = vmplace.check(asked)
    assert (found.status, [part.status.value for part in found.guarantees]) == ("unsafe", ["safe", "unsafe"])
    assert {loss.scenario[:3] for loss in found.unprotected} == {"2++"}
    lost = vmplace.audit(asked, found.placement, found.failover)
    assert {(v.kind, v.subject[:3], v.message[:13]) for v in lost} == {("unprotected", "2++", "guarantee 2: ")}
    path, result = tmp_path / "c.json", tmp_path / "r.json"
    vmplace.dump(asked, path)
    assert main(["check", str(path)]) == 1
    assert capsys.readouterr().out.startswith("UNSAFE: 1 of 2 guarantees hold")
    assert main(["check", str(path), "--guarantee", "1"]) == 0
    assert main(["check", str(path), "--guarantee", "3"]) == 2
    assert main(["check", str(path), "--failures", "1"]) == 0  # in each
    capsys.readouterr()
    assert main(["check", str(path), "--json"]) == 1
    result.write_text(capsys.readouterr().out)
    assert main(["audit", str(path), str(result)]) == 0  # what it says is right
    told = json.loads(result.read_text())
    told["guarantees"][1] = told["guarantees"][0]
    result.write_text(json.dumps(told | {"status": "safe", "guarantee": "safe", "pools": {"default": "safe"}}))
    assert main(["audit", str(path), str(result)]) == 1
    assert "guarantee 2: " in capsys.readouterr().out


def test_policies_are_compared_under_each_guarantee(tmp_path, capsys):
    cluster = per_vm()
    rows = vmplace.check(cluster, compare=True).comparison
    for number, asked in enumerate(cluster.guarantees, 1):
        alone = vmplace.check(vmplace.what_if(cluster, guarantee=asked), compare=True).comparison
        assert [evolve(row, guarantee=None) for row in rows if row.guarantee == number] == list(alone)
        assert all("guarantee" not in row.to_dict() for row in alone)
    vmplace.dump(cluster, path := str(tmp_path / "c.json"))
    assert main(["check", path, "--compare"]) == main(["check", path])
    assert "Compared under guarantee 2:" in capsys.readouterr().out


def test_a_list_of_guarantees_is_checked_one_by_one():
    for wrong in ([], [Guarantee(), "planned"]):
        with pytest.raises(InputError, match=r"^guarantee"):
            Cluster([Node("n", 8)], guarantee=wrong)
    assert Cluster([Node("n", 8)], guarantee=[Guarantee(failures=2)]) == Cluster([Node("n", 8)], guarantee=Guarantee(failures=2))
    with pytest.raises(InputError) as refused:
        from_document({"nodes": [], "vms": [], "guarantee": [{"failures": 1}, {"failure": 2, "scope": "x"}]})
    assert [flaw.place for flaw in refused.value.flaws] == ["guarantee[1].scope", "guarantee[1]"] or all(
        flaw.place.startswith("guarantee[1]") for flaw in refused.value.flaws
    )


several = clusters(
    max_nodes=4,
    max_vms=5,
    placed="all",
    failures=(0, 1, 1, 2),
    restart=("planned", "any-order"),
    policies=True,
    domains=True,
    evictable=True,
    mixed=True,
    quorums=True,
    most_guarantees=3,
)


@settings(max_examples=40, deadline=None)
@given(several)
def test_a_list_is_what_the_oracle_says_of_each(asked):
    found, worlds = vmplace.check(asked), [World(part) for part in alone(asked)]
    assert found.status == ("safe" if all(world.verdict().status == "safe" for world in worlds) else "unsafe")
    expected = {
        (f"{number}++" if number > 1 else "") + key: "safe" if world.survivable(world.now, key) else "unsafe"
        for number, world in enumerate(worlds, 1)
        for key in world.scenarios(world.now)
    }
    assert {key: scenario.status.value for key, scenario in found.scenarios.items()} == expected
    assert list(found.failover) == list(expected)
    for number, world in enumerate(worlds, 1):
        for key in world.scenarios(world.now):
            if world.planned:
                assert world.plan_holds(world.now, key, found.failover[(f"{number}++" if number > 1 else "") + key])
    wrong = {
        v.subject for v in vmplace.audit(asked, found.placement or {}, found.failover) if v.kind in ("failover", "unprotected")
    }
    assert wrong == {key for key, status in expected.items() if status == "unsafe"}


def test_nodes_in_maintenance_that_host_nothing_fail_with_no_domain() -> None:
    """A domain of empty nodes in maintenance is no failure: they count for the quorum, and their absence is not asked for."""
    nodes = [
        Node("a", 4, domain="A"),
        Node("b", 4, domain="B"),
        *(Node(m, 4, domain="X", state="maintenance") for m in ("m1", "m2")),
    ]
    cluster = Cluster(nodes, [VM("v", 1, "a")], guarantee=Guarantee(scope="domain", quorum=3))
    solution = vmplace.place(cluster, objective="consolidate", move_running=True, method="exact")
    assert (solution.status, solution.objective, solution.powered) == ("optimal", 4, ("a", "b", "m1", "m2"))
