"""Migrations in order: 300 at once on nearly full clusters, pairs of random placements, and every node drained once."""

import statistics
from random import Random

import click
import numpy as np

import vmplace
from benchmarks.instances import Instance
from benchmarks.table import Clock, show
from vmplace.model.cluster import Cluster
from vmplace.model.columns import IntArray
from vmplace.results.migration import MigrationPlan

__all__ = ["command", "exchanged", "pair"]

_TASKS = [
    *(("flavors", fill) for fill in (0.85, 0.9, 0.97)),
    *((profile, 0.97) for profile in ("azure", "uniform", "big-vms")),
]
_ROLLED = ((16, 0.6), (16, 0.85), (64, 0.5), (64, 0.9))
_PALETTES = ((2, 4, 8, 16, 32), (4, 8, 16), (3, 5, 7, 11, 16), (2, 4, 8, 16, 32, 64))


@click.command("migrations")
@click.option("--nodes", default=64)
@click.option("--moves", default=300, help="How many VMs end elsewhere.")
@click.option("--pairs", default=100, help="How many pairs of placements are drawn.")
@click.option("--seed", default=1)
@click.option("--time-limit", "limit", default=10.0, help="Seconds for each plan.")
def command(nodes: int = 64, moves: int = 300, pairs: int = 100, seed: int = 1, limit: float = 10.0) -> None:
    """`plan_moves` and `rolling_drain`: how long they take, and how good what they find is."""
    show(
        f"{moves} migrations in order",
        (
            "nodes",
            "VMs",
            "profile",
            "fill",
            "migrations",
            "steps",
            "extra GiB",
            "steps not safe after",
            "status",
            "seconds",
            "CPU s",
        ),
        (_ordered(nodes, moves, profile, fill, seed, limit) for profile, fill in _TASKS),
        note=f"{nodes} nodes of 512 GiB, safe as placed; then random pairs of VMs exchanged where both fit; seed {seed}.",
    )
    show(
        "random placements, 85 to 97 % full",
        ("nodes", "pairs", "optimal", "feasible", "infeasible", "unknown", "migrations", "extra", "median s", "most s"),
        (_drawn(size, pairs, seed, limit) for size in (4, 8, 16)),
        note=f"The guarantee is N+1, which few states keep; extra: share of memory that migrates to make way; seed {seed}.",
    )
    show(
        "every node drained once",
        ("nodes", "fill", "groups", "at least", "GiB migrated", "status", "seconds"),
        (_rolled(*task, seed) for task in _ROLLED),
        note=f"Flavours, placed worst-fit; seed {seed}; 60 s at most.",
    )


def _ordered(nodes: int, moves: int, profile: str, fill: float, seed: int, limit: float) -> tuple[object, ...]:
    cluster, final = exchanged(nodes, moves, profile, fill, seed)
    with Clock() as clock:
        plan = vmplace.plan_moves(cluster, final, time_limit=limit)
    told = len(plan.migrations), len(plan.steps), plan.extra / 1024, len(plan.exposed), str(plan.status), clock.seconds, clock.cpu
    return nodes, len(cluster.vms), profile, f"{fill:.2f}", *told


def exchanged(nodes: int, moves: int, profile: str, fill: float, seed: int) -> tuple[Cluster, IntArray]:
    """A cluster that is safe as placed by greedy, and a placement in which so many VMs have changed places."""
    drawn = Instance(nodes=nodes, profile=profile, fill=fill, seed=seed, objective="balance", limit=0).cluster()
    memory, usable = np.array([vm.memory for vm in drawn.vms]), np.array([node.usable for node in drawn.nodes])
    waiting = Cluster.from_arrays(node_memory=usable, vm_memory=memory)
    now = np.array(vmplace.place(waiting, method="greedy").node_of)
    final, load = now.copy(), np.bincount(now, memory, nodes).astype(np.int64)
    random = np.random.Generator(np.random.PCG64(seed))
    while np.count_nonzero(final != now) < moves:
        first, second = random.integers(len(memory), size=2).tolist()
        here, there, more = int(final[first]), int(final[second]), int(memory[second] - memory[first])
        if here != there and load[here] + more <= usable[here] and load[there] - more <= usable[there]:
            load[here], load[there] = load[here] + more, load[there] - more
            final[first], final[second] = there, here
    return Cluster.from_arrays(node_memory=usable, vm_memory=memory, vm_node=now), final


def _drawn(nodes: int, pairs: int, seed: int, limit: float) -> tuple[object, ...]:
    random, seconds, plans, direct = Random(f"{seed}/{nodes}"), list[float](), list[MigrationPlan](), 0
    while len(plans) < pairs:
        cluster, final = pair(random, nodes)
        with Clock() as clock:
            plans.append(vmplace.plan_moves(cluster, final, time_limit=limit))
        seconds.append(clock.seconds)
        direct += sum(m.memory for m in plans[-1].migrations) - plans[-1].extra
    counts = (sum(str(plan.status) == status for plan in plans) for status in ("optimal", "feasible", "infeasible", "unknown"))
    extra = sum(plan.extra for plan in plans) / max(1, direct)
    moved = statistics.mean(len(plan.migrations) for plan in plans)
    return nodes, pairs, *counts, f"{moved:.0f}", f"{extra:.1%}", statistics.median(seconds), max(seconds)


def pair(random: Random, nodes: int) -> tuple[Cluster, IntArray]:
    """A cluster from 85 to 97 % full, and another placement of its VMs."""
    while True:
        size, fill, palette = random.choice((128, 256, 512)), random.uniform(0.85, 0.97), random.choice(_PALETTES)
        memory: list[int] = []
        while sum(memory) + (more := random.choice([m for m in palette if 3 * m <= size])) <= fill * nodes * size:
            memory.append(more)
        now, final = (_packed(random, [size] * nodes, memory) for _ in range(2))
        if now is not None and final is not None:
            return Cluster.from_arrays(node_memory=[size] * nodes, vm_memory=memory, vm_node=now), np.array(final)


def _packed(random: Random, free: list[int], memory: list[int]) -> list[int] | None:
    """The largest first, on any node that has room or on the one that has most; None where one finds no room."""
    node_of = [0] * len(memory)
    for vm in sorted(range(len(memory)), key=lambda vm: (-memory[vm], random.random())):
        open_ = [node for node, room in enumerate(free) if room >= memory[vm]]
        if not open_:
            return None
        node_of[vm] = random.choice(open_) if random.random() < 0.7 else max(open_, key=free.__getitem__)
        free[node_of[vm]] -= memory[vm]
    return node_of


def _rolled(nodes: int, fill: float, seed: int) -> tuple[object, ...]:
    cluster = Instance(nodes=nodes, profile="flavors", fill=fill, seed=seed, objective="moves", limit=60).cluster()
    with Clock() as clock:
        found = vmplace.rolling_drain(cluster, time_limit=60)
    told = len(found.groups), found.bound, found.migrated / 1024, str(found.status), clock.seconds
    return nodes, f"{fill:.2f}", *told
