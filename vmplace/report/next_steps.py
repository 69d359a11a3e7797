"""What to do next, told below a report: which command starts the VMs that wait, and what holds then."""

from collections.abc import Iterator

from rich.text import Text

from vmplace.model.text import counted
from vmplace.report.tables import Screen
from vmplace.results.placement import Report, Solution
from vmplace.results.values import Status

__all__ = ["next_steps"]


def next_steps(found: Report, placed: Solution, screen: Screen) -> Iterator[Text]:
    """What `place` does with the VMs that wait.

    Parameters
    ----------
    placed
        What `place` finds for the same cluster.
    """
    them = "it" if len(found.waiting) == 1 else f"all {counted(len(found.waiting), 'VM')}"
    if placed.guarantee is Status.SAFE:
        keeps = ", and every failure of the guarantee is survived then" if found.cluster.guarantee.failures else ""
        yield Text(f"Next: vmplace place, with the same options, starts {them}{keeps}; --moves FILE.sh writes the commands.")
    elif placed.status is Status.INFEASIBLE:
        yield Text(screen.clean(f"Not all can start safely: {placed.reason}."))
        yield Text(
            f"Next: vmplace place --best-effort, with the same options, starts {them} if there is room, "
            "the highest priority first; --moves FILE.sh writes the commands."
        )
    else:
        yield Text(f"Next: vmplace place, with the same options, looks for nodes for {them}.")
