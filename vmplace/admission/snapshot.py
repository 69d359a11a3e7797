"""Snapshots of an admitter: the cluster as a document, with the tickets and the failed nodes in its `meta`."""

from collections.abc import Mapping
from os import PathLike
from typing import Any

from attrs import evolve

from vmplace.admission.ledger import Ledger
from vmplace.admission.tickets import TicketStore
from vmplace.formats.document import dump, load
from vmplace.model.cluster import Cluster
from vmplace.model.converters import parse_state
from vmplace.model.errors import Flaw, InputError

__all__ = ["load_snapshot", "restore", "save_snapshot"]

_KEY = "admitter"
"""The key of a document's `meta` that holds what a snapshot knows beyond the cluster."""


def save_snapshot(path: str | PathLike[str], ledger: Ledger, tickets: TicketStore) -> None:
    """Write a document."""
    cluster = ledger.cluster
    known = {"tickets": [ticket.to_dict() for ticket in tickets.held.values()], "failed": dict(ledger.failed)}
    dump(evolve(cluster, meta={**cluster.meta, _KEY: known}), path)


def load_snapshot(path: str | PathLike[str]) -> tuple[Cluster, Any]:
    """The cluster of a document, and what `restore` takes; raises InputError that lists all that is wrong with the document."""
    cluster = load(path)
    meta = {key: part for key, part in cluster.meta.items() if key != _KEY}
    return evolve(cluster, meta=meta), cluster.meta.get(_KEY, {})


def restore(known: Mapping[str, Any], ledger: Ledger, tickets: TicketStore) -> None:
    """Hold what a snapshot knows beyond the cluster; raises InputError if it is not what a snapshot holds."""
    try:
        ledger.failed.update((str(node), parse_state(state)) for node, state in known.get("failed", {}).items())
        for ticket in known.get("tickets", ()):
            tickets.restore(ticket)
    except (AttributeError, KeyError, TypeError, ValueError, StopIteration):
        raise InputError([Flaw(f"meta.{_KEY}", "is not what a snapshot holds there: leave it out")]) from None
