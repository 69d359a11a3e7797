"""Bin packing with proof: classic instances with known optima."""

import statistics
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from random import Random

import click
from attrs import frozen

from benchmarks.data import FOLDER
from benchmarks.table import Clock, show
from vmplace.solvers.binpacking.pack import Packing, pack
from vmplace.solvers.budget import Budget

__all__ = ["command"]

_ONE_LESS = {"u120_08": 50, "u120_19": 49, "u250_07": 103, "u250_12": 105}
"""Optima where the files' best known values are one too high."""


@frozen
class _Instance:
    sizes: tuple[int, ...]
    capacity: int
    optimum: int


@click.command("binpacking")
@click.option("--time-limit", default=10.0, help="Seconds for each instance.")
@click.option("--seeds", default=20, help="Triplet instances of each size.")
def command(time_limit: float = 10.0, seeds: int = 20) -> None:
    """OR-Library's uniform instances, and triplets that fill their bins exactly."""
    pack(_triplets(30, 0).sizes, [(1000, 10)], budget=Budget(60))  # loads the solvers
    rows = []
    for name in ("binpack1", "binpack2"):
        if (FOLDER / "orlib" / f"{name}.txt").exists():
            rows.append(_row(name, list(_or_library(name)), time_limit))
        else:
            click.echo(f"{FOLDER / 'orlib'} has no {name}.txt: skipped.", err=True)
    for n_items in (60, 120, 249):
        rows.append(_row(f"triplets {n_items}", [_triplets(n_items, seed) for seed in range(seeds)], time_limit))
    show(
        "Fewest bins, with proof",
        ("set", "instances", "optimum found", "proved", "median s", "max s"),
        rows,
        note=f"`solvers.binpacking.pack`, {time_limit:g} s each. Triplets as in Falkenauer (1996): three fill each bin of 1000.",
    )


def _or_library(name: str) -> Iterator[_Instance]:
    """Instances of one file: their number; for each its name, capacity, number of items, best known value; the items."""
    tokens = iter((FOLDER / "orlib" / f"{name}.txt").read_text().split())
    for _ in range(int(next(tokens))):
        label = next(tokens)
        capacity, n_items, known = (int(next(tokens)) for _ in range(3))
        sizes = tuple(int(next(tokens)) for _ in range(n_items))
        yield _Instance(sizes, capacity, _ONE_LESS.get(label, known))


def _triplets(n_items: int, seed: int) -> _Instance:
    """For each bin of 1000, an item of 380 to 490, one of 250 or more that leaves as much, and the rest; in any order."""
    random = Random(seed)
    bins = []
    for _ in range(n_items // 3):
        first = random.randint(380, 490)
        second = random.randint(250, 1000 - first - 250)
        bins.append((first, second, 1000 - first - second))
    sizes = list(chain.from_iterable(bins))
    random.shuffle(sizes)
    return _Instance(tuple(sizes), 1000, n_items // 3)


def _row(name: str, instances: list[_Instance], time_limit: float) -> tuple[object, ...]:
    found, proved, seconds = 0, 0, []
    for instance in instances:
        with Clock() as clock:
            packing = pack(instance.sizes, [(instance.capacity, len(instance.sizes))], budget=Budget(time_limit))
        seconds.append(clock.seconds)
        _check(packing, instance)
        found += packing.n_bins == instance.optimum
        proved += packing.optimal
    return name, len(instances), found, proved, statistics.median(seconds), max(seconds)


def _check(packing: Packing, instance: _Instance) -> None:
    """Judge without the package's own arithmetic: no bin is overfull, and neither value nor bound passes the optimum."""
    loads: Counter[int] = Counter()
    for chosen, size in zip(packing.bin_of or (), instance.sizes, strict=packing.bin_of is not None):
        loads[chosen] += size
    assert all(load <= instance.capacity for load in loads.values())
    assert packing.bound <= instance.optimum
    assert packing.n_bins is None or len(loads) == packing.n_bins >= instance.optimum
