import pytest
from attrs import evolve

import vmplace
from vmplace import VM, Apart, Cluster, Guarantee, Node, NotOn, OnlyOn, Tag
from vmplace.admission.barred import barred
from vmplace.cli import main

NODES = [
    Node("n1", 100, tags=["gpu"], resources={"vcpu": 4}),
    Node("n2", 100, max_vm={"memory": 20}, resources={"vcpu": 4}),
    Node("n3", 10, resources={"vcpu": 2}),
    Node("off", 500, state="offline", resources={"vcpu": 64}),
    Node("other", 500, pool="b", resources={"vcpu": 64}),
]
RULES = [NotOn(Tag("db"), ["n1"], name="no db"), OnlyOn(["lic"], ["n3", "off"]), Apart(["lic", "a"])]
CLUSTER = Cluster(NODES, [VM("a", 60, "n1"), VM("lic", 5)], RULES)


@pytest.mark.parametrize(
    ("vm", "told"),
    [
        (VM("x", 90), ""),
        (VM("x", 15, tags=["db"]), ""),
        (VM("lic2", 4, resources={"vcpu": 3}), ""),
        (
            VM("x", 25, tags=["db"]),
            "rule no db (not-on) keeps it off n1; n2 takes no VM of that size (max_vm); n3 has less than 25 MiB for VMs even "
            "when empty: change the rule, raise max_vm, make the VM smaller, or add a node that can take it",
        ),
        (VM("lic", 5), ""),
        (VM("lic", 11), "rules[1] (only-on) keeps it off n1 and n2; n3 has less than 11 MiB for VMs even when empty: change the"),
        (VM("x", 1, resources={"vcpu": 5}), "n1, n2 and n3 have less than 5 vcpu even when empty: make the VM smaller, or add a"),
        (VM("x", 101), "n2 takes no VM of that size (max_vm); n1 and n3 have less than 101 MiB for VMs even when empty: raise"),
        (VM("x", 1, pool="c"), "no node of its pool is online: bring one back"),
    ],
)
def test_what_keeps_a_vm_off_every_node_is_told_with_what_would_help(vm, told):
    found = barred(vm, CLUSTER)
    assert found.startswith(told)
    assert bool(found) is bool(told)


def test_headroom_counts_of_every_guarantee():
    assert barred(VM("x", 60), evolve(CLUSTER, guarantee=[Guarantee(), Guarantee(headroom=0.3)])) == ""
    assert "n1 and n3 have less than 60 MiB" in barred(
        VM("x", 60), evolve(CLUSTER, guarantee=[Guarantee(), Guarantee(headroom=0.5)])
    )


def test_rules_that_leave_no_node_together_are_told():
    rules = [OnlyOn(Tag("t"), ["n1"]), NotOn(Tag("t"), ["n1"])]
    assert barred(VM("x", 1, tags=["t"]), evolve(CLUSTER, rules=rules)).startswith("the rules exclude it from every node (")


@pytest.mark.parametrize(
    ("cluster", "options", "hint"),
    [
        (
            CLUSTER,
            ["--memory", "25", "--tag", "db"],
            "Migrations cannot help: rule no db (not-on) keeps it off n1; n2 takes no VM",
        ),
        (CLUSTER, ["--memory", "95"], "With --make-room, other VMs may migrate first so that it can start."),
    ],
)
def test_the_command_hints_at_migrations_only_where_they_may_help(cluster, options, hint, tmp_path, capsys):
    path = str(tmp_path / "c.json")
    vmplace.dump(cluster, path)
    assert main(["admit", path, "--name", "x", *options]) == 1
    assert hint in capsys.readouterr().out
    assert main(["admit", path, "--name", "x", *options, "--make-room"]) == 1
    told = capsys.readouterr().out
    assert ("no migration can help" in told) is hint.startswith("Migrations cannot")


def test_that_a_vm_is_too_large_for_all_nodes_is_said_once(tmp_path, capsys):
    path = str(tmp_path / "c.json")
    vmplace.dump(Cluster([Node("n1", 100), Node("n2", 90)], [VM("a", 60, "n1")]), path)
    large, mend = (
        "no node can hold 101 MiB: the largest, n1, has 100 MiB for VMs",
        "make the VM smaller, or add a node that can take it",
    )
    assert main(["admit", path, "--name", "x", "--memory", "101"]) == 1
    assert capsys.readouterr().out == f"REFUSED: {large}\nMigrations cannot help: {mend}.\n"
    assert main(["admit", path, "--name", "x", "--memory", "101", "--make-room"]) == 1
    assert capsys.readouterr().out == f"REFUSED: {large}; no migration can help: {mend}\n"
