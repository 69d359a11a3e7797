"""What an audit found of a saved result: the claims that it re-checked, those that it could not, and those that are wrong."""

from attrs import frozen

from vmplace.model.text import counted
from vmplace.results.result import Result
from vmplace.results.to_dict import ToDict
from vmplace.results.values import Status, Violation

__all__ = ["Audit", "Unchecked"]


@frozen
class Unchecked(ToDict):
    """A claim that an audit could not re-check.

    Parameters
    ----------
    claim
        Its place in the result, such as ``objective.bound``.
    reason
        Why not, in a sentence.
    """

    claim: str
    reason: str


@frozen(kw_only=True, eq=False, repr=False)
class Audit(Result):
    """What an audit found of a saved result.

    Parameters
    ----------
    status
        ``refuted``: a claim is wrong; ``unknown``: no claim is known to be wrong, but whether the guarantee holds could not be
        decided; ``confirmed``: every claim that can be re-checked holds.
    kind
        The command that gave the result, as far as its keys show: ``check``, ``place``, ``rolling drain``, ``admit``, ...
    says, guarantee
        The result's own status, and its verdict on the guarantee; None where it gives none.
    checked
        The claims that were re-checked, right or wrong.
    unchecked
        The claims that could not be re-checked.
    violations
        What is wrong, of the kinds of `Violation`; ``unverified`` for what could not be decided.
    warnings
        Shortcomings that the result itself names, such as headroom that is not kept.
    """

    status: Status
    kind: str
    says: Status | None = None
    guarantee: Status | None = None
    checked: tuple[str, ...] = ()
    unchecked: tuple[Unchecked, ...] = ()
    violations: tuple[Violation, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def safe(self) -> bool:
        """Whether the result is right, and says that the guarantee holds."""
        return self.status is Status.CONFIRMED and (self.guarantee or self.says) is Status.SAFE

    @property
    def finding(self) -> str:
        """How many claims are wrong; if none is, what could be verified, and what the result says."""
        wrong = sum(violation.kind != "unverified" for violation in self.violations)
        if wrong:
            return f"{counted(wrong, 'claim')} of this result {'does' if wrong == 1 else 'do'} not hold"
        if self.violations:
            return "nothing wrong was found, but whether the guarantee holds could not be verified"
        words = dict.fromkeys(word.value for word in (self.says, self.guarantee) if word is not None)
        return f"every claim that can be verified holds; the result says {', '.join(words) or 'nothing of the guarantee'}"

    def summary(self) -> str:
        """The answer in a line."""
        return f"{self.status}: {self.finding}"
