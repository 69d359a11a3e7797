"""Candidate nodes for one VM: what is known of each, and questions about those that are undecided."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, get_args

import numpy as np
from attrs import define

from vmplace.admission.results import Candidates, Rejection
from vmplace.model.columns import BoolArray, IntArray
from vmplace.model.entities import VM, Node
from vmplace.model.kinds import Score
from vmplace.model.units import spell_memory
from vmplace.solvers.budget import Budget

__all__ = ["SCORES", "CandidateSurvey", "away", "outsized", "scores"]

SCORES = get_args(Score)


def scores(name: str, free: IntArray, usable: IntArray, memory: int) -> Any:
    """What a VM makes of each node; less is better.

    ``tightest``: the MiB that stay free there, headroom or not. Holes that are large stay whole, so that the next large VM finds
    one and so do those that a failure displaces; the first refusal comes late. ``balance``: the share of usable memory in use.
    """
    return free - memory if name == "tightest" else (usable - free + memory) / usable


def outsized(vm: VM, nodes: Iterable[Node]) -> str:
    """Why no node could hold a VM even if nothing else ran there, in a sentence; empty if one could."""
    able = (node for node in nodes if node.pool == vm.pool and node.state == "online")
    largest = max(able, key=lambda node: node.usable, default=None)
    if largest is None or vm.charged <= largest.usable:
        return ""
    return f"no node can hold {spell_memory(vm.charged)}: the largest, {largest.name}, has {spell_memory(largest.usable)} for VMs"


def away(vm: VM, place: Mapping[str, tuple[str, int]], online: BoolArray) -> IntArray:
    """The penalty of each node of a VM's pool that is not its home, as far as this is online, shape (n_nodes,).

    `place`: the pool of each node, and its place among those of the pool.
    """
    pool, index = place.get(vm.home or "", ("", -1))
    found = np.zeros(len(online), dtype=np.int64)
    if index >= 0 and pool == vm.pool and online[index]:
        found[:] = 1
        found[index] = 0
    return found


@define(eq=False)
class CandidateSurvey:
    """Candidate nodes of which some are undecided (`Rejection.DOUBT`), and what decides them.

    Parameters
    ----------
    known
        What is known so far; its rejections and causes are changed in place.
    ask
        Decides one node: its rejection and the cause.
    sift
        Decides what it can of all nodes at once: the rejections, and the causes.
    """

    known: Candidates
    ask: Callable[[int], tuple[Rejection, int]]
    sift: Callable[[], tuple[IntArray, IntArray]] | None = None

    def admitted(self, budget: Budget) -> Iterator[int]:
        """The admissible nodes, those of least penalty and score first, the first of equals; as far as they are known.

        When time is up, no node is asked about any more.
        """
        rejections, scores = self.known.rejections, self.known.scores
        open_ = np.flatnonzero(rejections == Rejection.DOUBT)
        if not len(open_):
            return
        first = self._ordered(open_)[0] if self.known.penalties.any() else int(open_[scores[open_].argmin()])
        if self.asked(first):
            yield first
        self.sifted()
        left = np.flatnonzero((rejections == Rejection.DOUBT) | (rejections == Rejection.NOTHING))
        for index in self._ordered(left):
            if index == first:
                continue
            if rejections[index] == Rejection.NOTHING or (not budget.spent and self.asked(index)):
                yield index

    @property
    def fitting(self) -> list[int]:
        """The nodes that only a failure may speak against, the best first."""
        open_ = (self.known.rejections == Rejection.DOUBT) | (self.known.rejections == Rejection.NOTHING)
        return self._ordered(np.flatnonzero(open_))

    def decide(self, budget: Budget, names: Sequence[str]) -> None:
        """Tell of some nodes, as far as time allows."""
        self.sifted()
        asked = np.append(self.known.rejections, int(Rejection.POOL))[self.known.places(names)] == Rejection.DOUBT
        for index in self.known.places(names)[asked].tolist():
            if budget.spent:
                return
            self.asked(index)

    def _ordered(self, nodes: IntArray) -> list[int]:
        """Nodes, the best first."""
        scores, penalties = self.known.scores[nodes], self.known.penalties[nodes]
        keys = [scores, penalties] if penalties.any() else [scores]
        ordered: list[int] = nodes[np.lexsort((nodes, *keys))].tolist()
        return ordered

    def asked(self, index: int) -> bool:
        """Decide a node; whether it is admitted."""
        self.known.rejections[index], self.known.causes[index] = self.ask(index)
        return bool(self.known.rejections[index] == Rejection.NOTHING)

    def sifted(self) -> None:
        """Decide at once what can be of the nodes that are undecided."""
        if self.sift is not None:
            open_ = self.known.rejections == Rejection.DOUBT
            rejections, causes = self.sift()
            self.known.rejections[open_], self.known.causes[open_] = rejections[open_], causes[open_]

    def among(self, names: Sequence[str]) -> "CandidateSurvey":
        """The same as part of all nodes: see `Candidates.among`."""
        known = self.known.among(names)
        if known is self.known:
            return self
        place, sift = self.known.places(names), self.sift

        def sifted() -> tuple[IntArray, IntArray]:
            assert sift is not None
            rejections, causes = sift()
            return np.append(rejections, int(Rejection.POOL))[place], np.append(causes, -1)[place]

        return CandidateSurvey(known, lambda index: self.ask(int(place[index])), None if sift is None else sifted)
