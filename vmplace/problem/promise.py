"""One of several guarantees that must all hold: what of a compiled problem is its own."""

from typing import Any

import attrs
from attrs import evolve, frozen

from vmplace.model.columns import BoolArray, IntArray
from vmplace.model.guarantee import Guarantee

__all__ = ["Promise"]


@frozen(eq=False)
class Promise:
    """A guarantee, and the columns of a `Problem` that differ from guarantee to guarantee.

    Parameters
    ----------
    guarantee
        What must be survived.
    unit
        Which nodes fail as one, shape (n_nodes,).
    name_rank
        Rank of each node by its name, where a policy goes by it, else 0, shape (n_nodes,).
    protected, optional
        As for `Problem`, shape (n_vms,).
    """

    guarantee: Guarantee
    unit: IntArray
    name_rank: IntArray
    protected: BoolArray
    optional: BoolArray

    @property
    def own(self) -> dict[str, Any]:
        """Its columns, by the names of a problem's fields."""
        return {name: getattr(self, name) for name in _FIELDS}

    def of(self, vms: IntArray) -> "Promise":
        """The same of just these VMs, each as often as it occurs."""
        return evolve(self, protected=self.protected[vms], optional=self.optional[vms])


_FIELDS = tuple(field.name for field in attrs.fields(Promise))
