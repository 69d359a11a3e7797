"""The arguments of `generate`, as values."""

from fractions import Fraction
from typing import Any, Literal

import attrs
from attrs import field, frozen

from vmplace.model.converters import name_places, one_of, parse_count, parse_flag, parse_whole, positive_number
from vmplace.model.errors import Flaw, InputError
from vmplace.model.units import format_memory, parse_memory, short

__all__ = ["CLOUD", "Placed", "Profile", "Wanted"]

Profile = Literal["azure", "flavors", "uniform", "big-vms", "cloud"]
Placed = Literal["none", "worst-fit", "best-fit"]

CLOUD: Profile = "cloud"
"""The profile that has more than memory."""

_OVERCOMMIT = Fraction(4)
_MOST_NODES = 1_000_000
_MOST_FILL = 2


def _parse_nodes(value: int) -> int:
    number = parse_whole(value)
    if not 2 <= number <= _MOST_NODES:
        raise ValueError(f"{number} is not within 2 to {_MOST_NODES}: a single node can never be N+1")
    return number


def _parse_fill(value: float | Fraction) -> Fraction:
    share = positive_number(value)
    if share > _MOST_FILL:
        raise ValueError(f"{short(value)} is above {_MOST_FILL}: write a share, 0.9 for 90 %")
    return share


def _parse_profile(value: Profile) -> Profile:
    return one_of(value, Profile)


def _parse_placed(value: Placed | None) -> Placed | None:
    return None if value is None else one_of(value, Placed)


def _parse_overcommit(value: float | Fraction | None) -> Fraction | None:
    return None if value is None else positive_number(value)


@frozen(kw_only=True, field_transformer=name_places)
class Wanted:
    """The arguments of `generate`; `placed` and `overcommit` as the profile has them where they are None."""

    nodes: int = field(converter=_parse_nodes)
    node_memory: int = field(converter=parse_memory)
    fill: Fraction = field(converter=_parse_fill)
    profile: Profile = field(converter=_parse_profile)
    seed: int = field(converter=parse_count)
    placed: Placed | None = field(converter=_parse_placed)
    mixed: bool = field(converter=parse_flag)
    overcommit: Fraction | None = field(converter=_parse_overcommit)

    def __attrs_post_init__(self) -> None:
        if self.overcommit is not None and self.profile != CLOUD:
            told = f"VMs of profile {self.profile} have no vCPUs: leave it out, or ask for profile {CLOUD}"
            raise InputError([Flaw("overcommit", told, "no-effect")])

    @property
    def method(self) -> Placed:
        """How VMs are placed."""
        return self.placed or ("worst-fit" if self.profile == CLOUD else "none")

    @property
    def vcpus_each(self) -> Fraction:
        """How many vCPUs a processor thread is."""
        return self.overcommit or _OVERCOMMIT

    @property
    def meta(self) -> dict[str, Any]:
        """What the cluster says of itself: the arguments that make it again."""
        given = {**attrs.asdict(self), "node_memory": format_memory(self.node_memory), "fill": float(self.fill)}
        of_cloud = {"overcommit": float(self.vcpus_each)} if self.profile == CLOUD else {}
        arguments = {key: value for key, value in given.items() if key != "overcommit"}
        return {"generated": arguments | {"placed": self.method} | of_cloud}
