"""Failover plans as columns, for tests in which each VM is displaced by one failure."""

import numpy as np

from vmplace.failover.planned.columns import RestartColumns
from vmplace.model.columns import IntArray


def backups(restarts: RestartColumns, n_vms: int) -> IntArray:
    """Restart node of each VM, -1 for none, shape (n_vms,)."""
    column = np.full(n_vms, -1, dtype=np.int64)
    column[restarts.vm] = restarts.node
    return column
