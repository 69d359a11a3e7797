"""What presolve leaves out of a problem, and why: resources that memory implies, and rules that can bind nothing."""

from fractions import Fraction

from attrs import frozen

from vmplace.model.cluster import Cluster
from vmplace.model.text import rule_label
from vmplace.problem.rules import CompiledRule

__all__ = ["NOTHING_LEFT_OUT", "IdleRule", "ImpliedResource", "Reductions"]

_MIB_PER_GIB = 1024


@frozen
class ImpliedResource:
    """A further resource that is never short where memory is not.

    Parameters
    ----------
    name
        Of the resource.
    asked, there
        Per MiB of memory: the most that a VM asks for, and the least that a node has, of the pool where these are closest.
    """

    name: str
    asked: Fraction
    there: Fraction


@frozen
class IdleRule:
    """A must-rule that every placement keeps, or that others imply.

    Parameters
    ----------
    rule
        The rule, over the VMs of the cluster.
    why
        ``everywhere``: it leaves its VMs all nodes of their pools; ``too-large``: no node can hold two of its VMs;
        ``other-pools``: no two of its VMs are in one pool; ``implied``: another rule says as much.
    by
        The index of that other rule.
    """

    rule: CompiledRule
    why: str
    by: int | None = None

    @property
    def index(self) -> int:
        """Of the rule in the cluster."""
        return self.rule.index


@frozen
class Reductions:
    """What presolve has left out of a problem.

    Parameters
    ----------
    resources, rules
        Those left out, each in the order of the problem.
    """

    resources: tuple[ImpliedResource, ...] = ()
    rules: tuple[IdleRule, ...] = ()

    def sentences(self, cluster: Cluster) -> tuple[str, ...]:
        """Each of them, with its reason."""
        several = len(cluster.pools) > 1
        return (
            *(_of_resource(found, several=several) for found in self.resources),
            *(_of_rule(rule, cluster) for rule in self.rules),
        )


NOTHING_LEFT_OUT = Reductions()


def _of_resource(found: ImpliedResource, *, several: bool) -> str:
    asked, there = (f"{float(ratio * _MIB_PER_GIB):.4g}" for ratio in (found.asked, found.there))
    where = "in the pool where it is closest, " if several else ""
    return f"{found.name}: {where}VMs ask for at most {asked} per GiB of memory, nodes have at least {there}"


def _of_rule(found: IdleRule, cluster: Cluster) -> str:
    label = rule_label(found.index, cluster.rules[found.index].kind, cluster.rules[found.index].name)
    if found.by is not None:
        return f"{label}: {rule_label(found.by, cluster.rules[found.by].kind, cluster.rules[found.by].name)} asks for as much"
    return f"{label}: {_WHY[found.why]}"


_WHY = {
    "everywhere": "it allows every node of the pools of its VMs",
    "too-large": "no node can hold two of its VMs",
    "other-pools": "no two of its VMs are in one pool",
}
