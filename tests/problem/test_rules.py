"""How far a placement breaks a rule, and who does."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM, Apart, Node, NotOn, OnlyOn, Together
from vmplace.problem.compile import compile_problem
from vmplace.problem.rules import breaches, clashes, kept, offenders, soft_cost

NODES = [Node("n0", 9, domain="r"), Node("n1", 9, domain="r"), Node("n2", 9)]
NAMES = ["a", "b", "c", "d", "e"]


def compiled(rule, hosts):
    """A rule, and a placement: the node of each VM, -1 for none."""
    vms = [VM(name, 1, None if host < 0 else f"n{host}") for name, host in zip(NAMES, hosts, strict=True)]
    problem = compile_problem(Cluster(NODES, vms, [rule]))
    return next(iter(problem.compiled_rules)), problem.node_of


@pytest.mark.parametrize(
    ("rule", "hosts", "count", "guilty"),
    [
        (Apart(NAMES, must=False), (2, 2, 2, 2, 2), 10, "abcde"),
        (Apart(NAMES, must=False), (0, 0, 1, 1, 2), 2, "abcd"),
        (Apart(NAMES, must=False, scope="domain"), (0, 1, 0, 2, 2), 4, "abcde"),
        (Apart(NAMES[:3], must=False), (0, 0, -1, 0, 0), 1, "ab"),
        (Together(NAMES, must=False), (0, 1, 2, 0, 0), 2, "abcde"),
        (Together(NAMES, must=False), (1, 1, -1, 1, 1), 0, ""),
        (OnlyOn(NAMES, ["n0"], must=False), (0, 1, 0, 2, -1), 2, "bd"),
        (NotOn(NAMES, ["n0"], must=False), (0, 1, 0, 2, -1), 2, "ac"),
    ],
)
def test_degrees(rule, hosts, count, guilty):
    bound, node_of = compiled(rule, hosts)
    assert breaches(bound, node_of) == count
    assert kept(bound, node_of) is (count == 0)
    assert [NAMES[vm] for vm in offenders(bound, node_of)] == list(guilty)
    assert soft_cost([bound], node_of) == count


def test_weights_and_musts():
    vms = [VM(name, 1, "n0") for name in NAMES]
    rules = [Apart(NAMES, must=False, weight=3), Apart(NAMES[:2]), NotOn(["e"], ["n0"], must=False, weight=7)]
    problem = compile_problem(Cluster(NODES, vms, rules))
    assert soft_cost(problem.compiled_rules, problem.node_of) == 3 * 10 + 7


@given(
    st.sampled_from(
        [
            Apart(NAMES, must=False),
            Apart(NAMES, must=False, scope="domain"),
            Together(NAMES, must=False),
            OnlyOn(NAMES, ["n1"], must=False),
        ]
    ),
    st.lists(st.integers(-1, 2), min_size=5, max_size=5),
)
def test_what_a_vm_adds(rule, hosts):
    bound, node_of = compiled(rule, hosts)
    without = np.where(np.arange(5) == 0, -1, node_of)
    more = clashes(bound, 0, without, 3)
    for node in range(3):
        there = np.where(np.arange(5) == 0, node, node_of)
        assert more[node] == breaches(bound, there) - breaches(bound, without)
