"""Rules that name VMs and nodes which the cluster lacks: a warning, and a broken rule where none of its nodes is left."""

import json

import pytest
from attrs import evolve
from hypothesis import strategies as st

import vmplace
from tests.support.brute import World
from tests.support.campaigns import tried
from vmplace import VM, Apart, Cluster, InputError, Node, NotOn, OnlyOn, Tag, Together
from vmplace.cli import main
from vmplace.testing import clusters

NODES = [Node(f"node{i}", 64) for i in range(1, 4)]
VMS = [VM("a", 8, "node1"), VM("b", 8, "node2")]
LICENCES = OnlyOn(["a"], ["node9"], name="licences")
TOLD = "rule licences (only-on) names node 'node9', which is not in the cluster; did you mean 'node3'?"


def test_a_rule_whose_nodes_are_all_absent_is_broken_by_what_runs():
    cluster = Cluster(NODES, VMS, [LICENCES])
    report = vmplace.check(cluster)
    assert (report.status, report.warnings) == ("unsafe", (TOLD,))
    assert [(v.kind, v.subject, v.message) for v in report.violations] == [
        ("rule", "rules[0]", "rule licences (only-on) is broken by a on node1")
    ]
    assert report.violations[0] in vmplace.audit(cluster, report.placement)


@pytest.mark.parametrize("move_running", [False, True])
def test_it_is_named_where_no_placement_keeps_it(move_running):
    for vms in (VMS, [VM("a", 8), VMS[1]]):
        found = vmplace.place(Cluster(NODES, vms, [LICENCES]), move_running=move_running)
        assert (found.status, found.conflict.vms, found.conflict.rules) == ("infeasible", ("a",), (0,))
        assert found.warnings == (TOLD,)


@pytest.mark.parametrize(
    "command",
    [
        ["check"],
        ["explain"],
        ["admit", "--name", "new", "--memory", "8GiB"],
        ["headroom", "8GiB"],
        ["headroom"],
        ["size", "--node-memory", "64GiB"],
    ],
)
def test_every_command_that_answers_says_it(command, tmp_path, capsys):
    path = str(tmp_path / "c.json")
    vmplace.dump(Cluster(NODES, VMS, [evolve(LICENCES, must=False)]), path)
    name, *options = command
    main([name, path, *options])
    assert TOLD in capsys.readouterr().out
    main([name, path, *options, "--json"])
    assert TOLD in json.loads(capsys.readouterr().out)["warnings"]


def test_new_vms_under_it_are_refused():
    for rule, vm in ((LICENCES, VM("a", 8)), (evolve(LICENCES, vms=Tag("db")), VM("c", 8, tags=["db"]))):
        cluster = Cluster(NODES, VMS[1:], [rule])
        refused = vmplace.admit(cluster, vm)
        assert refused.status == "refused"
        assert "excluded by rule licences (only-on)" in refused.reason
        assert vmplace.Admitter(cluster).admit(vm).reason == refused.reason
        assert vmplace.admit(cluster, VM("d", 8)).status == "admitted"


def test_who_is_named_before_there_is_such_a_vm_is_bound_when_it_comes():
    cluster = Cluster(NODES, VMS, [Apart(["a", "c"], during_failover=False), OnlyOn(["c"], ["node1", "node3"])])
    assert len(vmplace.check(cluster).warnings) == 2
    held = vmplace.Admitter(cluster)
    assert held.admit(VM("c", 8)).node == "node3"
    assert vmplace.admit(evolve(cluster, rules=[*cluster.rules, NotOn(["c"], ["node3"])]), VM("c", 8)).status == "refused"


def test_removed_nodes_of_a_rule_leave_its_vms_none():
    cluster = Cluster(NODES, VMS, [OnlyOn(["a"], ["node1"], name="licences"), NotOn(["b"], ["node3", "node8"])])
    after = vmplace.what_if(cluster, remove_nodes=["node1"])
    assert after.rules == cluster.rules
    report = vmplace.check(after)
    assert (report.status, report.waiting) == ("unsafe", ("a",))
    assert report.warnings[0].startswith("rule licences (only-on) names node 'node1', which is not in the cluster")
    assert vmplace.place(after).conflict.rules == (0,)


def test_drains_and_homes_go_on_where_the_rule_is_kept():
    cluster = Cluster(NODES, VMS, [OnlyOn(["a"], ["node1", "node2", "node9"])])
    found = vmplace.drain(cluster, ["node1"])
    assert found.placement == {"a": "node2", "b": "node2"}
    assert len(found.warnings) == 1
    stuck = vmplace.drain(evolve(cluster, rules=[LICENCES]), ["node1"])
    assert (stuck.status, stuck.warnings) == ("infeasible", (TOLD,))
    assert "rule licences (only-on)" in stuck.reason


def test_few_names_of_a_long_list_are_told():
    rules = [Apart(["a", *(f"gone-{i}" for i in range(9))]), NotOn(["b"], ["gone-1", "gone-2", "gone-3", "gone-4"], must=False)]
    assert vmplace.check(Cluster(NODES, VMS, rules)).warnings == (
        *(f"rules[0] (apart) names VM 'gone-{i}', which is not in the cluster" for i in range(3)),
        "rules[0] (apart) names 6 more VMs that the cluster lacks",
        *(f"rules[1] (not-on) names node 'gone-{i}', which is not in the cluster" for i in (1, 2, 3)),
        "rules[1] (not-on) names 1 more node that the cluster lacks",
    )


def test_documents_keep_the_names(tmp_path):
    cluster = Cluster(NODES, VMS, [LICENCES, Together(["a", "z"]), NotOn(["y"], ["x"], must=False)])
    for name in ("cluster.json", "cluster.yaml"):
        vmplace.dump(cluster, tmp_path / name)
        assert vmplace.load(tmp_path / name) == cluster


def test_tags_that_no_node_has_are_still_an_error():
    with pytest.raises(InputError, match="leaves 'a' no node of the pool"):
        Cluster(NODES, VMS, [OnlyOn(["a"], Tag("gpu"))])


def test_every_command_that_warns_says_so(tmp_path, capsys):
    file, saved = str(tmp_path / "cluster.json"), tmp_path / "result.json"
    vmplace.dump(Cluster(NODES, VMS, [LICENCES]), file)
    for command in (["check"], ["place"], ["place", "--best-effort"], ["repair"], ["drain", "node1"], ["drain", "node2"]):
        line = [command[0], file, *command[1:]]
        assert main(line) == 1
        assert f"  {TOLD}" in capsys.readouterr().out.splitlines()
        assert main([*line, "--json"]) == 1
        told = capsys.readouterr().out
        assert json.loads(told)["warnings"] == [TOLD]
        saved.write_text(told)
        assert main(["audit", file, str(saved)]) == 0
        capsys.readouterr()


@st.composite
def with_absent_names(draw):
    """A cluster, and the same whose rules list absent names beside those that are there."""
    cluster = draw(clusters(max_vms=5, domains=True, targets=True, evictable=True, resources=True))
    nodes, vms = [node.name for node in cluster.nodes], [vm.name for vm in cluster.vms]
    lists = [evolve(rule, vms=_listed(rule.vms, vms, cluster.vms)) for rule in cluster.rules]
    listed = evolve(
        cluster,
        rules=[
            evolve(rule, nodes=_listed(rule.nodes, nodes, cluster.nodes)) if isinstance(rule, OnlyOn | NotOn) else rule
            for rule in lists
        ],
    )
    return listed, evolve(listed, rules=[_strange(draw, rule) for rule in listed.rules])


def _listed(members, names, things):
    """The names for a tag, where there are any."""
    if not isinstance(members, Tag):
        return members
    return [name for name, thing in zip(names, things, strict=True) if members.tag in thing.tags] or members


def _strange(draw, rule):
    changed = {}
    for key in ("vms", "nodes") if isinstance(rule, OnlyOn | NotOn) else ("vms",):
        members = getattr(rule, key)
        more = draw(st.lists(st.sampled_from(["gone-1", "gone-2", "n", "v"]), unique=True, max_size=2))
        if isinstance(members, tuple):
            changed[key] = draw(st.permutations([*members, *more]))
    return evolve(rule, **changed)


@tried(with_absent_names(), quick=10, campaign=240)
def test_absent_names_beside_others_change_no_verdict(pair):
    plain, strange = pair
    one, other = vmplace.check(plain), vmplace.check(strange)
    assert (other.status, other.pools, other.waiting) == (one.status, one.pools, one.waiting)
    assert {v.subject for v in other.violations} == {v.subject for v in one.violations}
    assert {(loss.scenario, frozenset(loss.vms)) for loss in other.unprotected if loss.minimal} == {
        (loss.scenario, frozenset(loss.vms)) for loss in one.unprotected if loss.minimal
    }
    assert [(rule.rule, rule.cost) for rule in other.broken_rules] == [(rule.rule, rule.cost) for rule in one.broken_rules]
    assert (len(other.warnings) > len(one.warnings)) == (strange != plain and _names_more(plain, strange))
    for objective in ("balance", "rules"):
        placed, again = (vmplace.place(c, objective=objective, move_running=True) for c in pair)
        assert (again.status, again.guarantee, again.objective) == (placed.status, placed.guarantee, placed.objective)


def _names_more(plain, strange):
    def size(cluster):
        lists = [members for rule in cluster.rules for members in (rule.vms, getattr(rule, "nodes", ()))]
        return sum(len(members) for members in lists if isinstance(members, tuple))

    return size(strange) > size(plain)


@st.composite
def with_rules_of_absent_names(draw):
    """A cluster with rules that name some or none of what is there."""
    cluster = draw(clusters(min_nodes=1, max_vms=4, rules=False, pools=False))
    nodes = [*(node.name for node in cluster.nodes), "gone-1", "gone-2"]
    vms = [*(vm.name for vm in cluster.vms), "gone-1"]

    def some(names):
        return draw(st.lists(st.sampled_from(names), min_size=1, max_size=3, unique=True))

    rules = []
    for kind in draw(st.lists(st.sampled_from([Apart, Together, OnlyOn, OnlyOn, NotOn]), min_size=1, max_size=3)):
        rest = [some(nodes[-2:] if draw(st.booleans()) else nodes)] if kind in (OnlyOn, NotOn) else []
        rules.append(kind(some(vms), *rest, must=draw(st.sampled_from([True, True, False])), during_failover=draw(st.booleans())))
    try:
        return evolve(cluster, rules=rules)
    except InputError:  # what contradicts itself even so
        return evolve(cluster, rules=[evolve(rule, must=False) for rule in rules])


@tried(with_rules_of_absent_names(), st.booleans(), quick=30, campaign=600)
def test_against_every_placement(cluster, move_running):
    world, report = World(cluster), vmplace.check(cluster)
    right = world.verdict()
    assert report.status == right.status
    assert {int(v.subject[6:-1]) for v in report.violations if v.kind == "rule"} == right.broken_musts
    assert {loss.scenario for loss in report.unprotected} == {key for key, lost in right.losses.items() if any(lost)}
    best = world.optimum("rules", move_running=move_running)
    found = vmplace.place(cluster, objective="rules", move_running=move_running)
    assert found.status == ("infeasible" if best is None else "optimal")
    if best is None:
        assert found.placement is None
    else:
        assert found.objective == best.costs[0]
        assert vmplace.audit(found.to_document(), found.placement, found.failover) == []
