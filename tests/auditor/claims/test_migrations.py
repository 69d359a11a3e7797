"""Who runs goes on running; who is stopped is listed once."""

import json

import pytest

import vmplace
from vmplace import VM, Cluster, Node

CLUSTER = Cluster([Node(name, 10) for name in "abc"], [VM("v", 2, "a"), VM("u", 1, "c", protected=False)])


@pytest.mark.parametrize("call", [vmplace.check, vmplace.place])
def test_nobody_who_runs_is_left_without_a_node(call):
    document = call(CLUSTER).to_dict()
    assert vmplace.audit_result(CLUSTER, document).violations == ()
    document |= {"placement": {**document["placement"], "u": None}, "waiting": ["u"]}
    told = [violation.message for violation in vmplace.audit_result(CLUSTER, document).violations]
    assert told == ["has u on no node, but it runs on c"]


def test_who_is_stopped_is_listed_once():
    vms = [VM("v", 6, "a"), VM("e", 4, "b", evictable=True, protected=False), VM("w", 4, "b")]
    cluster = Cluster([Node(name, 10) for name in "ab"], vms)
    document = json.loads(json.dumps(vmplace.drain(cluster, ["a"]).to_dict()))
    assert [stop["vm"] for stop in document["stopped"]] == ["e"]
    assert vmplace.audit_result(cluster, document).violations == ()
    document["stopped"] *= 2
    assert [violation.subject for violation in vmplace.audit_result(cluster, document).violations] == ["stopped[1]"]
