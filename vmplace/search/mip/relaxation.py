"""A relaxation of the MIP for the fewest moves, for many sizes: VMs that come to a node are counted by groups of sizes.

Every placement keeps its rows, so a dual bound on the model's moves bounds those of every placement. The rows are the slot-volume
rows of a dozen sizes, with the lifted ones of `bounds.lifting`; a group's VMs fill no fewer slots than as many of its smallest
would. Rules are left out.
"""

from functools import cached_property

import numpy as np

from vmplace.model.columns import IntArray
from vmplace.problem.problem import Problem
from vmplace.problem.sizes import evenly
from vmplace.search.bounds.lifting import lifted
from vmplace.search.goal import Goal
from vmplace.solvers.budget import Budget
from vmplace.solvers.program import IntegerProgram, Terms, terms

__all__ = ["CoarseModel"]

_SIZES = 12


class CoarseModel:
    """The relaxation; making it raises OutOfTimeError once the budget is spent.

    Attributes
    ----------
    program : IntegerProgram
        To be minimised, in units of `unit` MiB.
    unit : int
        The VMs' common divisor.
    """

    @staticmethod
    def applies(problem: Problem, goal: Goal) -> bool:
        """Whether moves are what counts first, in one pool whose failures are all to be survived."""
        return bool(
            goal.objectives[0] == "moves"
            and goal.move_running
            and not goal.best_effort
            and problem.failures == 1
            and problem.guarantee.scope == "node"
            and problem.lasting is None
            and problem.n_vms
            and problem.online.any()
            and len(problem.pools) == 1
        )

    def __init__(self, problem: Problem, goal: Goal, budget: Budget) -> None:
        self.program, self._problem, self._budget = IntegerProgram(), problem, budget
        classes = problem.classes
        self.unit = int(np.gcd.reduce(classes.memory))
        self._size, self._protected = classes.memory // self.unit, classes.protected
        self._usable = problem.usable // self.unit
        self._now = problem.counts(problem.node_of)
        self._online = np.flatnonzero(problem.online)
        self._free = self._usable - (self._now * self._size[:, None]).sum(axis=0)
        stay = problem.counts(problem.node_of, ~goal.free(problem))
        self._out = self.program.variables(self._now - stay)
        self._come = self._arrive()
        self._bound_loads()
        slots = {size: self._survive(size) for size in self._slot_sizes}
        self._lift(slots)
        self.program.objective = self._weights()

    @cached_property
    def _slot_sizes(self) -> list[int]:
        """Sizes of which more slots must be free than are now: a dozen of them; all sizes where they are few."""
        mine = self._size[self._protected]
        count = np.bincount(self._problem.classes.of, minlength=len(self._size))[self._protected]
        sizes = np.unique(mine)
        if len(sizes) > _SIZES:
            hosts = max(2, int((self._problem.online | self._problem.maintenance).sum()))
            free = np.maximum(self._free[self._online], 0)
            short = [t for t in sizes.tolist() if int((mine // t) @ count) > (hosts - 1) * int((free // t).sum())]
            sizes = np.array(short or sizes, dtype=np.int64)
            sizes = evenly(sizes, _SIZES)
        return [int(size) for size in sizes]

    @cached_property
    def _group(self) -> IntArray:
        """Of each class: protected ones by the largest slot they fill, unprotected ones all in one."""
        return np.where(self._protected, np.searchsorted(self._slot_sizes, self._size, side="right"), -1)

    def _weights(self, node: int | None = None) -> Terms:
        """The memory that leaves a node, or all of them."""
        return terms(self._out, self._size[:, None]) if node is None else terms(self._out[:, node], self._size)

    def _arrive(self) -> dict[int, IntArray]:
        """Per group, variables for how many come to each online node; and for how much, see `_volume`."""
        waiting = np.bincount(self._problem.classes.of, minlength=len(self._size)) - self._now.sum(axis=1)
        come: dict[int, IntArray] = {}
        self._volume = self.program.variables(self._usable[self._online])
        for group in np.unique(self._group).tolist():
            mine = np.flatnonzero(self._group == group)
            total = int(waiting[mine].sum())
            most = np.minimum(self._now[mine].sum() + total, self._usable[self._online] // self._size[mine].min())
            come[group] = self.program.variables(most)
            self.program.row([*terms(come[group]), *terms(self._out[mine], -1)], total, total)
        for k, volume in enumerate(self._volume.tolist()):
            least = [(int(v[k]), -int(self._size[self._group == group].min())) for group, v in come.items()]
            self.program.row([(volume, 1), *least], lower=0)
        total = int(waiting @ self._size)
        gone = [(v, -size) for v, size in self._weights()]
        self.program.row([*terms(self._volume), *gone], total, total)
        return come

    def _bound_loads(self) -> None:
        for i, v in zip(self._online.tolist(), self._volume.tolist(), strict=True):
            self.program.row([(v, 1), *((out, -size) for out, size in self._weights(i))], upper=int(self._free[i]))
        for i in np.flatnonzero(self._problem.maintenance & (self._free < 0)).tolist():
            self.program.row(self._weights(i), lower=-int(self._free[i]))  # nothing comes here

    def _survive(self, size: int) -> IntArray:
        """Rows for slots of a size: of each failure no more are displaced than are free elsewhere."""
        slots = self.program.variables(self._usable[self._online] // size)
        total = self.program.variable(0, int((self._usable[self._online] // size).sum()))
        self.program.row([(total, 1), *terms(slots, -1)], 0, 0)
        place = {node: k for k, node in enumerate(self._online.tolist())}
        whole = np.where(self._protected, self._size // size, 0)
        for i in range(self._problem.n_nodes):
            self._budget.demand()
            displaced = terms(self._out[:, i], -whole)
            if i in place:
                k = place[i]
                displaced += [(int(v[k]), self._least_slots(group, size)) for group, v in self._come.items()]
                displaced.append((int(slots[k]), 1))
                leave = [(v, -s) for v, s in self._weights(i)]
                self.program.row([(int(slots[k]), size), (int(self._volume[k]), 1), *leave], upper=int(self._free[i]))
            self.program.row([*displaced, (total, -1)], upper=-int(whole @ self._now[:, i]))
        return slots

    def _least_slots(self, group: int, size: int) -> int:
        return 0 if group < 0 else int(self._size[self._group == group].min()) // size

    def _lift(self, slots: dict[int, IntArray]) -> None:
        sizes = self._slot_sizes
        room, nodes = self._free[self._online], self._online
        fits = np.flatnonzero(room >= 0)
        if not sizes or not len(fits):
            return
        kinds, kind = np.unique(np.stack([room[fits], self._usable[nodes[fits]]]), axis=1, return_inverse=True)
        for family in lifted(kinds[0], kinds[1], sizes, self._size.tolist()):
            for k, row in zip(fits.tolist(), kind.reshape(-1).tolist(), strict=True):
                self._budget.demand()
                i = int(nodes[k])
                own = terms(self._out[:, i], family.leaving[row])
                own += [(int(v[k]), -int(family.coming[row, self._group == group].min())) for group, v in self._come.items()]
                prices = list(zip(sizes, family.slots[row].tolist(), strict=True))
                own += [(int(slots[size][k]), -price) for size, price in prices]
                self.program.row(own, lower=-sum(price * (int(room[k]) // size) for size, price in prices))
