"""The guarantee: which failures must be survived, and what is assumed of the restart."""

from fractions import Fraction

from attrs import field, frozen

from vmplace.model.converters import (
    name_places,
    parse_count,
    parse_headroom,
    parse_order,
    parse_policy,
    parse_restart,
    parse_scope,
    parse_sequence,
)
from vmplace.model.entities import Described

__all__ = ["Guarantee"]


@frozen(kw_only=True, field_transformer=name_places)
class Guarantee(Described):
    """What must be survivable, and what is assumed of the restart.

    Parameters
    ----------
    failures
        How many nodes (or domains) of a pool fail at once.
    scope
        ``node`` or ``domain``.
    sequence
        ``at-once`` or ``sequential``.
    restart
        ``planned`` (to a plan) or ``any-order`` (as the HA manager pleases).
    policy
        A platform's own choice of node: ``first-fit``, ``most-free`` or ``best-fit``.
    order
        With `policy`: ``largest-first``, ``priority`` or ``as-listed``.
    headroom
        Share of each node's usable memory kept free in normal running, from 0 to below 1; kept as the
        exact fraction of its decimal text.
    """

    failures: int = field(default=1, converter=parse_count)
    scope: str = field(default="node", converter=parse_scope)
    sequence: str = field(default="at-once", converter=parse_sequence)
    restart: str = field(default="planned", converter=parse_restart)
    policy: str | None = field(default=None, converter=parse_policy)
    order: str | None = field(default=None, converter=parse_order)
    headroom: Fraction = field(default=Fraction(0), converter=parse_headroom)
