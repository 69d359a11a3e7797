"""What the decision of one failure returns: a failover plan, what it leaves unprotected, and the reason."""

from attrs import frozen

from vmplace.model.columns import IntArray

__all__ = ["Loss", "Plan", "Reason"]


@frozen
class Reason:
    """Why a failure is not survived, in figures; `vmplace.failover.reasons` makes the sentence.

    Parameters
    ----------
    kind
        ``alone`` (no other node), ``rules`` (no node that rules allow), ``size`` (no node has room for one VM), ``barred``
        (no node that rules allow has), ``blend`` (no node has all resources that one VM needs), ``sums``, ``slots`` or
        ``search`` (no packing exists). Of whole placements also ``capacity`` (too much for normal running), ``group`` (VMs that
        must be together are too large for any node) and ``apart`` (more VMs to keep apart than there are places for them).
        ``quorum``: so few nodes are left (`free`) that nothing restarts (`need`).
        Where restarts are not planned: ``stranded`` (some order and choices of the HA manager leave one VM no node), ``turns``
        (so do some when failures come in turn), ``policy`` (so does what the platform does) and ``overfull`` (the platform starts
        more on a node than it has room for).
    vms
        The VMs it is about.
    need, free
        MiB, or amounts of `resource`; for ``slots``, numbers of VMs of `size` or more; for ``apart``, numbers of places.
    node
        The freest node that may be used, -1 if there is none.
    size
        For ``slots``, as `need` for ``sums``.
    among
        How many nodes `free` is counted on: those with the most, as many as could be used; 0 for all that there are. For
        ``apart``: the places that there are in all, where one may fail.
    resource
        Which column of `Problem.capacity` it is about: 0 for memory.
    story
        For ``stranded``: (VM, node) of the restarts that lead there.
    guarantee
        Of whole placements: the index of the guarantee that is impossible, where there are several.
    """

    kind: str
    vms: tuple[int, ...]
    need: int = 0
    free: int = 0
    node: int = -1
    size: int = 0
    among: int = 0
    resource: int = 0
    story: tuple[tuple[int, int], ...] = ()
    guarantee: int = 0


@frozen(eq=False)
class Loss:
    """The VMs that cannot be restarted, why, and whether it is proved that no plan protects more."""

    vms: IntArray
    reason: Reason
    minimal: bool


@frozen(eq=False)
class Plan:
    """Where displaced VMs restart.

    Parameters
    ----------
    safe
        Whether all do; None if time ran out before it was known.
    method
        What decided: one of `vmplace.failover.verdict.METHODS`.
    vms, nodes
        `vms[k]` restarts on `nodes[k]`.
    loss
        If unsafe, and where it was asked for.
    """

    safe: bool | None
    method: str
    vms: IntArray
    nodes: IntArray
    loss: Loss | None = None
