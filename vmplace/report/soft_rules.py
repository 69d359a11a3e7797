"""Soft rules in reports: how far each is broken, and by whom."""

from vmplace.model.cluster import Cluster
from vmplace.model.entities import Apart, NotOn, Together
from vmplace.model.text import counted, rule_name
from vmplace.report.tables import Screen
from vmplace.results.values import BrokenRule

__all__ = ["broken_rule_line"]


def broken_rule_line(broken: BrokenRule, cluster: Cluster, screen: Screen) -> str:
    """A soft rule, how far it is broken, and by whom."""
    if broken.rule is None:
        return f"{counted(len(broken.vms), 'VM')} away from home: {screen.few(broken.vms)}"
    rule, times = cluster.rules[broken.rule], broken.cost // broken.weight
    if isinstance(rule, Apart):
        how = f"{counted(times, 'pair')} {'shares' if times == 1 else 'share'} a {rule.scope}"
    elif isinstance(rule, Together):
        how = f"on {times + 1} nodes"
    else:
        how = f"{counted(times, 'VM')} on {'nodes to avoid' if isinstance(rule, NotOn) else 'other nodes'}"
    weight = f", weight {broken.weight}" if broken.weight > 1 else ""
    return f"{rule_name(broken.rule, broken.name)} ({broken.kind}{weight}): {how}: {screen.few(broken.vms)}"
