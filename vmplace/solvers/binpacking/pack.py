"""Bin packing with proof: the fewest bins, of one kind or several, that hold all items.

Bounds without search and quick packings first: often they meet. Then each number of bins between them is asked for, from below:
column generation proves that it does not suffice, or diving finds a packing, or the arc-flow model decides.
"""

from collections.abc import Sequence

from attrs import define, field, frozen

from vmplace.solvers.binpacking.arcflow import flow
from vmplace.solvers.binpacking.bounds import lower_bound
from vmplace.solvers.binpacking.column_generation import ColumnGeneration, Residual
from vmplace.solvers.binpacking.diving import dive
from vmplace.solvers.binpacking.instance import Instance, Kinds, Load
from vmplace.solvers.binpacking.subset_sum import best_fit, fill_up
from vmplace.solvers.budget import Budget, OutOfTimeError
from vmplace.solvers.program import Outcome

__all__ = ["Packing", "pack"]

_FAILURES = 100
_FLOW_SHARE = 0.5


@frozen
class Packing:
    """What `pack` found.

    Parameters
    ----------
    bin_of
        Bin of each item, as an index into all bins, kinds in the order given; None without a packing.
    n_bins
        How many bins are in use; None without a packing.
    bound
        No packing uses fewer. One more than there are bins where it is proved that there is none.
    infeasible
        Whether that is proved.
    method
        What found the packing, and what the bound: each of ``bounds``, ``best-fit``, ``subset-sum``, ``diving``, ``arc-flow``,
        ``patterns``, joined by ``+`` where they differ.
    """

    bin_of: tuple[int, ...] | None
    n_bins: int | None
    bound: int
    infeasible: bool
    method: str

    @property
    def optimal(self) -> bool:
        """Whether the packing is proved best."""
        return self.n_bins == self.bound


def pack(sizes: Sequence[int], kinds: Kinds, *, budget: Budget) -> Packing:
    """Pack all items into as few bins as can be.

    Parameters
    ----------
    sizes
        Of the items: positive integers, their sum below 2**52.
    kinds
        Bins as (capacity, how many there are).
    budget
        The best so far is returned when it is spent.

    Raises
    ------
    ValueError
        if a size is not positive.
    """
    instance = Instance.of(sizes, kinds)
    search = _Packer(instance, budget)
    search.run()
    loads = search.loads
    infeasible = search.bound > instance.n_bins
    method = "+".join(dict.fromkeys(m for m in (search.found_by, search.proved_by) if m))
    if loads is None:
        return Packing(None, None, search.bound, infeasible, method)
    return Packing(instance.assign(loads, sizes, kinds), len(loads), search.bound, False, method)


@define
class _Packer:
    instance: Instance
    budget: Budget
    loads: tuple[Load, ...] | None = field(default=None, init=False)
    bound: int = field(default=0, init=False)
    found_by: str = field(default="", init=False)
    proved_by: str = field(default="bounds", init=False)
    _columns: ColumnGeneration | None = field(default=None, init=False)

    def run(self) -> None:
        self.bound = lower_bound(self.instance)
        try:
            if self.bound <= self.instance.n_bins:
                self._quick()
                self._climb()
        except OutOfTimeError:
            pass

    @property
    def most(self) -> int:
        """Fewer bins than this are of interest."""
        return self.instance.n_bins + 1 if self.loads is None else len(self.loads)

    def _quick(self) -> None:
        self._take(best_fit(self.instance, budget=self.budget), "best-fit")
        if self.bound < self.most:
            self._take(
                fill_up(self.instance, self.instance.counts, self.instance.largest(self.most - 1), budget=self.budget),
                "subset-sum",
            )

    def _climb(self) -> None:
        """Decide one number of bins after the other; what stays open does not keep the larger ones from being tried."""
        n_bins = self.bound
        while n_bins < self.most:
            outcome = self._decide(n_bins)
            n_bins += 1
            if outcome is Outcome.INFEASIBLE:  # and with fewer bins, too
                self.bound = n_bins

    def _decide(self, n_bins: int) -> Outcome:
        """Whether all fits in so many bins."""
        if ColumnGeneration.affordable(self.instance):
            if self._columns is None:
                self._columns = ColumnGeneration(self.instance, self.budget)
            if self._columns.solve(Residual.of(self.instance, n_bins)) is Outcome.INFEASIBLE:
                self.proved_by = "patterns"
                return Outcome.INFEASIBLE
            if self._take(dive(self._columns, n_bins, failures=_FAILURES), "diving"):
                return Outcome.FEASIBLE
        # While nothing is found, more bins are worth trying, too.
        share = 1.0 if n_bins + 1 == self.most else _FLOW_SHARE
        outcome, loads = flow(self.instance, n_bins, budget=self.budget.share(share))
        self._take(loads, "arc-flow")
        if outcome is Outcome.INFEASIBLE:
            self.proved_by = "arc-flow"
        return outcome

    def _take(self, loads: tuple[Load, ...] | None, method: str) -> bool:
        """Take a packing that is better than the best."""
        if loads is None or len(loads) >= self.most:
            return False
        self.loads, self.found_by = loads, method
        return True
