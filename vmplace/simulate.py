"""What a platform's own restart policy does after a failure, step by step."""

import numpy as np

from vmplace.columns import IntArray
from vmplace.ranking import ranked
from vmplace.situation import Restarts, Situation

__all__ = ["simulate"]


def simulate(
    situation: Situation,
    *,
    policy: str,
    order: str | None = None,
    priority: IntArray | None = None,
    vm_position: IntArray | None = None,
    node_position: IntArray | None = None,
) -> IntArray:
    """Restart the VMs that must, one after the other; who finds no node is lost, and the others go on.

    Parameters
    ----------
    situation
        The failure.
    policy
        Which of the nodes that are open to a VM it takes: ``first-fit`` (the first), ``most-free`` or ``best-fit`` (the one
        with the most or the least free memory; of several the first).
    order
        ``largest-first`` (by memory), ``priority`` (higher first) or ``as-listed``, which None stands for.
    priority
        Of each VM, shape (n_vms,); None: all equal.
    vm_position, node_position
        Places in the document, by which ties are broken, shape (n_vms,) and (n_nodes,); None: as in the situation.

    Returns
    -------
    IntArray
        Node of each VM, -1 for those that are lost or need not restart, shape (n_vms,).
    """
    nodes = ranked(np.arange(situation.n_nodes) if node_position is None else node_position)
    home = np.full(situation.n_vms, -1, dtype=np.int64)
    restarts = Restarts(situation)
    for vm in _turns(situation, order, priority, vm_position):
        fitting = nodes[restarts.open(vm)[nodes]]
        if len(fitting):
            home[vm] = chosen = int(fitting[_choice(policy, restarts.left[fitting, 0])])
            restarts.restart(vm, chosen)
    return home


def _turns(situation: Situation, order: str | None, priority: IntArray | None, position: IntArray | None) -> list[int]:
    """The VMs that must restart, in their order."""
    n_vms = situation.n_vms
    listed = np.arange(n_vms) if position is None else position
    if order == "largest-first":
        turns = ranked(-situation.demand[:, 0], listed)
    elif order == "priority" and priority is not None:
        turns = ranked(-priority, listed)
    else:
        turns = ranked(listed)
    return [vm for vm in turns.tolist() if situation.must[vm]]


def _choice(policy: str, left: IntArray) -> int:
    """Which of the open nodes, in document order, with so much free memory."""
    if policy == "most-free":
        return int(left.argmax())
    if policy == "best-fit":
        return int(left.argmin())
    return 0
