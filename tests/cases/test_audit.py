"""Saved results that the audit once refused, or let pass."""

import json

import pytest

import vmplace
from vmplace.cli.group import main
from vmplace.formats.document import loads

EMPTY_DRAIN = """
nodes:
- {name: n1, memory: 100, domain: ra}
- {name: n2, memory: 512, tags: [ssd], price: 2.5}
- {name: n3, memory: 12, reserve: 2, domain: rb}
vms: []
guarantee: {failures: 3}
"""
EMPTY_PLACE = """
nodes:
- {name: n1, memory: 64, domain: rc, resources: {vcpu: 1}}
- {name: n2, memory: 64, reserve: 5, domain: rc}
- {name: n3, memory: 100, resources: {vcpu: 13}}
vms: []
"""
SOFT_REPAIR = """
nodes:
- {name: n1, memory: 512, domain: rb}
- {name: n2, memory: 12, price: 1}
- {name: n3, memory: 100, domain: ra, tags: [gpu, ssd], price: 0.1}
vms:
- {name: vm1, memory: 32, tags: [db, x]}
rules:
- {kind: apart, vms: [vm1]}
- {kind: only-on, vms: [vm1], nodes: [n1, n2], must: false}
guarantee: {sequence: sequential}
"""


@pytest.mark.parametrize("limit", ["0", "0.2", "5"])
@pytest.mark.parametrize(
    ("text", "command"),
    [
        (EMPTY_DRAIN, ["drain", "{}", "n2", "n1", "--deterministic", "--parallel-per-node", "2"]),
        (EMPTY_PLACE, ["place", "{}", "--objective", "moves", "--move-running", "--method", "exact", "--max-migrated", "0"]),
        (SOFT_REPAIR, ["repair", "{}", "--method", "greedy", "--parallel", "1"]),
    ],
)
def test_what_was_saved_is_audited_whatever_time_there_was(text, command, limit, tmp_path, capsys):
    document, result = tmp_path / "cluster.yaml", tmp_path / "result.json"
    document.write_text(text)
    main([word.format(document) for word in command] + ["--time-limit", limit, "--json"])
    result.write_text(capsys.readouterr().out)
    assert main(["audit", str(document), str(result)]) == 0


POWERED = loads(
    json.dumps(
        {
            "nodes": [{"name": f"n{i}", "memory": 18 - 5 * (i > 0)} for i in range(3)],
            "vms": [
                {"name": "v0", "memory": 2, "node": "n0"},
                {"name": "v1", "memory": 3, "node": "n1"},
                {"name": "v2", "memory": 5, "node": "n1", "tags": ["b"]},
                {"name": "v3", "memory": 3, "node": "n0", "tags": ["b"]},
                {"name": "v4", "memory": 5, "node": "n2"},
            ],
            "rules": [{"kind": "apart", "vms": {"tag": "b"}}],
        }
    )
)


def test_nodes_that_stay_on_are_to_be_named():
    document = vmplace.place(POWERED, objective="consolidate", move_running=True).to_dict()
    assert vmplace.audit_result(POWERED, document).status == "confirmed"
    audit = vmplace.audit_result(POWERED, {**document, "powered": []})
    assert audit.status == "refuted"
    assert any(violation.subject == "objective.value" for violation in audit.violations)


def test_a_result_that_is_none_is_refused():
    with pytest.raises(vmplace.InputError, match="has no placement"):
        vmplace.audit_result(POWERED, {"rubbish": 1})


def test_headroom_that_is_given_up_is_admitted_by_the_result():
    cluster = vmplace.Cluster(
        [vmplace.Node(f"n{i}", 10) for i in range(3)], [vmplace.VM("a", 6)], (), vmplace.Guarantee(headroom=0.5)
    )
    document = vmplace.place(cluster, best_effort=True).to_dict()
    audit = vmplace.audit_result(cluster, document)
    assert (audit.status, len(audit.warnings)) == ("confirmed", 1)
    assert vmplace.audit_result(cluster, {**document, "warnings": []}).status == "refuted"
