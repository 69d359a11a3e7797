"""What to do next, told below a report: which command starts the VMs that wait, or mends what is unsafe, and what holds then."""

from collections.abc import Callable, Iterator
from shlex import quote

from rich.text import Text

from vmplace.model.cluster import Cluster
from vmplace.model.text import counted, readable
from vmplace.report.tables import Screen
from vmplace.results.placement import Report, Solution
from vmplace.results.values import Status

__all__ = ["Attempt", "after_check", "after_placement", "after_refusal", "starts_again", "unwritten"]

_FEW_STARTS = 4
"""So many VMs are named in a command line."""

Attempt = Callable[[str, Cluster], Solution]
"""What `place` or `repair`, named first, finds for a cluster in a short time."""


def after_check(found: Report, attempt: Attempt, screen: Screen) -> Iterator[Text]:
    """What `place` does with the VMs that wait; where none waits, whether `repair` makes an unsafe cluster safe."""
    if not found.waiting:
        if found.guarantee is Status.UNSAFE:
            yield from _repair(attempt("repair", found.cluster), screen)
        return
    placed = attempt("place", found.cluster)
    them = "it" if len(found.waiting) == 1 else f"all {counted(len(found.waiting), 'VM')}"
    if placed.guarantee is Status.SAFE:
        asked = any(guarantee.failures for guarantee in found.cluster.guarantees)
        keeps = ", and every failure of the guarantee is survived then" if asked else ""
        yield Text(f"Next: vmplace place, with the same options, starts {them}{keeps}; --moves FILE.sh writes the commands.")
    elif placed.status is Status.INFEASIBLE:
        yield Text(screen.clean(f"Not all can start safely: {placed.reason}."))
        yield from after_refusal("place", placed, attempt, screen)
    else:
        yield Text(f"Next: vmplace place, with the same options, looks for nodes for {them}.")


def after_refusal(name: str, found: Solution, attempt: Attempt, screen: Screen, *, moving: bool = False) -> Iterator[Text]:
    """What `place` or `repair`, named first, can do where no placement is safe.

    `moving`: whether running VMs might migrate. Where they had to stay, `repair` may be all that is needed.
    """
    count = len(found.waiting)
    them = "" if not count else "the VM that waits" if count == 1 else f"the {count} VMs that wait"
    repaired = attempt("repair", found.cluster) if name == "place" and not moving else None
    if repaired is not None and repaired.guarantee is Status.SAFE:
        yield Text(f"Next: {_mends(repaired, them)}")
        if them:
            effort = "vmplace place --best-effort, with the same options"
            yield Text(f"Or {effort}, starts {them} without migrations if there is room; the guarantee does not hold then.")
        return
    yield _best_effort(name, them)
    yield from _back(name, found.cluster, attempt, screen)


def after_placement(found: Solution, screen: Screen, *, moves: bool, output: bool) -> Iterator[Text]:
    """How to get at the commands, how a maintenance ends, and what says how to mend a cluster that is not safe afterwards.

    `moves`, `output`: whether the files that these options name have been written.
    """
    if found.migrations or found.starts or found.stopped:
        yield from unwritten(moves=moves, output=output)
    if found.drained:
        yield from _after_drain(found, screen)
    elif found.guarantee is Status.UNSAFE:
        yield Text("Then: vmplace explain, for the document that -o writes, says what would make the cluster safe again.")


def unwritten(*, moves: bool, output: bool) -> Iterator[Text]:
    """The options that write the commands and the cluster afterwards, where they were not given."""
    if not (moves and output):
        both = "--moves FILE.sh writes the commands, -o FILE the cluster afterwards"
        yield Text(f"Next: {'-o FILE writes the cluster afterwards' if moves else both.partition(',')[0] if output else both}.")


def _after_drain(found: Solution, screen: Screen) -> Iterator[Text]:
    """How a maintenance ends."""
    one = len(found.drained) == 1
    nodes, back = screen.few(found.drained), "is back" if one else "are back"
    again = starts_again(found, screen)
    options = "--move-running"
    if again:
        yield Text(f"When {nodes} {back}: {again}. The commands of --moves FILE.sh include this.")
        options = f"{' '.join(f'--start {quote(screen.clean(stop.vm))}' for stop in found.stopped[:_FEW_STARTS])} {options}"
        options = f"{options} ..." if len(found.stopped) > _FEW_STARTS else options
    state = f"set {'its' if one else 'their'} state to online in the document"
    yield Text(f"When {nodes} {back}: {state}; vmplace place {options} then spreads the VMs again.")


def starts_again(found: Solution, screen: Screen) -> str:
    """How the VMs that a drain stops run again; empty if it stops none."""
    if not found.stopped or found.afterwards is None:
        return ""
    starts = [f"{start.vm} on {start.node}" for _, start in found.afterwards.starts]
    moved = len(found.afterwards.migrations)
    first = f"after {counted(moved, 'migration')} " if moved else ""
    if not starts:
        return screen.clean(f"{screen.few([stop.vm for stop in found.stopped])} cannot start again: {found.afterwards.reason}")
    return f"{first}start {screen.few(starts)}"


def _best_effort(name: str, them: str) -> Text:
    does = f"starts {them} if there is room, the highest priority first" if them else "leaves as little unprotected as possible"
    return Text(f"Next: vmplace {name} --best-effort, with the same options, {does}; --moves FILE.sh writes the commands.")


def _back(name: str, cluster: Cluster, attempt: Attempt, screen: Screen) -> Iterator[Text]:
    """Whether the cluster would be safe with the nodes that are out of service."""
    away = [node.name for node in cluster.nodes if node.state != "online"]
    if away and attempt(name, cluster.in_state("online", away)).guarantee is Status.SAFE:
        nodes = screen.few(away)
        yield Text(f"Or bring {nodes} back (state: online): vmplace {name} then finds a placement that keeps the guarantee.")


def _repair(repaired: Solution, screen: Screen) -> Iterator[Text]:
    if repaired.guarantee is Status.SAFE:
        yield Text(f"Next: {_mends(repaired, '')}")
    elif repaired.status is Status.INFEASIBLE:
        yield Text(screen.clean(f"No migration makes it safe: {repaired.reason}."))
        yield Text("Next: vmplace explain, with the same options, says what would.")
    else:
        yield Text("Next: vmplace repair, with the same options, looks for migrations that make it safe.")


def _mends(repaired: Solution, them: str) -> str:
    """What `repair` does with a cluster that it makes safe, and with the VMs that wait."""
    moved = readable(sum(migration.memory for migration in repaired.migrations))
    less = "" if repaired.status is Status.OPTIMAL else " or less"
    does = f"starts {them} and keeps the guarantee" if them else "makes it safe"
    return f"vmplace repair, with the same options, {does} by migrating {moved}{less}; --moves FILE.sh writes the commands."
