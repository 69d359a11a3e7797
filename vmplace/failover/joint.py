"""The report on several guarantees that must all hold: the reports on each, as one."""

from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from attrs import evolve, field, frozen

from vmplace.model.cluster import Cluster
from vmplace.model.guarantee import scenario_key
from vmplace.results.failover import FailoverPlans
from vmplace.results.placement import Report
from vmplace.results.values import Scenario, Status

__all__ = ["joined", "worst"]

_RANK = {Status.SAFE: 0, Status.UNKNOWN: 1, Status.UNSAFE: 2}


def joined(cluster: Cluster, reports: Sequence[Report]) -> Report:
    """The worst of each verdict; scenarios under the keys of `scenario_key`."""
    status = worst([report.status for report in reports])
    scenarios: dict[str, Scenario] = {}
    for number, report in enumerate(reports):
        scenarios.update((scenario_key(number, key), scenario) for key, scenario in report.scenarios.items())
    losses = [
        evolve(loss, scenario=scenario_key(number, loss.scenario))
        for number, report in enumerate(reports)
        for loss in report.unprotected
    ]
    warnings = Counter(warning for report in reports for warning in set(report.warnings))
    told = [
        warning if warnings[warning] == len(reports) else f"guarantee {number + 1}: {warning}"
        for number, report in enumerate(reports)
        for warning in report.warnings
    ]
    methods: Counter[str] = Counter()
    for report in reports:
        methods.update(report.stats["scenarios"])
    left_out = dict.fromkeys(sentence for report in reports for sentence in report.stats.get("presolve", ()))
    return evolve(
        reports[0],
        cluster=cluster,
        status=status,
        guarantee=status,
        guarantees=tuple(reports),
        witness=JointWitness(cluster, tuple(reports)),
        scenarios=scenarios,
        unprotected=tuple(losses),
        warnings=tuple(dict.fromkeys(told)),
        pools={pool: worst([report.pools[pool] for report in reports]) for pool in reports[0].pools},
        outlook=None,
        comparison=tuple(evolve(row, guarantee=i) for i, report in enumerate(reports, 1) for row in report.comparison),
        stats={"seconds": max(report.stats["seconds"] for report in reports), "scenarios": dict(methods)}
        | ({"presolve": tuple(left_out)} if left_out else {}),
    )


def worst(statuses: Sequence[Status]) -> Status:
    """The verdict that counts for all."""
    return max(statuses, key=_RANK.__getitem__)


@frozen(eq=False)
class JointWitness:
    """Makes the failover plans of each guarantee, audited, when they are asked for."""

    cluster: Cluster = field(repr=False)
    reports: tuple[Report, ...] = field(repr=False)

    def __call__(self) -> FailoverPlans:
        """The plans of all."""
        none = np.zeros(0, dtype=np.int64)
        return FailoverPlans(self.cluster, self._numbers, none, none, none, self._of)

    def _numbers(self) -> Mapping[str, Sequence[int]]:
        return {scenario_key(number, key): [k] for k, (number, key) in enumerate(self._scenarios)}

    def _of(self, index: int) -> Mapping[str, dict[str, str | None]]:
        number, key = self._scenarios[index]
        return {scenario_key(number, key): self.reports[number].plans[key]}

    @cached_property
    def _scenarios(self) -> list[tuple[int, str]]:
        return [(number, key) for number, report in enumerate(self.reports) for key in report.scenarios]
