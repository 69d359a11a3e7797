"""What an audit found of a saved result: the claims that it re-checked, those that it could not, and those that are wrong."""

from attrs import frozen

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


@frozen(kw_only=True)
class Audit(ToDict):
    """What an audit found of a saved result.

    Parameters
    ----------
    status
        ``refuted``: a claim is wrong; ``unknown``: none is known to be, but whether the guarantee holds as claimed could not be
        decided; ``confirmed``: every claim that can be re-checked holds.
    kind
        Which command the result is of, as far as it can be told: ``check``, ``place``, ``rolling drain``, ``admit``, ...
    says, guarantee
        The result's own status, and what it says of the guarantee; None where it does not.
    checked
        The claims that were re-checked, right or wrong.
    unchecked
        The claims that could not be.
    violations
        What is wrong, of the kinds of `Violation`; ``unverified`` for what could not be decided.
    warnings
        What the result admits, such as headroom that is not kept.
    """

    status: Status
    kind: str
    says: Status | None = None
    guarantee: Status | None = None
    checked: tuple[str, ...] = ()
    unchecked: tuple[Unchecked, ...] = ()
    violations: tuple[Violation, ...] = ()
    warnings: tuple[str, ...] = ()
