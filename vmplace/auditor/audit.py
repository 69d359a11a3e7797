"""The independent checker of witnesses: is a placement right, and do its failover plans hold?

Whole numbers only, no solver, and no code shared with the search but the cluster as columns.
"""

from collections.abc import Iterable, Iterator, Mapping

from attrs import frozen

from vmplace.auditor.any_order import check_any_order
from vmplace.auditor.case import Case, Names, Placement
from vmplace.auditor.certificate import doubtful_pools
from vmplace.auditor.failures import AuditedFailures
from vmplace.auditor.placement import check_placement
from vmplace.auditor.plans import AuditedPlans, Failover, check_plans, check_sums
from vmplace.auditor.policy import check_policy
from vmplace.auditor.quorum import check_quorum
from vmplace.auditor.rules import check_rules
from vmplace.auditor.scenarios import AuditedScenarios
from vmplace.auditor.sequential import check_sequence
from vmplace.model.cluster import Cluster
from vmplace.model.door import door
from vmplace.model.errors import Flaw, InputError
from vmplace.model.guarantee import Guarantee, scenario_key
from vmplace.model.kinds import name_list, optional
from vmplace.results.values import Violation

__all__ = ["Audited", "audit", "audit_plans", "audit_running", "own_keys"]


@door(powered=optional(name_list), drained=name_list)
def audit(
    cluster: Cluster, placement: Placement, failover: Failover | None = None, *, powered: Names | None = None, drained: Names = ()
) -> list[Violation]:
    """Everything that a placement and its failover plans break; empty if they are good.

    Parameters
    ----------
    placement
        VM to node, or the index of each VM's node, of shape (n_vms,). None or -1: no node.
    failover
        Per failure scenario, VM to restart node; None for a VM that does not restart, or that is evictable and stopped to make
        room. A scenario left out has an empty plan. Where one unit fails at a time also the index of each VM's restart node, of
        shape (n_vms,); evictable VMs then give way wherever they have to. Without plans, what needs one is ``unverified``.
    powered, drained
        Nodes that stay powered on (None: all), and nodes to be emptied, even of VMs that are not movable. A node that is
        drained or not powered hosts nothing, takes no restarts and is no failure scenario.

    Raises
    ------
    InputError
        If an array has the wrong shape or type, or an index that is not a node's; or if a node without a domain is called like
        one where domains fail. Unknown names are violations.
    """
    if cluster.further:
        return list(_audit_each(cluster, placement, failover, powered, drained))
    audited = Audited.of(cluster, placement, failover, powered, drained)
    audited.check_promise()
    return audited.case.found


@frozen(eq=False)
class Audited:
    """A placement and its plans, audited as far as they go by themselves; what they have to achieve is not."""

    case: Case
    plans: AuditedPlans | None
    failures: AuditedFailures

    @classmethod
    def of(
        cls, cluster: Cluster, placement: Placement, failover: Failover | None, powered: Names | None, drained: Names
    ) -> "Audited":
        """What was found is in the case; arguments as for `audit`."""
        case = Case(cluster, placement, powered, drained)
        check_placement(case)
        scenarios, plans, asked = AuditedScenarios.of(case), None, cluster.guarantee
        if failover is not None:
            plans = check_plans(case, scenarios, failover, complete=not _simulated(asked))
        elif asked.planned:
            check_sums(case, scenarios)
        check_rules(case, plans, scenarios)
        return cls(case, plans, AuditedFailures(case, scenarios))

    def check_promise(self) -> None:
        """Record what keeps the guarantee from holding where plans do not tell."""
        asked = self.case.cluster.guarantee
        stopped = check_quorum(self.case, self.failures.scenarios)
        _check_crowded(self.failures)
        if _simulated(asked):
            check_policy(self.failures, self.plans, stopped)
        elif asked.in_turn and not (asked.planned and self.plans is None):
            check_sequence(self.failures)
        elif not asked.planned:
            check_any_order(self.failures)


def _audit_each(
    cluster: Cluster, placement: Placement, failover: Failover | None, powered: Names | None, drained: Names
) -> Iterator[Violation]:
    """What each of several guarantees finds, with its number; what is wrong in normal running is told once."""
    if failover is not None and not isinstance(failover, Mapping):
        raise InputError(
            [Flaw("failover", "one node for each VM cannot describe the plans of several guarantees: give the plans by scenario")]
        )
    seen, kept, count = set[Violation](), None if powered is None else list(powered), len(cluster.guarantees)
    for number, one in enumerate(cluster.one_by_one(), 1):
        plans = None if failover is None else {key: failover[whole] for whole, key in own_keys(count, number, failover).items()}
        for found in audit(one, placement, plans, powered=kept, drained=list(drained)):
            failure = found.kind in ("failover", "unprotected", "unverified")
            subject = scenario_key(number - 1, found.subject) if failure else found.subject
            told = Violation(found.kind, subject, f"guarantee {number}: {found.message}" if failure else found.message)
            if told not in seen:
                seen.add(told)
                yield told


def own_keys(count: int, number: int, keys: Iterable[str]) -> dict[str, str]:
    """The keys that are one guarantee's, of so many, without its mark (`scenario_key`); the first one's are those of no other."""
    marks = [scenario_key(index, "") for index in range(count)]
    mine, others = marks[number - 1], tuple(mark for mark in marks[1:] if mark != marks[number - 1])
    return {key: key.removeprefix(mine) for key in keys if key.startswith(mine) and not key.startswith(others)}


def audit_plans(
    cluster: Cluster, placement: Placement, failover: Failover, *, powered: Names | None = None, drained: Names = ()
) -> list[Violation]:
    """What these plans break, whatever other plans break; VMs missing in a plan are not reported. Arguments as for `audit`."""
    case = Case(cluster, placement, powered, drained)
    scenarios = AuditedScenarios.of(case)
    check_rules(case, check_plans(case, scenarios, failover, complete=False), scenarios)
    return [violation for violation in case.found if violation.kind == "failover"]


def _check_crowded(failures: AuditedFailures) -> None:
    """Record pools with too many failures to look at each, unless arithmetic shows that all are survived."""
    case = failures.case
    mixed = failures.scenarios.named is not None  # no sums of single units bound what fails
    every = [int(failures.scenarios.pool[hosts[0]]) for hosts in failures.scenarios.crowded]
    for pool in every if mixed else doubtful_pools(failures):
        name, number = case.pools[pool], failures.scenarios.failures
        case.blame("unverified", name, f"pool {name}: too many sets of {number} may fail at once to examine each of them")


def audit_running(cluster: Cluster, placement: Placement, *, drained: Names = ()) -> list[Violation]:
    """What a placement breaks in normal running, whatever fails; arguments and errors as for `audit`."""
    case = Case(cluster, placement, None, drained)
    check_placement(case)
    check_rules(case)
    return case.found


def _simulated(asked: Guarantee) -> bool:
    return asked.policy is not None and not asked.in_turn
