"""Candidate nodes for one VM: what is known of each, and questions about those that are undecided."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from attrs import define

from vmplace.admission.results import Candidates, Rejection
from vmplace.model.columns import IntArray
from vmplace.solvers.budget import Budget

__all__ = ["SCORES", "CandidateSurvey", "scores"]

SCORES = ("tightest", "balance")


def scores(name: str, free: IntArray, usable: IntArray, memory: int) -> Any:
    """What a VM makes of each node; less is better.

    ``tightest``: the MiB that stay free there, headroom or not. Holes that are large stay whole, so that the next large VM finds
    one and so do those that a failure displaces; the first refusal comes late. ``balance``: the share of usable memory in use.
    """
    return free - memory if name == "tightest" else (usable - free + memory) / usable


@define(eq=False)
class CandidateSurvey:
    """What is known of a VM on each node; `Rejection.DOUBT` where it is not known yet.

    Parameters
    ----------
    names
        Of the nodes, in document order.
    memory
        What the VM asks for, in MiB.
    rejections, failures
        As in `Candidates`, shape (n_nodes,).
    scores
        Less is better, shape (n_nodes,).
    free
        In MiB, shape (n_nodes,).
    failure
        The name of an entry of `failures`.
    ask
        Decides one node.
    sift
        Decides what it can of all nodes at once: the rejections, and the failures.
    penalties
        What counts before the score, shape (n_nodes,); None: nothing.
    """

    names: Sequence[str]
    memory: int
    rejections: IntArray
    failures: IntArray
    scores: Any
    free: IntArray
    failure: Callable[[int], str]
    ask: Callable[[int], tuple[Rejection, int]]
    sift: Callable[[], tuple[IntArray, IntArray]] | None = None
    penalties: IntArray | None = None

    def admitted(self, budget: Budget) -> Iterator[int]:
        """The admissible nodes, those of least penalty and score first, the first of equals; as far as they are known.

        When time is up, no node is asked about any more.
        """
        open_ = np.flatnonzero(self.rejections == Rejection.DOUBT)
        if not len(open_):
            return
        first = int(open_[self.scores[open_].argmin()]) if self.penalties is None else self._ordered(open_)[0]
        if self._asked(first):
            yield first
        self._sifted(first)
        left = np.flatnonzero((self.rejections == Rejection.DOUBT) | (self.rejections == Rejection.NOTHING))
        for index in self._ordered(left):
            if index == first:
                continue
            if self.rejections[index] == Rejection.NOTHING or (not budget.spent and self._asked(index)):
                yield index

    def decide(self, budget: Budget) -> None:
        """Tell of every node, as far as time allows."""
        self._sifted()
        for index in np.flatnonzero(self.rejections == Rejection.DOUBT).tolist():
            if budget.spent:
                return
            self._asked(index)

    def _ordered(self, nodes: IntArray) -> list[int]:
        """Nodes, the best first."""
        keys = [self.scores[nodes]] if self.penalties is None else [self.scores[nodes], self.penalties[nodes]]
        ordered: list[int] = nodes[np.lexsort((nodes, *keys))].tolist()
        return ordered

    def _asked(self, index: int) -> bool:
        self.rejections[index], self.failures[index] = self.ask(index)
        return bool(self.rejections[index] == Rejection.NOTHING)

    def score(self, index: int) -> int | float:
        """The score of a node, as a plain number."""
        score: int | float = self.scores[index].item()
        return score

    def result(self) -> Candidates:
        """What is known by now."""
        penalties = np.zeros(len(self.names), dtype=np.int64) if self.penalties is None else self.penalties
        own = (self.names, self.memory, self.rejections, self.scores)
        return Candidates(*own, penalties, self.free, self.failures, self.failure)

    def _sifted(self, told: int = -1) -> None:
        if self.sift is not None:
            before = self.rejections, self.failures
            self.rejections, self.failures = self.sift()
            if told >= 0:
                self.rejections[told], self.failures[told] = before[0][told], before[1][told]
