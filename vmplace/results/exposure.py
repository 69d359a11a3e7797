"""What a failure costs while the guarantee does not hold: the worst single failure, and a sentence about it."""

from collections.abc import Collection, Iterable
from typing import Self

from attrs import frozen

from vmplace.model.guarantee import Guarantee
from vmplace.model.text import counted

__all__ = ["Exposure"]


@frozen
class Exposure:
    """The failure that costs most VMs their restart.

    Parameters
    ----------
    scenario, vms
        What fails, and the VMs that cannot restart then.
    only
        Whether every other failure is survived.
    known
        Whether it is known of every failure whom it costs the restart.
    guarantee
        What is asked for.
    """

    scenario: str
    vms: tuple[str, ...]
    only: bool
    known: bool
    guarantee: Guarantee

    @classmethod
    def of(cls, losses: Iterable[tuple[str, tuple[str, ...]]], exposed: Collection[str], guarantee: Guarantee) -> Self | None:
        """The worst of the failures; None where it is not known of any whom it costs the restart.

        Parameters
        ----------
        losses
            Failures, each with VMs that cannot restart then.
        exposed
            The failures that are not survived, or not known to be.
        """
        lost: dict[str, tuple[str, ...]] = {}
        for name, vms in losses:  # two of one name, where a failure domain spans pools
            lost[name] = (*lost.get(name, ()), *vms)
        if not lost:
            return None
        scenario = max(lost, key=lambda name: len(lost[name]))
        left = {*exposed, *lost}
        return cls(scenario, lost[scenario], len(left) == 1, len(left) == len(lost), guarantee)

    def sentence(self, when: str = "now") -> str:
        """How many VMs cannot restart if one of the failures comes."""
        cannot = "cannot restart" if self.guarantee.restart == "planned" else "may not restart"
        count = counted(len(self.vms), "VM")
        if self.only:
            return f"if {self.scenario} fails {when}, {count} {cannot}"
        return f"if {self._failure} {when}, {'up to' if self.known else 'at least'} {count} {cannot} (worst: {self.scenario})"

    @property
    def _failure(self) -> str:
        asked = self.guarantee
        if asked.domains:
            further = asked.failures - asked.domains
            return f"{counted(asked.domains, 'failure domain')} and {counted(further, 'node')} fail"
        noun = "node" if asked.scope == "node" else "failure domain"
        return f"one {noun} fails" if asked.failures == 1 else f"{counted(asked.failures, noun)} fail"
