"""Trend of dated clusters: allocation, headroom, and by linear regression the date on which the guarantee is lost."""

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from attrs import evolve, field, frozen

from vmplace.capacity.regression import Line
from vmplace.failover.check import verdict_now
from vmplace.failover.joint import worst
from vmplace.model.cluster import Cluster
from vmplace.model.columns import BoolArray
from vmplace.model.door import door
from vmplace.model.errors import Flaw, InputError
from vmplace.model.guarantee import Guarantee
from vmplace.model.kinds import each
from vmplace.model.text import counted
from vmplace.problem.names import Names
from vmplace.problem.presolve import presolved_names
from vmplace.problem.problem import Problem
from vmplace.results.result import Result
from vmplace.results.to_dict import ToDict
from vmplace.results.values import Status
from vmplace.solvers.budget import Budget, Progress

__all__ = ["Course", "Forecast", "Snapshot", "Trend", "trend"]

_DAY = timedelta(days=1)


@frozen
class Snapshot(ToDict):
    """A pool on one date.

    Parameters
    ----------
    date
        As the document has it.
    allocated
        Memory of VMs that run or are to be started, in MiB, twice where one migrates.
    free
        Usable memory of nodes that are not offline, less `allocated`.
    headroom
        How much more memory VMs may take, in MiB, before it is certain that no placement keeps the guarantee: the usable memory
        of the online nodes, without the failing ones that have most, less the protected VMs; or, if that is less, all of it
        within the limits of normal running less all VMs. VMs on maintenance nodes are not counted. Only a bound: fragmented
        memory may be too little before that.
    status
        What `check` says of the pool as it stood.
    """

    date: str
    allocated: int
    free: int
    headroom: int
    status: Status


@frozen
class Forecast(ToDict):
    """When a pool's headroom is used up if usage keeps growing at its rate so far.

    Parameters
    ----------
    growth, growth_error
        MiB a day by which VMs come nearer to the bound, and its standard error; None for two dates.
    date
        When the line of least squares through the headroom is zero; None for never, or after the year 9999.
    earliest, latest
        With a confidence of 95 % it is not before, and not after (Fieller's interval; see `regression.Line`); None where
        the dates do not determine it: there are only two, or the growth may be zero. Assumes residuals that are
        random and independent of each other.
    lost
        Whether the headroom is below zero on the last date.
    dates
        The number of dates that it is computed from.
    """

    growth: float
    growth_error: float | None
    date: str | None
    earliest: str | None
    latest: str | None
    lost: bool
    dates: int


@frozen
class Course(ToDict):
    """A pool over time; `forecast` is None where there is but one date."""

    pool: str
    snapshots: tuple[Snapshot, ...]
    forecast: Forecast | None


@frozen(kw_only=True, eq=False, repr=False)
class Trend(Result):
    """What `trend` found: the pools over time.

    Parameters
    ----------
    courses
        In order of appearance.
    warnings
        What makes dates hard to compare.
    """

    courses: tuple[Course, ...]
    warnings: tuple[str, ...] = ()
    stats: Mapping[str, Any] = field(factory=dict, hash=False)

    @property
    def safe(self) -> bool:
        """Whether the guarantee is known to hold in every pool on the last date."""
        return all(course.snapshots[-1].status is Status.SAFE for course in self.courses)

    def summary(self) -> str:
        """The answer in a line."""
        lost = [f"{course.pool}: {_lost(course.forecast)}" for course in self.courses]
        return f"{counted(max((len(c.snapshots) for c in self.courses), default=0), 'date')}; {'; '.join(lost)}"


def _lost(forecast: Forecast | None) -> str:
    if forecast is None:
        return "one date shows no growth"
    if forecast.lost:
        return "no headroom is left"
    return "headroom is not shrinking" if forecast.date is None else f"headroom until about {forecast.date}"


@door(clusters=each(Cluster, "Cluster"))
def trend(
    clusters: Sequence[Cluster],
    *,
    time_limit: float | None = None,
    progress: Callable[[Progress], None] | None = None,
    cancel: threading.Event | None = None,
) -> Trend:
    """How allocation and headroom develop over dated clusters, and when the guarantee is lost at this growth.

    Parameters
    ----------
    clusters
        One or more, in any order; each with its own date.
    time_limit
        Seconds for all checks; what is undecided then is ``unknown``. None: until all are decided.
    progress, cancel
        Called now and then; set it to have checks end early, as Ctrl-C does.

    Returns
    -------
    Trend
        For each pool its snapshots by date, and a forecast where there are two dates or more. Where the guarantee changes, that
        is a warning, and the forecast uses the last one.

    Raises
    ------
    InputError
        (a ValueError) if there is no cluster, a date is missing or there twice, or only some have a time zone.
    """
    moments = _moments(clusters)
    order = sorted(range(len(clusters)), key=lambda i: moments[i])
    names = [presolved_names(clusters[i]) for i in order]
    with Budget(time_limit, cancel, progress).interruptible() as budget:
        dated = [_Dated(moments[i], names[done], _statuses(names, done, budget)) for done, i in enumerate(order)]
        seconds = round(budget.elapsed, 3)
    pools = list(dict.fromkeys(pool for date in dated for pool in date.status))
    return Trend(
        courses=tuple(_course(pool, [date for date in dated if pool in date.status]) for pool in pools),
        warnings=tuple(_warnings([clusters[i] for i in order])),
        stats={"seconds": seconds},
    )


def _moments(clusters: Sequence[Cluster]) -> list[datetime]:
    """The date of each; an InputError lists all flaws of the dates."""
    if not clusters:
        raise InputError([Flaw("clusters", "no cluster is given: give one or more", "missing")])
    given = [None if cluster.date is None else datetime.fromisoformat(cluster.date) for cluster in clusters]
    zoned = any(moment is not None and moment.tzinfo is not None for moment in given)
    flaws, first, moments = [], dict[datetime, int](), []
    for i, moment in enumerate(given):
        place = f"clusters[{i}].date"
        if moment is None:
            flaws.append(Flaw(place, "is missing: write it like 2026-11-23", "missing"))
        elif zoned and moment.tzinfo is None:
            flaws.append(Flaw(place, f"{clusters[i].date!r} has no time zone, and others have: write one for all or none"))
        else:
            moment = moment if moment.tzinfo is None else moment.astimezone(UTC)
            moments.append(moment)
            if moment in first:
                flaws.append(
                    Flaw(
                        place,
                        f"{clusters[i].date!r} is the date of clusters[{first[moment]}], too: give one for each date",
                        "duplicate",
                    )
                )
            first.setdefault(moment, i)
    if flaws:
        raise InputError(flaws)
    return moments


def _statuses(names: Sequence[Names], done: int, budget: Budget) -> Mapping[str, Status]:
    budget.tell("trend", done=done, total=len(names))
    with Budget(budget.share(1 / (len(names) - done)).left, budget.cancel).interruptible() as inner:
        alone = names[done].each
        found = [verdict_now(one, inner.share(1 / (len(alone) - number)))[0].pools for number, one in enumerate(alone)]
        return {pool: worst([pools[pool] for pools in found]) for pool in found[0]}


def _warnings(clusters: Sequence[Cluster]) -> list[str]:
    """What makes dates hard to compare; the clusters are in order of their dates."""
    last, found = clusters[-1], []
    changed = [cluster.date for cluster in clusters if cluster.guarantees != last.guarantees]
    if changed:
        found.append(f"the guarantee on {_few(changed)} differs from that on {last.date}, which the forecast uses")
    away = sum(state != "online" for state in last.nodes.state)
    if away:
        nodes, them = ("nodes are", "them") if away > 1 else ("node is", "it")
        found.append(f"{away} {nodes} not online on {last.date}: the forecast does not count {them}")
    return found


def _few(dates: Sequence[str | None]) -> str:
    return f"{dates[0]}" if len(dates) == 1 else f"{dates[0]} and {len(dates) - 1} more"


@frozen(eq=False)
class _Dated:
    """A cluster on its date, compiled, with the verdict of each pool."""

    moment: datetime
    names: Names
    status: Mapping[str, Status]

    def snapshot(self, pool: str) -> Snapshot:
        """A pool as it stands."""
        problem, number = self.names.problem, self.names.pools.index(pool)
        mine = (problem.pool == number) & (problem.online | problem.maintenance)
        allocated = int(problem.memory[problem.vm_pool == number].sum())
        free = int(problem.usable[mine].sum()) - allocated
        headroom = _least(self.load(pool), self.room(pool))
        return Snapshot(str(self.names.cluster.date), allocated, free, headroom, self.status[pool])

    def load(self, pool: str) -> list[int]:
        """What all VMs need in normal running, and those that must restart by each guarantee, in MiB; without VMs that may stay
        in maintenance.
        """
        problem = self.names.problem
        mine = (problem.vm_pool == self.names.pools.index(pool)) & ~problem.on_maintenance
        restarts = (int(problem.memory[mine & part.protected].sum()) for part in problem.each)
        return [int(problem.memory[mine].sum()), *restarts]

    def room(self, pool: str) -> list[int]:
        """What there is for these in MiB: all in normal running, and all without the units that have most and may fail."""
        problem = self.names.problem
        mine = (problem.pool == self.names.pools.index(pool)) & problem.online
        return [int(problem.limit[mine].sum()), *(_surviving(part, mine) for part in problem.each)]

    def under(self, guarantees: Sequence[Guarantee]) -> "_Dated":
        """The same with other guarantees, whatever becomes of its verdict."""
        if self.names.cluster.guarantees == tuple(guarantees):
            return self
        cluster = evolve(self.names.cluster, guarantee=list(guarantees), further=())
        return evolve(self, names=presolved_names(cluster))


def _surviving(problem: Problem, nodes: BoolArray) -> int:
    """What some nodes have without the units that have most and may fail, in MiB."""
    by_unit = np.zeros(len(problem.unit_pool), dtype=np.int64)
    np.add.at(by_unit, problem.unit[nodes], problem.usable[nodes])
    return int(np.sort(by_unit)[: max(0, len(by_unit) - problem.failures)].sum())


def _course(pool: str, dated: Sequence[_Dated]) -> Course:
    room, asked = dated[-1].room(pool), dated[-1].names.cluster.guarantees
    headrooms = [_least(date.under(asked).load(pool), room) for date in dated]
    forecast = _forecast([date.moment for date in dated], headrooms) if len(dated) > 1 else None
    return Course(pool, tuple(date.snapshot(pool) for date in dated), forecast)


def _least(load: Sequence[int], room: Sequence[int]) -> int:
    return min(has - needs for needs, has in zip(load, room, strict=True))


def _forecast(moments: Sequence[datetime], headrooms: Sequence[int]) -> Forecast:
    """By the line of least squares through the headroom that the last nodes would have left on each date."""
    days = np.array([(moment - moments[0]) / _DAY for moment in moments])
    line = Line.through(days, np.array(headrooms, dtype=np.float64))
    falls = line.slope < 0
    interval = line.root_interval() if falls else None
    return Forecast(
        growth=-line.slope,
        growth_error=line.slope_error,
        date=_date(moments[0], line.root) if falls else None,
        earliest=None if interval is None else _date(moments[0], interval[0]),
        latest=None if interval is None else _date(moments[0], interval[1]),
        lost=headrooms[-1] < 0,
        dates=len(moments),
    )


def _date(start: datetime, days: float) -> str | None:
    """The date so many days later; None where the calendar has none."""
    try:
        return (start + timedelta(days=days)).date().isoformat()
    except OverflowError:
        return None
