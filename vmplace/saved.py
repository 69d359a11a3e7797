"""A result that ``--json`` printed, read back to be audited."""

import sys
from collections.abc import Iterator, Mapping
from typing import Any

from attrs import frozen

from vmplace.cluster import Cluster
from vmplace.errors import Flaw, InputError
from vmplace.reading import decode, parse
from vmplace.results import Violation
from vmplace.units import short

__all__ = ["SavedResult"]


@frozen
class SavedResult:
    """What a result claims: where VMs are and restart, which nodes stay on, and who is left without a restart.

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
    """

    placement: Mapping[str, str | None]
    failover: Mapping[str, Mapping[str, str | None]]
    powered: tuple[str, ...] | None
    drained: tuple[str, ...]
    unprotected: tuple[tuple[str, str], ...]

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
        parsed = parse(decode(_content(path)), "json")
        if parsed.repeated:
            raise InputError(parsed.repeated)
        document = _mapping("", parsed.value)
        if "placement" not in document:
            raise InputError([Flaw("", "has no placement: give what --json printed for place, repair or check")])
        if document["placement"] is None:
            status = short(document.get("status"))
            raise InputError([Flaw("placement", f"null, with status {status}: there is nothing to audit")])
        failover = _mapping("failover", document.get("failover") or {})
        return cls(
            _plan("placement", document["placement"]),
            {scenario: _plan(f"failover[{scenario!r}]", plan) for scenario, plan in failover.items()},
            _names("powered", document.get("powered") or []) or None,
            _names("drained", document.get("drained") or []),
            tuple(_lost(document.get("unprotected") or [])),
        )

    def false_claims(self, cluster: Cluster) -> Iterator[Violation]:
        """What it says of VMs without a restart that its own plans, or the cluster, contradict."""
        known = {vm.name for vm in cluster.vms} if self.unprotected else set()
        for scenario, vm in self.unprotected:
            restart = self.failover.get(scenario, {}).get(vm)
            if vm not in known:
                yield Violation("failover", scenario, f"{short(vm)}, listed as unprotected, is no VM of this cluster")
            elif restart is not None:
                yield Violation("failover", scenario, f"{vm} is listed as unprotected, but the plan restarts it on {restart}")
            elif self.placement.get(vm) != scenario:
                yield Violation("failover", scenario, f"{vm} is listed as unprotected, but is not on {scenario}")


def _content(path: str) -> bytes:
    if path != "-":
        with open(path, "rb") as file:
            return file.read()
    if sys.stdin is None:
        raise InputError([Flaw("", "is closed: give a file")])
    return sys.stdin.buffer.read()


def _mapping(place: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InputError([Flaw(place, f"{short(value)} is not an object")])
    return value


def _plan(place: str, value: Any) -> dict[str, str | None]:
    plan = _mapping(place, value)
    for vm, node in plan.items():
        if node is not None and not isinstance(node, str):
            raise InputError([Flaw(f"{place}[{vm!r}]", f"{short(node)} is not the name of a node")])
    return plan


def _names(place: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise InputError([Flaw(place, f"{short(value)} is not a list of names")])
    return tuple(value)


def _lost(value: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(value, list):
        raise InputError([Flaw("unprotected", f"{short(value)} is not a list")])
    for index, entry in enumerate(value):
        place = f"unprotected[{index}]"
        loss = _mapping(place, entry)
        scenario = loss.get("scenario")
        if not isinstance(scenario, str):
            raise InputError([Flaw(f"{place}.scenario", f"{short(scenario)} is not the name of a failure scenario")])
        for vm in _names(f"{place}.vms", loss.get("vms", [])):
            yield scenario, vm
