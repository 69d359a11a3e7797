"""Warnings of names, and of tags, in rules, homes and guarantees that a cluster lacks: a misspelt one is seen."""

from collections.abc import Iterator

from vmplace.model.cluster import Cluster
from vmplace.model.columns import NodeColumns, VMColumns
from vmplace.model.entities import Members, NotOn, OnlyOn, Rule, Tag
from vmplace.model.errors import did_you_mean, likely
from vmplace.model.guarantee import Guarantee
from vmplace.model.references import absent, resolve
from vmplace.model.text import rule_label, rule_name
from vmplace.model.units import short

__all__ = ["unknown_names"]

_FEW = 3
"""How many absent names of one list are told."""


def unknown_names(cluster: Cluster) -> list[str]:
    """The warnings; of several guarantees, each with its number."""
    found = list[str]()
    for index, (rule, members) in enumerate(zip(cluster.rules, cluster.rule_members, strict=True)):
        # Where as many VMs are found as are named, none is absent.
        if isinstance(rule, OnlyOn | NotOn) or isinstance(rule.vms, Tag) or len(members) < len(rule.vms):
            found += _of_members(index, rule, cluster)
    found += _homes(cluster)
    for number, asked in enumerate(cluster.guarantees, 1):
        whose = f"guarantee {number}: " if cluster.further else ""
        found += [f"{whose}{warning}" for warning in _named(asked, cluster)]
    return found


def _of_members(index: int, rule: Rule, cluster: Cluster) -> Iterator[str]:
    if isinstance(rule.vms, Tag) and not resolve(rule.vms, cluster.vms):
        yield f"{rule_name(index, rule.name)}: no VM has the tag {rule.vms.tag!r}"
    lists: list[tuple[str, Members, NodeColumns | VMColumns]] = [("VM", rule.vms, cluster.vms)]
    if isinstance(rule, OnlyOn | NotOn):
        lists.append(("node", rule.nodes, cluster.nodes))
    who = rule_label(index, rule.kind, rule.name)
    for noun, members, things in lists:
        gone = absent(members, things)
        for name in gone[:_FEW]:
            guess = did_you_mean(likely(name, things.names))
            yield f"{who} names {noun} {short(name)}, which is not in the cluster{guess}"
        more = len(gone) - _FEW
        if more > 0:
            yield f"{who} names {more} more {noun}{'s' * (more > 1)} that the cluster lacks"


def _homes(cluster: Cluster) -> Iterator[str]:
    """Homes of VMs that are not in the cluster."""
    homes = cluster.vms.home.words
    if any(homes):
        known = {"", *cluster.nodes.names}
        lost = (home for home in homes if home not in known)
        yield from (f"{short(home)} is the home of VMs, but not a node of this cluster: it is left out" for home in lost)


def _named(asked: Guarantee, cluster: Cluster) -> Iterator[str]:
    """VMs that a guarantee names and the cluster lacks."""
    if isinstance(asked.vms, tuple):
        known = set(cluster.vms.names)
        yield from (f"guarantee.vms: no VM is called {short(name)}" for name in asked.vms if name not in known)
    elif asked.vms is not None and not resolve(asked.vms, cluster.vms):
        yield f"guarantee.vms: no VM has the tag {short(asked.vms.tag)}"
