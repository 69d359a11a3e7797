"""Every placement that `place` may choose from, and what it is worth: small clusters only.

Where nodes may be switched off, a placement counts once with each set of nodes that stay on: what is not survived with all nodes
may be with fewer.
"""

from collections.abc import Iterator, Sequence
from itertools import combinations

from attrs import frozen

from tests.support.brute import Placement, Value, World
from vmplace.model.cluster import Cluster


@frozen
class Option:
    """One placement: what was asked for in its order of importance, then what breaks ties."""

    placement: Placement
    powered: frozenset[str]
    asked: Value
    ties: Value

    @property
    def worth(self) -> Value:
        return *self.asked, *self.ties


def options(
    cluster: Cluster,
    objectives: Sequence[str],
    *,
    move_running: bool,
    max_moves: int | None = None,
    max_migrated: int | None = None,
) -> Iterator[Option]:
    """All that survive every failure."""
    whole = World(cluster)
    for node_of in whole.placements(move_running):
        if max_moves is not None and len(whole.moved(node_of)) > max_moves:
            continue
        if max_migrated is not None and whole.migrated(node_of) > max_migrated:
            continue
        for powered in _powered(whole, node_of) if "consolidate" in objectives else [frozenset(whole.nodes)]:
            if whole.powering(powered).all_survivable(node_of):
                yield _option(whole, node_of, powered, objectives)


def _powered(whole: World, node_of: Placement) -> Iterator[frozenset[str]]:
    hosts = {*node_of.values(), *whole.target.values()}
    others = [node.name for node in whole.cluster.nodes if node.state == "online" and node.name not in hosts]
    for more in range(len(others) + 1):
        yield from (frozenset({*hosts, *extra}) for extra in combinations(others, more))


def _option(whole: World, node_of: Placement, powered: frozenset[str], objectives: Sequence[str]) -> Option:
    """As `World.costs` does: broken shoulds come first, or right after moves that are first."""
    worth = {"balance": whole.balance(node_of), "moves": whole.migrated(node_of), "consolidate": len(powered)}
    asked = [worth[name] for name in objectives]
    asked.insert(1 if objectives[0] == "moves" else 0, whole.should_cost(node_of))
    return Option(node_of, powered, tuple(asked), (worth["moves"], worth["balance"]))
