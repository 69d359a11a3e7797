"""Compares compiled problems field by field."""

import attrs
import numpy as np

from vmplace.model.cluster import Cluster
from vmplace.problem.problem import Problem

_OTHERWISE = {"original", "pool", "signature_pool", "resources", "n_firm", "reductions"}
"""Fields that are compared in another way, or that tell where a problem comes from."""


def pools(cluster):
    return np.array([*dict.fromkeys([*cluster.nodes.pool.words, *cluster.vms.pool.words]), ""])


def shown(rule):
    """All that a compiled rule says; its zones numbered as they come."""
    zone = None if rule.zone is None else [rule.zone.tolist().index(z) for z in rule.zone.tolist()]
    nodes = None if rule.nodes is None else rule.nodes.tolist()
    return rule.index, rule.kind, rule.vms.tolist(), nodes, zone, rule.must, rule.weight, rule.during_failover


def same(restricted: Problem, cluster: Cluster, compiled: Problem, changed: Cluster) -> None:
    """Field by field, pools by name; `original` by the names of the VMs, as it leads to the first cluster."""
    vms, left = ([vm.name for vm in c.vms] for c in (cluster, changed))
    assert [vms[i] for i in restricted.original] == [left[i] for i in compiled.original]
    for name in ("pool", "signature_pool", "unit_pool", "vm_pool"):
        one, other = pools(cluster)[getattr(restricted, name)], pools(changed)[getattr(compiled, name)]
        assert one.tolist() == other.tolist(), name
    # A resource that no node has goes with the VMs that ask for it.
    still = [0, *(1 + restricted.resources.index(name) for name in compiled.resources)]
    gone = np.setdiff1d(np.arange(restricted.demand.shape[1]), still)
    assert not restricted.capacity[:, gone].any()
    assert not restricted.demand[:, gone].any()
    for name in {field.name for field in attrs.fields(Problem)} - _OTHERWISE:
        one, other = getattr(restricted, name), getattr(compiled, name)
        if name == "promises":
            assert len(one) == len(other)
            for promise, right in zip(one, other, strict=True):
                for key, column in right.own.items():
                    assert np.array_equal(promise.own[key], column), key
        elif name in ("compiled_rules", "unary_rules"):
            assert list(map(shown, one)) == list(map(shown, other)), name
        elif name in ("demand", "capacity"):
            assert one[:, still].tolist() == other.tolist(), name
        elif isinstance(one, np.ndarray):
            assert one.tolist() == other.tolist(), name
        else:
            assert one == other, name
    assert restricted.classes.of.tolist() == compiled.classes.of.tolist()
