"""Candidate nodes under several guarantees: a node is admitted only if each of them allows it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import evolve, frozen

from vmplace.admission.candidates import CandidateSurvey
from vmplace.admission.results import Rejection
from vmplace.model.columns import BoolArray, IntArray
from vmplace.model.entities import Node

__all__ = ["joint_survey", "of_guarantee"]

_ALL = slice(None)


def joint_survey(surveys: Sequence[CandidateSurvey], nodes: Sequence[Node]) -> CandidateSurvey:
    """The surveys of one VM under each guarantee as one, of all nodes; scores and penalties do not depend on the guarantee."""
    names = [node.name for node in nodes]
    parts = [survey.among(names) for survey in surveys]
    joint = _Joint(parts, np.array([node.headroom is not None for node in nodes], dtype=bool))
    rejections, causes, guarantees = joint.told()
    first = parts[0].known
    known = evolve(first, rejections=rejections, causes=causes, guarantees=guarantees, cause=joint.cause)

    def ask(index: int) -> tuple[Rejection, int]:
        rejection, cause, guarantees[index] = joint.ask(index)
        return rejection, cause

    def sift() -> tuple[IntArray, IntArray]:
        for part in parts:
            part.sifted()
        rejections, causes, guarantees[:] = joint.told()
        return rejections, causes

    return CandidateSurvey(known, ask, sift)


def of_guarantee(rejections: Any, own_headroom: Any) -> Any:
    """Whether a guarantee speaks against a node, or each of some: not memory or a rule, nor the node's own headroom."""
    theirs = np.isin(rejections, [Rejection.HEADROOM, Rejection.FAILURE, Rejection.WORSE, Rejection.DOUBT])
    return theirs & ((rejections != Rejection.HEADROOM) | ~np.asarray(own_headroom))


@frozen(eq=False)
class _Joint:
    """The surveys under each guarantee, of the same nodes.

    Parameters
    ----------
    parts
        The surveys.
    own_headroom
        Nodes with a headroom of their own, which no guarantee asks for, shape (n_nodes,).
    """

    parts: Sequence[CandidateSurvey]
    own_headroom: BoolArray

    def told(self, nodes: IntArray | slice = _ALL) -> tuple[IntArray, IntArray, IntArray]:
        """What the first guarantee says of each node that refuses it, or else doubts it: columns as in `Candidates`."""
        each = np.array([part.known.rejections[nodes] for part in self.parts])
        causes = np.array([part.known.causes[nodes] for part in self.parts])
        concern = np.where(each == Rejection.NOTHING, 0, np.where(each == Rejection.DOUBT, 1, 2))
        first, there = concern.argmax(axis=0), np.arange(each.shape[1])
        rejections, cause = each[first, there], causes[first, there]
        theirs = of_guarantee(rejections, self.own_headroom[nodes])
        return rejections, np.where(cause < 0, -1, cause * len(self.parts) + first), np.where(theirs, first, -1)

    def cause(self, number: int) -> str:
        """The name of a cause."""
        own, part = divmod(number, len(self.parts))
        return self.parts[part].known.cause(own)

    def ask(self, node: int) -> tuple[Rejection, int, int]:
        """The same of one node, once one guarantee after the other was asked about it, until one refuses it."""
        for part in self.parts:
            if part.known.rejections[node] == Rejection.DOUBT:
                part.asked(node)
            if part.known.rejections[node] not in (Rejection.NOTHING, Rejection.DOUBT):
                break
        (rejection,), (cause,), (guarantee,) = (column.tolist() for column in self.told(np.array([node])))
        return Rejection(rejection), cause, guarantee
