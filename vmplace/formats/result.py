"""A result that ``--json`` printed, read back to be audited."""

from collections.abc import Mapping

import attrs
from attrs import field, frozen

from vmplace.formats.parse import parse, read_text
from vmplace.model.converters import name_places, parse_mapping, parse_names, placed
from vmplace.model.errors import ConflictError, Flaw, InputError
from vmplace.model.units import short

__all__ = ["SavedResult"]

Plan = Mapping[str, str | None]
"""VM to node, or to None for one that is on none."""


def _parse_plan(value: object) -> Plan:
    plan = parse_mapping(value)
    for vm, node in plan.items():
        if node is not None and not isinstance(node, str):
            raise InputError([Flaw(f"[{vm!r}]", f"{short(node)} is not the name of a node")])
    return plan


def _parse_plans(value: object) -> Mapping[str, Plan]:
    return {scenario: placed(f"[{scenario!r}]", _parse_plan)(plan) for scenario, plan in parse_mapping(value).items()}


def _parse_powered(value: object) -> tuple[str, ...] | None:
    return None if value is None else parse_names(value) or None


def _parse_losses(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"{short(value)} is not a list")
    losses = (placed(f"[{index}]", _parse_loss)(entry) for index, entry in enumerate(value))
    return tuple((scenario, vm) for scenario, vms in losses for vm in vms)


def _parse_loss(value: object) -> tuple[str, tuple[str, ...]]:
    loss = parse_mapping(value)
    scenario = loss.get("scenario")
    if not isinstance(scenario, str):
        raise InputError([Flaw("scenario", f"{short(scenario)} is not the name of a failure scenario")])
    return scenario, placed("vms", parse_names)(loss.get("vms", ()))


@frozen(kw_only=True, field_transformer=name_places)
class SavedResult:
    """What a result claims: where VMs are, where they restart, which nodes stay on, and which VMs are unprotected.

    Parameters
    ----------
    placement
        VM to node.
    failover
        Per failure scenario, VM to node, or to None for one that does not restart.
    powered
        None where all nodes stay on.
    drained
        Nodes that are to be empty.
    unprotected
        Pairs of failure scenario and VM.

    Raises
    ------
    InputError
        (a ValueError) that names the place and the value.
    """

    placement: Plan = field(converter=_parse_plan)
    failover: Mapping[str, Plan] = field(factory=dict, converter=_parse_plans)
    powered: tuple[str, ...] | None = field(default=None, converter=_parse_powered)
    drained: tuple[str, ...] = field(default=(), converter=parse_names)
    unprotected: tuple[tuple[str, str], ...] = field(default=(), converter=_parse_losses)

    @classmethod
    def read(cls, path: str) -> "SavedResult":
        """Read a file, or stdin for ``-``.

        Raises
        ------
        InputError
            (a ValueError) if it holds no result with a placement.
        OSError
            If it cannot be read.
        """
        parsed = parse(read_text(path), "json")
        if parsed.repeated:
            raise InputError(parsed.repeated)
        members = placed("", parse_mapping)(parsed.value)
        if "placement" not in members:
            raise InputError([Flaw("", "has no placement: give what --json printed for place, repair or check", "missing")])
        if members["placement"] is None:
            status = short(members.get("status"))
            raise ConflictError([Flaw("placement", f"null, with status {status}: there is nothing to audit", "conflict")])
        return cls(**{own.name: members[own.name] for own in attrs.fields(cls) if members.get(own.name) is not None})
