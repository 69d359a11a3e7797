"""The command line: parse, call the function of the same name, print."""

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vmplace.budget import Progress
from vmplace.console import complain, emit, watched
from vmplace.errors import Flaw, InputError
from vmplace.generate import PLACED, PROFILES, generate
from vmplace.streaming import pieces
from vmplace.units import parse_memory, parse_reserve, short

if TYPE_CHECKING:
    from vmplace.cluster import Cluster
    from vmplace.reading import Form
    from vmplace.results import Report, Solution
    from vmplace.show import Draw

__all__ = ["cli", "entry", "main"]

_DONE, _NOT_SAFE, _BAD_INPUT, _UNKNOWN = range(4)
_OF_VERDICT = {"safe": _DONE, "unsafe": _NOT_SAFE, "unknown": _UNKNOWN}
_MOST_FLAWS = 20
_LONG = 20
_OBJECTIVES = ("balance", "moves", "consolidate")

_OBJECTIVE_HELP = "balance, moves or consolidate; several joined by commas count in that order."

Command = TypeVar("Command", bound=Callable[..., Any])


def main(argv: Sequence[str]) -> int:
    """Run a command line without a process.

    Parameters
    ----------
    argv
        The arguments, without the name of the program.

    Returns
    -------
    int
        The exit status: 0 safe or done; 1 unsafe, infeasible, or best effort that is not safe; 2 bad input or usage;
        3 unknown.
    """
    if not argv:
        click.echo(cli.get_help(click.Context(cli, info_name="vmplace")), err=True)
        return _BAD_INPUT
    try:
        with cli.make_context("vmplace", list(argv)) as context:
            return int(cli.invoke(context))
    except click.exceptions.Exit as leaving:
        return leaving.exit_code
    except _RefusedError as refusal:
        for line in refusal.lines:
            complain(line)
        return _BAD_INPUT
    except click.ClickException as error:
        complain(_usage_line(error))
        return _BAD_INPUT
    except (KeyboardInterrupt, click.Abort):
        complain("interrupted: nothing to show")
        return _UNKNOWN
    except Exception as error:
        if os.environ.get("VMPLACE_DEBUG"):
            traceback.print_exc()
        complain(f"internal error: {type(error).__name__}: {error}: please report it (VMPLACE_DEBUG=1 shows where)")
        return _UNKNOWN


def entry() -> None:
    """The program ``vmplace``: run its command line and leave with the exit status."""
    status = main(sys.argv[1:])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # one more Ctrl-C must not turn an answer into a crash on the way out
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:  # nobody reads what is left, and the interpreter need not try again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if threading.active_count() > 1:  # a solver that has not heard yet that it should stop would abort an orderly exit
        os._exit(status)
    sys.exit(status)


class _RefusedError(Exception):
    """The input cannot be used; one line for each reason."""

    def __init__(self, *lines: str) -> None:
        super().__init__(*lines)
        self.lines = lines


def _usage_line(error: click.ClickException) -> str:
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "vmplace"
    return f"{path}: {error.format_message()} (see {path} --help)"


@contextmanager
def _blaming(source: str, options: Mapping[str, object] | None = None) -> Iterator[None]:
    """What is wrong with the source, or with an option, becomes lines that say so."""
    shown = "stdin" if source == "-" else source
    try:
        yield
    except InputError as error:
        lines = [_flaw_line(shown, flaw, options or {}) for flaw in error.flaws[:_MOST_FLAWS]]
        more = len(error.flaws) - len(lines)
        raise _RefusedError(*lines, *([f"{shown}: ... and {more} more"] if more else [])) from None


def _flaw_line(source: str, flaw: Flaw, options: Mapping[str, object]) -> str:
    return f"--{flaw.place.replace('_', '-')}: {flaw.message}" if flaw.place in options else f"{source}: {flaw}"


@contextmanager
def _touching(path: str) -> Iterator[None]:
    """What the system says of reading or writing a file becomes a line that names it."""
    try:
        yield
    except BrokenPipeError:
        return
    except OSError as error:
        raise _RefusedError(f"{path}: {error.strerror or error}") from None


def _save(cluster: "Cluster", path: str, form: "Form | None" = None) -> None:
    from vmplace.documents import dump

    with _blaming(path), _touching("stdout" if path == "-" else path):
        if path != "-" or sys.stdout is not None:
            dump(cluster, path, form=form)


def _refuse_output(path: str | None) -> None:
    """Find out before the work whether its result could be written."""
    if path in (None, "-"):
        return
    assert path is not None
    folder = os.path.dirname(path) or "."
    if os.path.isdir(path):
        raise _RefusedError(f"{path}: is a directory: name a file")
    if not os.path.isdir(folder):
        raise _RefusedError(f"{path}: {folder} is no directory: make it first")
    special = os.path.exists(path) and not os.path.isfile(path)
    if not os.access(path if special else os.path.dirname(os.path.realpath(path)), os.W_OK):
        raise _RefusedError(f"{path}: may not be written: choose another place")


def _load(path: str) -> "Cluster":
    from vmplace.documents import load

    with _blaming(path), _touching("stdin" if path == "-" else path):
        return load(path)


def _print(text: Iterable[str], *, aside: bool = False) -> None:
    with _touching("stderr" if aside else "stdout"):
        emit(text, sys.stderr if aside else sys.stdout)


def _print_json(parts: Mapping[str, Any]) -> None:
    """Print a mapping whose parts may be lazy: they are made as they are printed."""
    _print(chain(pieces(parts), "\n"))


Callback = Callable[[click.Context, click.Parameter, Any], Any]


def _parsed(parse: Callable[[Any], Any]) -> Callback:
    """An option's callback: what the parser refuses is bad usage."""

    def callback(context: click.Context, parameter: click.Parameter, value: Any) -> Any:
        try:
            return None if value is None else parse(value)
        except ValueError as error:
            raise click.BadParameter(str(error), context, parameter) from None

    return callback


def _memory(parse: Callable[[object], int]) -> Callback:
    """Memory as in a document, where digits alone are MiB."""
    return _parsed(lambda text: parse(int(text) if text.isascii() and text.isdigit() and len(text) < _LONG else text))


def _objectives(text: str) -> str | tuple[str, ...]:
    names = tuple(text.split(","))
    odd = next((name for name in names if name not in _OBJECTIVES), None)
    if odd is not None:
        raise ValueError(f"{short(odd)} is not one of {', '.join(_OBJECTIVES)}")
    return names if len(names) > 1 else names[0]


def _options(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


_file = click.argument("file")
_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
_all = click.option("--all", "everything", is_flag=True, help="Shorten no list.")
_output = click.option("-o", "--output", metavar="FILE", help="Write the resulting document (.yaml: as YAML; -: to stdout).")
_seconds: dict[str, Any] = {"type": click.FloatRange(min=0), "metavar": "SECONDS"}
_time_limit = click.option("--time-limit", **_seconds, help="Decide no more after this time; inf: no limit.")
_seed = click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="For all that is drawn by chance.")
_search_options = _options(
    click.option("--method", type=click.Choice(["auto", "exact", "greedy"]), default="auto", show_default=True),
    click.option("--time-limit", **_seconds, help="Return the best found by then (60 unless given); inf: until it is proved."),
    _seed,
    click.option("--deterministic", is_flag=True, help="Count time in work, so that every run ends the same."),
    click.option("--best-effort", is_flag=True, help="Place every VM even if not all can be protected."),
    click.option("--max-moves", type=click.IntRange(min=0), metavar="N", help="Migrate at most so many VMs."),
    click.option("--max-migrated", callback=_memory(parse_reserve), metavar="MEMORY", help="Migrate at most so much memory."),
    _output,
    _json,
    _all,
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=False)
@click.version_option(package_name="vmplace")
def cli() -> None:
    """Place virtual machines so that any node can fail and every VM still fits on the others.

    FILE is a cluster document in JSON, or in YAML where its suffix is .yaml or .yml; - reads it from stdin.

    Exit status: 0 safe or done; 1 unsafe, infeasible or best effort that is not safe; 2 bad input or usage; 3 unknown,
    because time ran out or Ctrl-C came first.
    """


@cli.command("check")
@_file
@click.option("--compare", is_flag=True, help="Also show what the usual platforms' policies would promise, and who is wrong.")
@_options(_time_limit, _json, _all)
def _check(file: str, compare: bool, time_limit: float | None, as_json: bool, everything: bool) -> int:
    """Say whether the failures of the guarantee are survived, and if not, why."""
    from vmplace.show import report

    found = _checked(file, time_limit, compare=compare)
    _print_result(found, report, as_json, everything)
    return _OF_VERDICT[found.status.value]


@cli.command("show")
@_file
@_options(_time_limit, _json, _all)
def _show(file: str, time_limit: float | None, as_json: bool, everything: bool) -> int:
    """Show each node, its load and what comes of its failure."""
    from vmplace.show import node_report

    found = _checked(file, time_limit)
    _print_result(found, node_report, as_json, everything)
    return _UNKNOWN if found.status.value == "unknown" else _DONE


@cli.command("place")
@_file
@click.option("--objective", callback=_parsed(_objectives), default="balance", show_default=True, help=_OBJECTIVE_HELP)
@click.option("--move-running", is_flag=True, help="VMs that run may migrate, too.")
@_search_options
def _place(file: str, **options: Any) -> int:
    """Place waiting VMs so that the failures of the guarantee are survived."""
    return _solve("place", file, **options)


@cli.command("repair")
@_file
@_search_options
def _repair(file: str, **options: Any) -> int:
    """Make a cluster safe with the least memory migrated."""
    return _solve("repair", file, **options)


@cli.command("audit")
@click.argument("cluster")
@click.argument("result")
@_json
def _audit(cluster: str, result: str, as_json: bool) -> int:
    """Check a saved --json result without the search.

    RESULT is what check, place or repair printed for CLUSTER; - is stdin for one of the two.
    """
    if cluster == result == "-":
        raise click.UsageError("CLUSTER and RESULT cannot both be stdin")
    from vmplace.auditor import audit
    from vmplace.saved import SavedResult
    from vmplace.show import violation_report

    document = _load(cluster)
    with _blaming(result), _touching(result):
        saved = SavedResult.read(result)
        violations = audit(document, saved.placement, saved.failover, powered=saved.powered, drained=saved.drained)
    violations += saved.false_claims(document)
    undecided = all(violation.kind == "unverified" for violation in violations)
    verdict = "safe" if not violations else "unknown" if undecided else "unsafe"
    if as_json:
        _print_json({"status": verdict, "violations": [violation.to_dict() for violation in violations]})
    else:
        _draw(violation_report, violations)
    return _OF_VERDICT[verdict]


@cli.command("convert")
@_file
@_output
@click.option("--to", "form", type=click.Choice(["json", "yaml"]), help="What to write to stdout.")
def _convert(file: str, output: str | None, form: "Form | None") -> int:
    """Write a document again, as JSON or YAML.

    The suffix of -o FILE says which: YAML for .yaml and .yml, else JSON.
    """
    if form and output not in (None, "-"):
        raise click.UsageError("--to is for stdout: the suffix of -o FILE says what to write")
    _refuse_output(output)
    _save(_load(file), output or "-", form)
    return _DONE


@cli.command("generate")
@click.option("--nodes", type=int, required=True, metavar="N", help="How many.")
@click.option("--node-memory", callback=_memory(parse_memory), default="512GiB", show_default=True, metavar="MEMORY")
@click.option("--fill", type=float, default=0.9, show_default=True, help="Share of what N+1 allows.")
@click.option("--profile", type=click.Choice(list(PROFILES)), default="azure", show_default=True, help="Sizes of VMs.")
@_seed
@click.option("--placed", type=click.Choice(list(PLACED)), default="none", show_default=True, help="How VMs are placed.")
@click.option("--mixed", is_flag=True, help="Nodes of half, one and two times the node memory.")
@_options(_output, _json)
def _generate(output: str | None, as_json: bool, **wanted: Any) -> int:
    """Draw a synthetic cluster by chance.

    It goes to stdout, or to -o FILE. The same options give the same cluster on every machine.
    """
    _refuse_output(output)
    with _blaming("generate", wanted):
        cluster = generate(**wanted)
    if output is not None:
        _save(cluster, output)
    if output is None or (as_json and output != "-"):
        _save(cluster, "-")
    return _DONE


def _checked(file: str, time_limit: float | None, *, compare: bool = False) -> "Report":
    from vmplace import check

    cluster = _load(file)
    limit: dict[str, Any] = {} if time_limit is None else {"time_limit": time_limit}
    with _blaming(file, limit), watched(_progress_text("balance")) as progress:
        return check(cluster, compare=compare, progress=progress, **limit)


def _solve(name: str, file: str, *, output: str | None, as_json: bool, everything: bool, **options: Any) -> int:
    """Run place or repair, write the document, print the result."""
    if as_json and output == "-":
        raise click.UsageError("--json and -o - would both write to stdout")
    _refuse_output(output)
    import vmplace
    from vmplace.show import solution_report

    cluster = _load(file)
    options = {name: value for name, value in options.items() if value is not None}  # the function's defaults count
    objective = options.get("objective", "moves")
    first = objective if isinstance(objective, str) else objective[0]
    with _blaming(file, options), watched(_progress_text(first)) as progress:
        solution: Solution = getattr(vmplace, name)(cluster, progress=progress, **options)
    if solution.node_of is not None and output is not None:
        _save(solution.to_document(), output)
    _print_result(solution, solution_report, as_json, everything, aside=output == "-")
    return _status(solution)


def _status(solution: "Solution") -> int:
    if solution.node_of is None:
        return _NOT_SAFE if solution.status.value == "infeasible" else _UNKNOWN
    return _OF_VERDICT[solution.guarantee.value]


def _progress_text(objective: str) -> Callable[[Progress], str]:
    def describe(progress: Progress) -> str:
        from vmplace.show import value_text

        parts = [progress.phase]
        if progress.total:
            parts.append(f"{progress.done or 0} of {progress.total}")
        if progress.value is not None:
            parts.append(f"best {value_text(objective, progress.value)}")
        if progress.bound is not None:
            parts.append(f"bound {value_text(objective, progress.bound)}")
        return ", ".join(parts)

    return describe


def _print_result(result: Any, draw: "Draw", as_json: bool, everything: bool, *, aside: bool = False) -> None:
    if as_json:
        _print_json(result.parts())
    else:
        _draw(draw, result, everything, aside=aside)


def _draw(draw: "Draw", result: Any, everything: bool = True, *, aside: bool = False) -> None:
    """Print a report, on stderr if a document takes stdout."""
    from vmplace.screen import Screen

    stream = sys.stderr if aside else sys.stdout
    if stream is not None:
        screen = Screen(stream, everything)
        _print([screen.render(draw(result, screen))], aside=aside)
