"""How well a call keeps its time limit, and how soon Ctrl-C ends it."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter, sleep

import vmplace
from benchmarks.instances import Instance, odd_sizes
from benchmarks.timed import gap_text, timed

__all__ = ["INTERRUPT_COLUMNS", "LIMIT_COLUMNS", "interrupt_rows", "limit_rows"]

LIMIT_COLUMNS = ("cluster", "asked", "method", "limit s", "seconds", "overrun s", "status", "gap %")
INTERRUPT_COLUMNS = ("cluster", "asked", "tries", "after s", "median s", "most s", "exit status", "ended before")

_CASES = {
    "64 flavors 0.97": Instance(nodes=64, profile="flavors", fill=0.97, objective="moves", limit=60),
    "64 odd sizes 0.90": Instance(nodes=64, profile="odd sizes", fill=0.9, objective="moves", limit=60, make=odd_sizes),
    "64 azure 0.97": Instance(nodes=64, profile="azure", fill=0.97, objective="balance", limit=60),
}

_LEAVE = 30.0
"""Seconds after which an interrupted call that has not ended is an error."""


def limit_rows(limits: tuple[float, ...]) -> Iterator[tuple[object, ...]]:
    """Calls that are cut short, or end before."""
    for name, instance in _CASES.items():
        cluster = instance.cluster()
        for method in ("exact", "greedy"):
            for limit in limits:
                call = timed(cluster, instance.objective, method, limit)
                over = f"{call.seconds - limit:.3f}" if call.seconds > limit else "-"
                told = (f"{limit:g}", f"{call.seconds:.3f}", over, str(call.solution.status), gap_text(call.solution))
                yield name, instance.asked, method, *told


def interrupt_rows(tries: int) -> Iterator[tuple[object, ...]]:
    """Ctrl-C to the program, a second later with each try."""
    with tempfile.TemporaryDirectory() as folder:
        for name, instance in _CASES.items():
            path = Path(folder) / "cluster.json"
            vmplace.dump(instance.cluster(), path)
            delays = [2.0 + number for number in range(tries)]
            ended = [_interrupted(instance, path, delay) for delay in delays]
            seconds = sorted(second for second, _ in ended if second is not None)
            statuses = ", ".join(sorted({str(status) for _, status in ended}))
            after = "-".join(f"{delay:g}" for delay in dict.fromkeys((delays[0], delays[-1])))
            told = (f"{seconds[len(seconds) // 2]:.2f}", f"{seconds[-1]:.2f}") if seconds else ("-", "-")
            yield name, instance.asked, tries, after, *told, statuses, tries - len(seconds)


def _interrupted(instance: Instance, path: Path, delay: float) -> tuple[float | None, int]:
    """Seconds from the signal to the end, None if it had ended before; and the exit status.

    The signal goes to the group of processes, as a terminal's does.
    """
    arguments = ["repair"] if instance.objective == "moves" else ["place", "--objective", instance.objective]
    command = [sys.executable, "-m", "vmplace", *arguments, str(path)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        sleep(delay)
        if process.poll() is not None:
            return None, process.returncode
        start = perf_counter()
        os.killpg(process.pid, signal.SIGINT)
        process.wait(_LEAVE)
        return perf_counter() - start, process.returncode
    finally:
        process.kill()
        process.wait()
