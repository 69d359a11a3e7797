"""Lower bound on the nodes to buy: a small integer program over the number of nodes of each kind, with covering rows."""

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise
from math import gcd

import numpy as np
from attrs import define, field, frozen

from vmplace.model.columns import BoolArray, IntArray
from vmplace.problem.sizes import evenly, tally
from vmplace.solvers.binpacking.bounds import dual_feasible
from vmplace.solvers.budget import Budget
from vmplace.solvers.cpsat import CpSat
from vmplace.solvers.program import Answer, IntegerProgram

__all__ = ["Demand", "NodeKinds", "NodeMix"]

_MOST_SIZES = 128
"""Of so many sizes functions are made."""


@frozen(eq=False)
class NodeKinds:
    """The kinds of nodes to choose from.

    Parameters
    ----------
    capacity
        Of one node of each kind, shape (n_kinds, n_resources).
    limit
        What normal running may use of it, shape (n_kinds, n_resources).
    price
        Whole numbers, shape (n_kinds,).
    most
        How many there may be, shape (n_kinds,).
    alike
        Whether nodes of the kinds differ in nothing but capacity.
    """

    capacity: IntArray
    limit: IntArray
    price: tuple[int, ...]
    most: tuple[int, ...]
    alike: bool

    @property
    def chain(self) -> list[int] | None:
        """The kinds from the largest to the smallest, each of them no larger in anything than the one before; None if they are
        not so."""
        order = np.lexsort(self.capacity.T[::-1])[::-1]
        ordered = self.capacity[order]
        falling = bool(np.all(ordered[1:] <= ordered[:-1])) and bool(np.all(np.diff(self.limit[order], axis=0) <= 0))
        return order.tolist() if self.alike and falling else None


@frozen(eq=False)
class Demand:
    """What the VMs need of the nodes.

    Parameters
    ----------
    amounts
        What each VM needs, shape (n_vms, n_resources).
    n_firm
        How many resources bind in a failover.
    restarts
        For each guarantee: how many nodes fail at once, and which VMs must restart, shape (n_vms,).
    monotone
        Whether a node more, or a larger one, never does harm.
    """

    amounts: IntArray
    n_firm: int
    restarts: Sequence[tuple[int, BoolArray]]
    monotone: bool


@frozen
class _DemandRow:
    """All nodes without those that fail at worst (``spared``: of which resource, and how many; None: with all) must be worth so
    much."""

    worths: tuple[int, ...]
    need: int
    spared: tuple[int, int] | None


@define
class NodeMix:
    """How many nodes of each kind are needed at least: a covering problem.

    For each resource and each worth f of sizes that is nondecreasing and superadditive [1]_: what all nodes hold in normal
    running is worth no less than all VMs; and what is left without the nodes that have most and may fail, no less than those
    that must restart.

    Parameters
    ----------
    kinds, demand
        What there is, and for what.

    References
    ----------
    .. [1] See `vmplace.solvers.binpacking.bounds`.
    """

    kinds: NodeKinds
    demand: Demand
    _rows: list[_DemandRow] = field(init=False)
    _excluded: list[tuple[int, ...]] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self._rows = []
        for _, rows in groupby(self._all_rows(), key=lambda row: row.spared):
            self._rows += _tightest(list(rows))

    def exclude(self, counts: tuple[int, ...]) -> None:
        """Take these numbers out, as not enough, and with them all that are no better."""
        self._excluded.append(counts)

    def cheapest(self, *, budget: Budget, stretch: int = 0, below: int | None = None) -> Answer:
        """The cheapest numbers that are not ruled out, `values` beginning with them.

        Parameters
        ----------
        budget
            The time there is.
        stretch
            So many 1024ths more than the VMs need.
        below
            Only what is cheaper than this.
        """
        program = IntegerProgram()
        numbers = [program.variable(0, most) for most in self.kinds.most]
        program.objective = list(zip(numbers, self.kinds.price, strict=True))
        if below is not None:
            program.row(program.objective, upper=below - 1)
        spares = {spared: self._spares(program, numbers, spared) for spared in dict.fromkeys(row.spared for row in self._rows)}
        for row in self._rows:
            spared = [(v, -w) for v, w in zip(spares[row.spared], row.worths, strict=True)]
            program.row([*zip(numbers, row.worths, strict=True), *spared], lower=-(-row.need * (1024 + stretch) // 1024))
        for counts in self._excluded:
            self._better(program, numbers, counts)
        return CpSat().solve(program, budget=budget)

    def _all_rows(self) -> Iterator[_DemandRow]:
        demand = self.demand
        for resource in range(demand.amounts.shape[1]):
            every = np.ones(len(demand.amounts), dtype=bool)
            yield from self._rows_of(resource, self.kinds.limit[:, resource], every, None)
            for failures, protected in demand.restarts:
                if failures and resource < demand.n_firm:
                    yield from self._rows_of(resource, self.kinds.capacity[:, resource], protected, (resource, failures))

    def _rows_of(self, resource: int, capacity: IntArray, vms: BoolArray, spared: tuple[int, int] | None) -> Iterator[_DemandRow]:
        values, counts = tally(self.demand.amounts[vms, resource])
        values, counts = values[values > 0], counts[values > 0]
        if not len(values):
            return
        unit = int(np.gcd.reduce(values))
        values, capacity = values // unit, capacity // unit
        for worth in dual_feasible(evenly(values, _MOST_SIZES)[::-1].tolist(), max(int(capacity.max()), int(values[-1]))):
            worths, need = worth(capacity).tolist(), int(worth(values) @ counts)
            step = gcd(*worths)
            if need > 0:
                yield _DemandRow(
                    tuple(w // step for w in worths) if step else tuple(worths), -(-need // step) if step else 1, spared
                )

    def _spares(self, program: IntegerProgram, numbers: Sequence[int], spared: tuple[int, int] | None) -> list[int]:
        """How many nodes of each kind are among those that have most of a resource and may fail; no variables for None."""
        if spared is None:
            return [-1] * len(numbers)
        (resource, failures), most = spared, self.kinds.most
        spares = [program.variable(0, min(failures, bound)) for bound in most]
        program.row([(v, 1) for v in spares], lower=failures, upper=failures)
        order = np.argsort(-self.kinds.capacity[:, resource], kind="stable").tolist()
        for kind in order:
            program.row([(spares[kind], 1), (numbers[kind], -1)], upper=0)
        for larger, smaller in pairwise(order):
            # Where one of the smaller fails, all of the larger do: `whole` says so, of this kind and of all larger ones.
            whole = program.variable(0, 1)
            program.row([(numbers[larger], 1), (spares[larger], -1), (whole, most[larger])], upper=most[larger])
            for other in order[order.index(smaller) :]:
                program.row([(spares[other], 1), (whole, -failures)], upper=0)
        return spares

    def _better(self, program: IntegerProgram, numbers: Sequence[int], counts: tuple[int, ...]) -> None:
        """One more of some kind, or of it and all larger ones together; where more may do harm, or less of some kind."""
        chain = self.kinds.chain
        choices = []
        for place, kind in enumerate(chain or range(len(numbers))):
            among = chain[: place + 1] if chain else [kind]
            choices.append(program.variable(0, 1))
            least = 1 + sum(counts[k] for k in among)
            program.row([*((numbers[k], 1) for k in among), (choices[-1], -least)], lower=0)
            if not self.demand.monotone:
                choices.append(program.variable(0, 1))
                room = self.kinds.most[kind] - counts[kind] + 1
                program.row([(numbers[kind], 1), (choices[-1], room)], upper=counts[kind] - 1 + room)
        program.row([(v, 1) for v in choices], lower=1)


def _tightest(rows: list[_DemandRow]) -> list[_DemandRow]:
    """The rows without those that ask for no more than another does; where floats mislead, one less only makes a bound weaker."""
    shares = np.array([row.worths for row in rows], dtype=float) / np.array([row.need for row in rows], dtype=float)[:, None]
    kept: list[int] = []
    for index in np.argsort(shares.sum(axis=1), kind="stable").tolist():
        if not np.any(np.all(shares[kept] <= shares[index], axis=1)):
            kept.append(index)
    return [rows[index] for index in kept]
