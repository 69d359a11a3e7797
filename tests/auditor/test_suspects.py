"""Rules that get no second look are kept: with it for all, an audit finds the same."""

from unittest.mock import patch

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import vmplace
from vmplace.testing import clusters

FEATURES = {"domains": True, "max_vms": 6, "headroom": False, "evictable": True, "failures": (1, 1, 2), "pools": False}


@st.composite
def audited(draw):
    """A cluster, with a placement and plans that may be wrong in any way."""
    cluster = draw(clusters(**FEATURES).filter(lambda cluster: cluster.nodes and cluster.rules))
    node = st.sampled_from([node.name for node in cluster.nodes])
    placement = {vm.name: draw(st.none() | node) if draw(st.booleans()) else vm.node for vm in cluster.vms}
    plans = {key: {vm.name: draw(node) for vm in cluster.vms if draw(st.booleans())} for key in vmplace.check(cluster).scenarios}
    return cluster, placement, draw(st.none() | st.just(plans))


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(audited())
def test_no_broken_rule_is_passed_over(asked):
    cluster, placement, plans = asked
    musts = [number for number, rule in enumerate(cluster.rules) if rule.must]
    found = vmplace.audit(cluster, placement, plans)
    with patch("vmplace.auditor.rules.suspects", lambda case, plans: musts):
        assert vmplace.audit(cluster, placement, plans) == found
