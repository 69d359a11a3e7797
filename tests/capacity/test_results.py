"""What headroom and size return, as JSON carries it."""

import json

from attrs import evolve

import vmplace
from vmplace import VM, Cluster, Node, Status

CLUSTER = Cluster([Node(f"n{i}", 8, price=1.5) for i in range(3)], [VM("a", 4, "n0")])
KEYS = {
    *("status", "guarantee", "placement", "failover", "unprotected", "violations", "waiting"),
    *("objective", "migrations", "powered", "drained", "method", "stats"),
}


def test_what_every_result_has_is_there_with_a_placement_and_without():
    for found in (
        vmplace.headroom(CLUSTER, 4),
        vmplace.headroom(CLUSTER, 4, time_limit=0),
        vmplace.size(CLUSTER, 8),
        vmplace.size(CLUSTER, 1),
    ):
        told = json.loads(json.dumps(found.to_dict()))
        assert told.keys() >= KEYS
        assert (told["placement"] is None) is (found.solution is None)
        assert told["objective"].keys() == {"name", "value", "bound", "gap"}


def test_gaps_are_shares_of_what_is_larger():
    more = vmplace.headroom(CLUSTER, 4)
    assert (more.count, more.gap) == (3, 0)
    assert evolve(more, bound=4).gap == 0.25
    assert evolve(more, count=0, bound=0).gap == 0
    fewer = vmplace.size(CLUSTER, [Node("n", 8, price=1.5), Node("m", 4, price=9)])
    assert (fewer.objective, fewer.gap, fewer.to_dict()["price"], fewer.to_dict()["objective"]["value"]) == (3, 0, 3, 3)
    assert evolve(fewer, bound=2).gap == 1 / 3
    assert evolve(fewer, objective=None).gap is None


def test_where_they_go_is_counted():
    found = vmplace.headroom(CLUSTER, 4)
    assert sum(found.where.values()) == 3
    assert found.where == {node: list(found.placement.values()).count(node) - (node == "n0") for node in found.where}


def test_the_worst_row_is_the_tables_status():
    row = vmplace.headroom(CLUSTER, 4)
    for worst in (Status.INFEASIBLE, Status.UNKNOWN, Status.FEASIBLE):
        assert vmplace.HeadroomTable(cluster=CLUSTER, rows=(row, evolve(row, status=worst))).status == worst
    assert vmplace.HeadroomTable(cluster=CLUSTER, rows=()).status == "optimal"
