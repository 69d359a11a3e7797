"""What a report says of the order of migrations."""

from collections.abc import Iterator

from vmplace.model.text import counted, readable
from vmplace.report.screen import Screen
from vmplace.results.migration import MigrationPlan
from vmplace.results.placement import Status

__all__ = ["order_lines"]


def order_lines(plan: MigrationPlan, screen: Screen) -> Iterator[str]:
    """How many steps there are, and what of the guarantee holds after each."""
    if not plan.steps:
        return
    exposed = [str(number) for number in plan.exposed]
    if not exposed:
        holds = "safe after each"
    elif len(exposed) == len(plan.steps):
        holds = "after none of them known to be safe"
    else:
        holds = f"safe after each but {screen.few(exposed)}"
    best = " (proved: no order is better)" if plan.status is Status.OPTIMAL and (plan.extra or exposed) else ""
    yield f"In order: {counted(len(plan.steps), 'step')}, {holds}{best}"
    if plan.stopovers:
        yield f"Stop over on another node to make way ({readable(plan.extra)} more): {screen.few(plan.stopovers)}"
