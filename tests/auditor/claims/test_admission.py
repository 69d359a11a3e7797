"""The audit of `admit`: under each guarantee, and of what was down before."""

import pytest
from attrs import evolve

import vmplace
from vmplace import VM, Cluster, Guarantee, Node

NODES = [Node(f"n{i}", 20) for i in range(3)]


def audited(cluster, vm, node):
    told = vmplace.admit(cluster, vm).to_dict() | {"status": "admitted", "node": node, "placement": {vm: node}}
    return vmplace.audit_result(cluster, told)


@pytest.mark.parametrize(
    ("more", "node", "wrong"),
    [
        (Guarantee(), "n2", None),
        (
            Guarantee(failures=2, vms=["a"]),
            "n2",
            "guarantee 2: says admitted, but with the VM the cluster does not survive a failure of n0+n1",
        ),
        (Guarantee(failures=0, headroom=0.4), "n2", "n2 holds 13 MiB, 1 MiB more than its 12 MiB without headroom"),
        (Guarantee(failures=0, headroom=0.4), "n1", "n1 holds 17 MiB, 5 MiB more than its 12 MiB without headroom"),
    ],
)
def test_each_guarantee_counts(more, node, wrong):
    vms = [VM("a", 10, "n0"), VM("b", 4, "n1"), VM("c", 13, protected=False)]
    found = audited(Cluster(NODES, vms, (), [Guarantee(), more]), "c", node)
    assert [violation.message for violation in found.violations if violation.message == wrong] == ([wrong] if wrong else [])
    assert (found.status == "refuted") == (wrong is not None)


def test_what_was_down_may_stay_out_of_a_failure_but_what_is_new_may_not():
    """A VM that waits is left out of every failure of its pool: so it may be where it is started, too."""
    cluster = Cluster([Node("n0", 10), Node("n1", 6)], [VM("b", 5, "n1"), VM("w", 8)])
    assert vmplace.admit(cluster, "w").node == "n0"
    found = audited(cluster, "w", "n0")
    assert found.status != "refuted"
    assert any("leaves out more than the VMs that were down" in left.reason for left in found.unchecked)
    stopped = evolve(cluster, vms=[VM("b", 5, "n1"), VM("w", 8, running=False)])
    assert vmplace.admit(stopped, "w").status == "refused"
    assert audited(stopped, "w", "n0").status == "refuted"


def test_who_was_stopped_runs_then():
    cluster = Cluster(NODES, [VM("b", 5, "n1"), VM("w", 8, "n1", running=False)])
    assert audited(cluster, "w", "n2").status == "confirmed"


BELOW = Cluster([Node("n0", 10, headroom=0.5), Node("n1", 10), Node("n2", 30)], [VM("a", 6, "n0", protected=False)])


@pytest.mark.parametrize(
    ("cluster", "wrong"),
    [
        (evolve(BELOW, vms=[VM("a", 12, "n0", protected=False), VM("w", 1)]), "overfull"),
        (evolve(BELOW, vms=[VM("a", 6, "n0", protected=False), VM("w", 1)]), "headroom"),
        (evolve(BELOW, vms=[VM("a", 1, "n0"), VM("b", 1, "n0"), VM("w", 1)], rules=[vmplace.Apart(["a", "b", "w"])]), "rule"),
    ],
)
def test_what_is_wrong_already_does_not_excuse_what_makes_it_worse(cluster, wrong):
    node = vmplace.admit(cluster, "w").node
    assert node in ("n1", "n2")
    assert audited(cluster, "w", node).violations == ()
    assert wrong in {violation.kind for violation in audited(cluster, "w", "n0").violations}
