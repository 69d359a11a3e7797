"""The claims about failures: each scenario's verdict, the VMs without a restart, the pools and the guarantee."""

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

import numpy as np

from vmplace.auditor.any_order import strandable
from vmplace.auditor.claims.claims import TEXT
from vmplace.auditor.claims.placement import PlacedClaims
from vmplace.auditor.failures import TooHardError, WorkLimit
from vmplace.auditor.quorum import without_quorum
from vmplace.auditor.survival import Survival
from vmplace.model.columns import BoolArray, IntArray
from vmplace.model.text import counted
from vmplace.model.units import short
from vmplace.results.values import Scenario, Status, Unprotected, Violation

__all__ = ["check_verdicts", "worst"]

_FEW = 5
"""So many VMs are named in a sentence."""


def worst(statuses: Iterable[Status | None]) -> Status:
    """``unsafe`` outranks ``unknown``."""
    found = set(statuses)
    return next((status for status in (Status.UNSAFE, Status.UNKNOWN) if status in found), Status.SAFE)


def check_verdicts(placed: PlacedClaims) -> None:
    """Re-check what is claimed of failures, and thus of the guarantee."""
    _Verdicts(placed).check()


class _Verdicts:
    """The verdicts of one placement."""

    def __init__(self, placed: PlacedClaims) -> None:
        self.placed, self.claims, self.audited, self.case = placed, placed.claims, placed.audited, placed.audited.case
        self.failures = self.audited.failures
        self.survival, self.keys = Survival(self.failures, WorkLimit()), self.failures.scenarios.by_key
        asked = self.case.cluster.guarantee
        self.in_turn = asked.in_turn
        self.planned = asked.planned
        self.simulated = asked.policy is not None
        self.lost: dict[str, dict[str, bool]] = {}
        self.open = set[str]()
        self.quorumless = without_quorum(self.case, self.failures.scenarios)
        self.stopped = set(map(self.failures.scenarios.key, self.quorumless))

    def check(self) -> None:
        claims = self.claims
        for loss in claims.read("unprotected", tuple[Unprotected, ...], ()):
            self._read_loss(loss)
        told = len(self.case.found)
        self.audited.check_promise()
        promise = self.case.found[told:]
        claimed: dict[str, Scenario] = claims.read("scenarios", Mapping[str, Scenario], {})
        blamed = {v.subject: v for v in promise if v.kind == "unprotected"}
        doubtful = {v.subject for v in promise if v.kind == "unverified"}
        self._check_keys(claimed)
        self.open = {key for key, says in claimed.items() if says.status is Status.UNKNOWN}
        for key in self.keys:
            if key in claimed:
                self._check_scenario(key, claimed[key], blamed.get(key), key in doubtful)
            safe = key in claimed and claimed[key].status is Status.SAFE
            whole = self.planned or (not self.in_turn and (safe or self.simulated))
            if whole and key not in self.open:
                self._check_lost(key)
        self._check_promise(promise, claimed)
        claims.right("unprotected")
        if claimed:
            claims.leave("scenarios[].method", TEXT)
        if self.lost:
            claims.leave("unprotected[].reason", TEXT)
        self._check_pools(claimed)

    def _read_loss(self, loss: Unprotected) -> None:
        """The VMs that one failure is said to leave without a restart."""
        key, scenarios = loss.scenario, self.failures.scenarios
        known = self.keys.get(key)
        mine = self.lost.setdefault(key, {})
        for name in loss.vms:
            mine[name] = loss.minimal
            v = self.case.vm_index.get(name)
            if v is None:
                self._wrong_loss(key, f"{short(name)} is not a VM of this cluster")
                continue
            if known is None:
                if not scenarios.is_crowded(key):
                    self._wrong_loss(key, f"{short(key)} is not a failure scenario of this cluster")
                continue
            if not any(scenarios.fail(np.array([s]), self.case.at[[v]]).any() for s in known):
                self._wrong_loss(key, f"{name} is listed as unprotected, but is not on {key}")
            elif not self.case.must[v]:
                self._wrong_loss(key, f"{name} is listed as unprotected, but need not restart")
        if not loss.vms and key not in self.stopped:
            self._wrong_loss(key, "no VM is listed")

    def _wrong_loss(self, key: str, message: str) -> None:
        self.claims.take([Violation("failover", key, message)])

    def _check_keys(self, claimed: Mapping[str, Scenario]) -> None:
        """Exactly the scenarios of the cluster must be listed."""
        if "scenarios" not in self.claims.members:
            return
        for key in claimed:
            if key not in self.keys and not self.failures.scenarios.is_crowded(key):
                self.claims.wrong("scenarios", f"{short(key)} is not a failure scenario of this cluster")
        for key in self.keys:
            if key not in claimed:
                self.claims.wrong("scenarios", f"does not list {key}")
        self.claims.right("scenarios")

    def _check_scenario(self, key: str, says: Scenario, blamed: Violation | None, doubtful: bool) -> None:
        place, status = f"scenarios.{key}", says.status
        displaced = int(self.displaced[self.keys[key]].sum())
        if says.displaced != displaced:
            self.claims.wrong("scenarios", f"{key} displaces {displaced} MiB, not {says.displaced}")
        if (says.method == "empty") != (displaced == 0) and says.method != "time" and key not in self.stopped:
            self.claims.wrong("scenarios", f"{key} displaces {displaced} MiB, but its method is {short(says.method)}")
        if status is Status.UNKNOWN:
            if key in self.placed.failover:
                self.claims.wrong("scenarios", f"{key} is called unknown, but has a plan")
            return
        if status is Status.SAFE:
            self._check_safe(key, blamed)
            self._check_plan(key)
        elif status is Status.UNSAFE:
            self._check_unsafe(key, blamed, doubtful, place)
            self._check_plan(key)
        else:
            self.claims.wrong("scenarios", f"{key} is {status}, which is not safe, unsafe or unknown")

    @cached_property
    def displaced(self) -> IntArray:
        """Memory that must restart in each scenario, in MiB, shape (n_scenarios,)."""
        musts, scenarios = np.flatnonzero(self.case.must), self.failures.scenarios
        return scenarios.total(scenarios.by_unit(self.case.at[musts], self.case.memory.demand[musts]))

    def _check_safe(self, key: str, blamed: Violation | None) -> None:
        if key in self.lost:
            self.claims.wrong("scenarios", f"{key} is called safe, but unprotected lists VMs for it")
        elif blamed is not None and not self.in_turn:
            self.claims.wrong("scenarios", f"{key} is called safe, but {blamed.message}")

    def _check_plan(self, key: str) -> None:
        if key not in self.placed.failover:
            self.claims.wrong("failover", f"has no plan for {key}, not even an empty one")

    def _check_unsafe(self, key: str, blamed: Violation | None, doubtful: bool, place: str) -> None:
        if key not in self.lost and not self.in_turn:
            self.claims.wrong("unprotected", f"lists no VM for {key}, which is called unsafe")
        survives = False if blamed is not None else None if doubtful else self.survival.survives(key)
        if survives:
            self.claims.wrong("scenarios", f"{key} is called unsafe, but every VM that must restart can")
        elif survives is None:
            self.claims.leave(place, "too hard to re-check: that this failure is not survived")

    @cached_property
    def lacking(self) -> BoolArray:
        """Whether a plan restarts fewer than must, shape (n_scenarios,)."""
        plans, musts, scenarios = self.audited.plans, np.flatnonzero(self.case.must), self.failures.scenarios
        assert plans is not None
        needed = scenarios.total(scenarios.by_unit(self.case.at[musts], np.ones(len(musts), np.int64)))
        return np.asarray(needed > np.bincount(plans.scenario[self.case.must[plans.vm]], minlength=len(scenarios)))

    def _missing(self, scenario: int) -> Iterator[str]:
        """The VMs that must restart and are not in the plan."""
        plans = self.audited.plans
        assert plans is not None
        there = set(plans.vm[plans.scenario == scenario].tolist())
        return (self.case.vm.names[v] for v in self.failures.at_once(scenario).musts if v not in there)

    def _check_lost(self, key: str) -> None:
        """The VMs that no plan restarts are those listed, and no others."""
        listed = self.lost.get(key, {})
        missing = {name for s in self.keys[key] if self.lacking[s] for name in self._missing(s)}
        unlisted = sorted(missing - set(listed))
        if unlisted:
            more = f" and {len(unlisted) - _FEW} more" if len(unlisted) > _FEW else ""
            lost = f"{', '.join(unlisted[:_FEW])}{more}"
            self.claims.take(
                [Violation("unprotected", key, f"if {key} fails, no plan restarts {lost}, which unprotected does not list")]
            )
        for name in listed:
            if name in self.case.vm_index and name not in missing:
                restart = self.placed.failover.get(key, {}).get(name)
                self._wrong_loss(key, f"{name} is listed as unprotected, but the plan restarts it on {restart}")
        if listed and True in listed.values():
            self._check_minimal(key, set(listed))

    def _check_minimal(self, key: str, listed: set[str]) -> None:
        """That no plan protects more is plain where one VM is lost, and none is less important."""
        musts = [v for s in self.keys[key] for v in self.failures.at_once(s).musts]
        least = min(((self.case.vm.priority[v], self.case.vm.memory[v]) for v in musts), default=None)
        lost = [(self.case.vm.priority[v], self.case.vm.memory[v]) for v in map(self.case.vm_index.get, listed) if v is not None]
        if lost != [least] or self.survival.survives(key) is not False:
            self.claims.leave("unprotected[].minimal", f"the result has no certificate that no plan for {key} protects more")

    def _check_promise(self, promise: list[Violation], claimed: Mapping[str, Scenario]) -> None:
        """What restarts that are not planned break has to be claimed, and what could not be decided is told."""
        for violation in promise:
            key = violation.subject
            if violation.kind == "unverified":
                status = claimed[key].status if key in claimed else None
                if status is Status.SAFE or (status is None and self.placed.claims.members.get("guarantee") == Status.SAFE.value):
                    self.claims.take([violation])
            elif key not in self.open and (violation.kind == "failover" or not self._is_admitted(key)):
                self.claims.take([violation])
        if not (self.planned or self.simulated or self.in_turn):
            for key in self.lost:
                self._check_stranded(key)

    def _is_admitted(self, key: str) -> bool:
        return (
            key in self.open
            or key in self.lost
            or (self.in_turn and self.placed.claims.members.get("guarantee") != Status.SAFE.value)
        )

    def _strandable(self, scenario: int, effort: WorkLimit) -> Iterable[int]:
        """The VMs that some order of restarts strands; without a quorum, all that must restart."""
        failure = self.failures.at_once(scenario)
        return failure.musts if scenario in self.quorumless else strandable(failure, effort)

    def _check_stranded(self, key: str) -> None:
        """The VMs that some order of restarts strands."""
        listed, effort = self.lost[key], WorkLimit()
        if key not in self.keys:
            return
        try:
            true = {self.case.vm.names[v] for s in self.keys[key] for v in self._strandable(s, effort)}
        except TooHardError:
            self.claims.leave("unprotected", f"too hard to re-check: which VMs some order of restarts strands if {key} fails")
            return
        for name in sorted(set(listed) - true):
            self._wrong_loss(key, f"{name} is listed as unprotected, but restarts in any order")
        if True in listed.values() and true - set(listed):
            names = sorted(true - set(listed))
            lost = ", ".join(names[:_FEW])
            self._wrong_loss(key, f"{counted(len(names), 'VM')} can be stranded and not listed as unprotected: {lost}")

    def _check_pools(self, claimed: Mapping[str, Scenario]) -> None:
        """Each pool's verdict follows from its scenarios, and the guarantee from the pools'."""
        claims, case, scenarios = self.claims, self.case, self.failures.scenarios
        pools: dict[str, Status] = claims.read("pools", Mapping[str, Status], {})
        guarantee = claims.read("guarantee", Status)
        flawed = bool(claims.members.get("violations"))
        of_pool: dict[str, set[Status]] = {pool: set() for pool in pools}
        shared = set[str]()  # whose scenarios' verdicts are told together with those of others
        for key, numbers in self.keys.items():
            for s in numbers if key in claimed else ():
                pool = case.pools[int(scenarios.pool_of[s])]
                if len(numbers) == 1 or claimed[key].status is Status.SAFE:
                    of_pool.setdefault(pool, set()).add(claimed[key].status)
                else:
                    shared.add(pool)
        down = {case.pools[case.vm_pool[v]] for v in case.waiting.tolist() if case.vm.protected[v]}
        for pool in sorted({*of_pool, *shared, *down}.difference(pools)):
            claims.wrong("pools", f"does not list {pool}")
        for pool, status in pools.items():
            if pool not in case.pools:
                claims.wrong("pools", f"{short(pool)} is not a pool of this cluster")
                continue
            right = worst(of_pool[pool])
            open_ = self.in_turn or flawed or pool in shared or (bool(scenarios.crowded) and status is not Status.UNSAFE)
            if pool in down and status is not Status.UNSAFE:
                claims.wrong("pools", f"{pool} is called {status}, but a protected VM waits")
            elif status is not right and pool not in down and not (open_ and right is not Status.UNSAFE):
                claims.wrong("pools", f"{pool} is called {status}, but its failures make it {right}")
        if pools:
            claims.right("pools")
            claims.expect("guarantee", guarantee.value if guarantee else None, worst(pools.values()).value)
