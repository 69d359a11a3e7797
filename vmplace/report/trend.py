"""Terminal report of `trend`: a table of dates, and when the guarantee is lost."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from vmplace.capacity.trend import Course, Forecast, Trend
from vmplace.model.text import counted, readable
from vmplace.report.tables import STYLE, Column, Screen

__all__ = ["trend_report"]

_MANY, _LAST = 40, 20


def trend_report(found: Trend, screen: Screen) -> RenderableType:
    """A table and a forecast for each pool."""
    named = len(found.courses) > 1
    return Group(*(part for course in found.courses for part in _course(course, named, screen)), *_warnings(found, screen))


def _course(course: Course, named: bool, screen: Screen) -> Iterator[RenderableType]:
    if named:
        yield Text(screen.clean(f"Pool {course.pool}"))
    shown = course.snapshots
    if len(shown) > _MANY and not screen.everything:
        yield Text(screen.omitted(counted(len(shown) - _LAST, "earlier date")))
        shown = shown[-_LAST:]
    columns = (
        Column("Date", [Text(screen.clean(row.date)) for row in shown]),
        *(
            Column(title, [Text(readable(getattr(row, title.lower()))) for row in shown], "right")
            for title in ("Allocated", "Free", "Headroom")
        ),
        Column("Verdict", [Text(row.status.value, style=STYLE[row.status]) for row in shown]),
    )
    yield screen.table(columns, ("Allocated", "Free"))
    yield Text(_ahead(course.forecast))
    yield Text()


def _ahead(forecast: Forecast | None) -> str:
    """When the guarantee is lost at this growth."""
    if forecast is None:
        return "One date alone shows no growth: give documents of other dates."
    error = f" (± {_amount(forecast.growth_error)})" if forecast.growth_error is not None else ""
    growth = f"VMs take {_amount(forecast.growth)} more a day{error}, by {counted(forecast.dates, 'date')}"
    if forecast.growth < 0:
        growth = f"VMs take {_amount(-forecast.growth)} less a day{error}, by {counted(forecast.dates, 'date')}"
    if forecast.lost:
        return f"{growth}. No headroom is left: no placement keeps the guarantee."
    if forecast.growth <= 0:
        return f"{growth}. At this rate the guarantee is never lost for lack of memory."
    when = "after the year 9999" if forecast.date is None else f"about {forecast.date}"
    return f"{growth}. At this rate no placement keeps the guarantee from {when} on{_doubt(forecast)}."


def _doubt(forecast: Forecast) -> str:
    if forecast.growth_error is None:
        return "; two dates do not show how certain that is"
    if forecast.earliest is None and forecast.latest is None:
        return "; these dates do not prove any growth (95 %)"
    return f" (95 %: {forecast.earliest} to {forecast.latest or 'after the year 9999'})"


def _amount(mib: float) -> str:
    return readable(round(mib)) if abs(mib) >= 1 or not mib else f"{mib:.2g} MiB"


def _warnings(found: Trend, screen: Screen) -> Iterator[Text]:
    yield Text(_MEANING)
    if found.warnings:
        yield Text("Warnings:")
        yield from (Text(f"  {screen.clean(warning)}") for warning in found.warnings)


_MEANING = (
    "Headroom: how much more memory VMs may take before sums prove that no placement keeps the guarantee. "
    "Verdict: whether the placement of that date kept it."
)
