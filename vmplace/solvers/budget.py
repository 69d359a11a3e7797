"""The time budget of a call: time limit, cancellation, Ctrl-C, and the progress callback."""

import logging
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from attrs import frozen

from vmplace.model.converters import parse_seconds, placed

__all__ = ["Budget", "OutOfTimeError", "Progress"]

_WORK_PER_SECOND = 0.06
"""The work that a deterministic search may do for each second of the limit: a core under load does several times as much."""


_LOG = logging.getLogger("vmplace")
_LOG.addHandler(logging.NullHandler())

_seconds = placed("time_limit", parse_seconds)


class OutOfTimeError(Exception):
    """The budget is spent within a step that is of no use half done; caught within the package."""


@frozen
class Progress:
    """What a progress callback receives.

    Parameters
    ----------
    phase
        The step of the call: ``check`` or ``search``.
    elapsed
        Seconds since the call began.
    done, total
        How many scenarios (or other parts) are done, and of how many, where known.
    value, bound
        The best value of the objective so far, and its bound, where known.
    """

    phase: str
    elapsed: float
    done: int | None = None
    total: int | None = None
    value: float | None = None
    bound: float | None = None


class Budget:
    """The time that a call may take.

    Parameters
    ----------
    time_limit
        Seconds; None for no limit.
    cancel
        Set it from any thread to make the call return the best it has.
    progress
        Called now and then, from the calling thread.

    Attributes
    ----------
    work : float
        What deterministic searches may do, in the solver's measure of work: so little that the clock seldom ends them first.
    patience : list of float
        Seconds left in all for what refines an answer that is known already (see `refining`); shared with all shares.

    Raises
    ------
    InputError
        (a ValueError) if the time limit is negative or no number.
    """

    def __init__(
        self,
        time_limit: float | None = None,
        cancel: threading.Event | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> None:
        self.start = time.monotonic()
        self.limit = math.inf if time_limit is None else _seconds(time_limit)
        self.work = self.limit * _WORK_PER_SECOND
        self.patience = [math.inf]
        self._cancel = cancel
        self._progress = progress

    @property
    def cancel(self) -> threading.Event:
        """The event that stops the call; it is made when it is first asked for."""
        if self._cancel is None:
            self._cancel = threading.Event()
        return self._cancel

    @property
    def elapsed(self) -> float:
        """Seconds since the call began."""
        return time.monotonic() - self.start

    @property
    def left(self) -> float:
        """Seconds left; 0 once cancelled."""
        if self._cancel is not None and self._cancel.is_set():
            return 0.0
        return max(0.0, self.limit - self.elapsed)

    @property
    def spent(self) -> bool:
        """Whether the call should return."""
        return self.left <= 0

    def steps(self, per_work: float) -> int | None:
        """How many steps of a kind `work` allows; None for no limit."""
        return None if math.isinf(self.work) else round(self.work * per_work)

    def demand(self) -> None:
        """Raise OutOfTimeError if the budget is spent."""
        if self.spent:
            raise OutOfTimeError

    def tell(
        self,
        phase: str,
        *,
        done: int | None = None,
        total: int | None = None,
        value: float | None = None,
        bound: float | None = None,
    ) -> None:
        """Report progress to the callback, if there is one."""
        if _LOG.isEnabledFor(logging.DEBUG):
            _LOG.debug("%.2f s: %s, done %s of %s, value %s, bound %s", self.elapsed, phase, done, total, value, bound)
        if self._progress is not None:
            self._progress(Progress(phase, self.elapsed, done, total, value, bound))

    def share(self, part: float) -> "Budget":
        """A budget of this part of what is left, stopped by the same event."""
        inner = Budget(None, self.cancel, self._progress)
        inner.start, inner.limit = self.start, self.elapsed + self.left * part
        inner.work = self.work * part  # not of what the clock has left: that differs from run to run
        inner.patience = self.patience
        return inner

    @contextmanager
    def refining(self) -> Iterator["Budget"]:
        """A budget for what refines an answer that is known already: it ends with `patience`, too, which it uses up."""
        inner, begun = self.share(1.0), self.elapsed
        inner.limit = min(inner.limit, begun + self.patience[0])
        try:
            yield inner
        finally:
            self.patience[0] = max(0.0, self.patience[0] - (self.elapsed - begun))

    def silent(self) -> "Budget":
        """The same time without progress reports: for searches of parts, whose figures are not the whole's."""
        inner = self.share(1.0)
        inner._progress = None
        return inner

    @contextmanager
    def interruptible(self) -> Iterator["Budget"]:
        """A context in which Ctrl-C cancels the call, where it would have raised KeyboardInterrupt."""
        ours = threading.current_thread() is threading.main_thread()
        if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            yield self
            return
        signal.signal(signal.SIGINT, lambda *_: self.cancel.set())
        try:
            yield self
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)
