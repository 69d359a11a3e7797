"""The instance of a sizing problem: the VMs of a cluster, with growth, and the kinds of nodes that may be bought for them."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import islice
from math import ceil, lcm

import numpy as np
from attrs import evolve, field, frozen

from vmplace.capacity.node_mix import Demand, NodeKinds, NodeMix
from vmplace.model.cluster import Cluster
from vmplace.model.columns import NodeColumns, VMColumns
from vmplace.model.entities import Node, NotOn, OnlyOn, Rule, Tag
from vmplace.model.errors import Flaw, InputError
from vmplace.model.references import present_resources, resolve
from vmplace.model.text import rule_label, rule_name
from vmplace.model.what_if import fresh_names
from vmplace.problem.compile import compile_problem

__all__ = ["SizingInstance", "wanted"]

_LARGEST_PRICE = 2**50
"""What all nodes may cost at most, in the steps of the prices."""


def wanted(cluster: Cluster, pool: str, growth: Fraction, kinds: Sequence[Node]) -> tuple[Cluster, tuple[str, ...]]:
    """The VMs to run, all of them waiting; and warnings about the rules."""
    vms = _anew(cluster, pool)
    rules, warnings = [], []
    domains = any(asked.scope == "domain" for asked in cluster.guarantees)
    if domains and any(kind.domain is None for kind in kinds):
        warnings.append("a node without a failure domain is its own: give the kinds a domain if several nodes fail at once")
    present = set(vms.names) if cluster.rules else set()
    for index, rule in enumerate(cluster.rules):
        if isinstance(rule, OnlyOn | NotOn) and not isinstance(rule.nodes, Tag):
            warnings.append(f"{rule_label(index, rule.kind, rule.name)} names nodes of the cluster, and is left out")
            continue
        bound = [name for name in resolve(rule.vms, cluster.vms) if name in present]
        if bound:
            _refuse_tag(index, rule, kinds, bound[0])
            rules.append(evolve(rule, vms=rule.vms if isinstance(rule.vms, Tag) else bound))
    none = NodeColumns.holding(())
    had = present_resources(NodeColumns.holding(kinds))
    return evolve(
        cluster,
        overcommit={name: ratio for name, ratio in cluster.overcommit.items() if name in had},
        soft_resources=[name for name in cluster.soft_resources if name in had],
        nodes=none,
        vms=evolve(_grown(vms, growth), node_names=none.names),
        rules=rules,
    ), tuple(warnings)


def _anew(cluster: Cluster, pool: str) -> VMColumns:
    """A pool's VMs that run or are to be started, on no node."""
    held = cluster.vms
    chosen = np.flatnonzero(held.running & held.pool.are(pool))
    nowhere = np.broadcast_to(np.int64(-1), len(chosen))
    return evolve(held if len(chosen) == len(held) else held.rows(chosen), node=nowhere, target=nowhere, node_names=())


def _refuse_tag(index: int, rule: Rule, kinds: Sequence[Node], vm: str) -> None:
    """Raise InputError if no kind of node is one that the rule leaves its VMs."""
    if not isinstance(rule, OnlyOn | NotOn) or not rule.must or not isinstance(rule.nodes, Tag):
        return
    if not any((rule.nodes.tag in kind.tags) is isinstance(rule, OnlyOn) for kind in kinds):
        which = f"has the tag {rule.nodes.tag!r}" if isinstance(rule, OnlyOn) else f"is without the tag {rule.nodes.tag!r}"
        raise InputError(
            [
                Flaw(
                    "node",
                    f"none {which}, which {rule_name(index, rule.name)} asks for {vm}: give one that does",
                    "contradiction",
                )
            ]
        )


def _grown(vms: VMColumns, growth: Fraction) -> VMColumns:
    """With copies of the largest, the second largest, ..., each time the share of those so far, rounded up, grows by one."""
    order, copied, copies = np.argsort(-vms.charged, kind="stable").tolist(), 0, []
    for number, index in enumerate(order if growth else (), start=1):
        more = ceil(growth * number) - copied
        copied += more
        copies += [index] * more
    names = list(islice(fresh_names("growth", vms.names), copied))
    return vms.followed_by(vms.rows(np.array(copies, dtype=np.int64), names)) if copies else vms


@frozen(eq=False)
class SizingInstance:
    """VMs, and kinds of nodes to run them on, up to `most` of each."""

    wanted: Cluster
    kinds: tuple[Node, ...]
    most: tuple[int, ...]
    _made: tuple[list[Node], ...] = field(init=False)

    @_made.default
    def _none_yet(self) -> tuple[list[Node], ...]:
        return tuple([] for _ in self.kinds)

    def cluster(self, counts: Iterable[int]) -> Cluster:
        """The VMs with so many nodes of each kind."""
        nodes: list[Node] = []
        for kind, made, count in zip(self.kinds, self._made, counts, strict=True):
            made.extend(evolve(kind, name=f"{kind.name}-{number}") for number in range(len(made) + 1, count + 1))
            nodes += made[:count]
        columns = NodeColumns.holding(nodes)
        return evolve(self.wanted, nodes=columns, vms=evolve(self.wanted.vms, node_names=columns.names))

    def mix(self, prices: tuple[int, ...]) -> NodeMix:
        """Which numbers could do by what bounds say."""
        problem = compile_problem(self.cluster([1] * len(self.kinds)), several=True)
        differ = len({(kind.tags, kind.domain) for kind in self.kinds}) > 1
        kinds = NodeKinds(
            capacity=problem.capacity,
            limit=np.column_stack([problem.limit, problem.capacity[:, 1:]]),
            price=prices,
            most=self.most,
            alike=not differ and all(kind.domain is None for kind in self.kinds),
        )
        restarts = [(part.failures, part.protected) for part in problem.each]
        planned = all(part.planned for part in problem.each)
        return NodeMix(kinds, Demand(problem.demand, problem.n_firm, restarts, planned))

    def prices(self) -> tuple[tuple[int, ...], Fraction]:
        """Prices in whole steps, and the step; of one kind only the number counts."""
        if len(self.kinds) == 1:
            return (1,), Fraction(1)
        step = Fraction(1, lcm(*(kind.price.denominator for kind in self.kinds)))
        prices = tuple(int(kind.price / step) for kind in self.kinds)
        dearest = sum(price * max(1, limit) for price, limit in zip(prices, self.most, strict=True))
        if dearest > _LARGEST_PRICE:
            raise InputError([Flaw("node", "the prices have too many digits to be added up: round them")])
        return prices, step
