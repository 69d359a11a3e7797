"""What a failure costs while the guarantee does not hold: the worst single failure, and a sentence about it."""

from collections.abc import Collection, Iterable, Sequence
from typing import Self

from attrs import frozen

from vmplace.model.guarantee import Guarantee, guarantee_of
from vmplace.model.text import counted

__all__ = ["Exposure"]


@frozen
class Exposure:
    """The failure that costs most VMs their restart.

    Parameters
    ----------
    scenario, vms
        What fails, as keys of scenarios tell it, and the VMs that cannot restart then.
    only
        Whether every other failure is survived.
    known
        Whether it is known of every failure whom it costs the restart.
    guarantee
        What is asked for. Of several guarantees, the one whose failure this is: the others count neither for `only` nor `known`.
    number
        Which one that is, from 1; None where only one is asked for.
    """

    scenario: str
    vms: tuple[str, ...]
    only: bool
    known: bool
    guarantee: Guarantee
    number: int | None = None

    @classmethod
    def of(
        cls, losses: Iterable[tuple[str, tuple[str, ...]]], exposed: Collection[str], guarantees: Sequence[Guarantee]
    ) -> Self | None:
        """The worst of the failures; None where it is not known of any whom it costs the restart.

        Parameters
        ----------
        losses
            Failures, each with VMs that cannot restart then.
        exposed
            The failures that are not survived, or not known to be.
        guarantees
            All that must hold.
        """
        lost: dict[str, tuple[str, ...]] = {}
        for name, vms in losses:  # two of one name, where a failure domain spans pools
            lost[name] = (*lost.get(name, ()), *vms)
        if not lost:
            return None
        scenario = max(lost, key=lambda name: len(lost[name]))
        number, _ = guarantee_of(scenario)
        left = {key for key in (*exposed, *lost) if guarantee_of(key)[0] == number}
        one = len(guarantees) == 1
        return cls(scenario, lost[scenario], len(left) == 1, left <= lost.keys(), guarantees[number], None if one else number + 1)

    def sentence(self, when: str = "now") -> str:
        """How many VMs cannot restart if one of the failures comes."""
        cannot = "may not restart" if self.guarantee.any_order else "cannot restart"
        count, (_, worst) = counted(len(self.vms), "VM"), guarantee_of(self.scenario)
        which = "" if self.number is None else f"guarantee {self.number}"
        if self.only:
            return f"if {worst} fails {when}, {count} {cannot}{which and f' ({which})'}"
        told = f"({which and f'{which}, '}worst: {worst})"
        return f"if {self._failure} {when}, {'up to' if self.known else 'at least'} {count} {cannot} {told}"

    @property
    def _failure(self) -> str:
        asked = self.guarantee
        if asked.domains:
            further = asked.failures - asked.domains
            return f"{counted(asked.domains, 'failure domain')} and {counted(further, 'node')} fail"
        noun = "node" if asked.scope == "node" else "failure domain"
        return f"one {noun} fails" if asked.failures == 1 else f"{counted(asked.failures, noun)} fail"
