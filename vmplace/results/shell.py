"""The steps of a plan as a shell script that stops at the first error."""

import shlex
from collections.abc import Iterator, Sequence

from vmplace.model.errors import Flaw, InputError
from vmplace.model.text import counted, lasting, printable, readable
from vmplace.model.units import short
from vmplace.results.actions import Part, actions, afterwards
from vmplace.results.values import Step

__all__ = ["script", "shell_word"]

_EXAMPLES = {
    "migrate": 'migrate() { shift; echo "live-migrate $1 from $2 to $3"; }',
    "stop": 'stop() { shift; echo "stop $1 on $2"; }',
    "start": 'start() { shift; echo "start $1 on $2"; }',
    "maintain": 'maintain() { shift; echo "service $*, then press Enter"; read -r _; }',
}
"""Each command, as a user may define it."""

_FUNCTIONS = """\
_needs() {
  if ! command -v "$1" > /dev/null 2>&1; then
    echo "$1 is not defined. Define it for your platform and source this file, or put a program of that name on the PATH:" >&2
    printf '%s\\n' "$2" >&2
    exit 127
  fi
}
_jobs=
_run() {
  _latest=${!-}
  "$@"
  _status=$?
  [ "$_status" -eq 0 ] || exit "$_status"
  [ "${!-}" = "$_latest" ] || _jobs="$_jobs$! "
}
_wait() {
  _failed=0
  while [ -n "$_jobs" ]; do
    _status=0
    wait "${_jobs%% *}" || _status=$?
    if [ "$_status" -eq 127 ]; then
      echo "A background job found no command, or its function waited for it: write such a function as name() ( ... )" >&2
    fi
    [ "$_failed" -ne 0 ] || _failed=$_status
    _jobs=${_jobs#* }
  done
  [ "$_failed" -eq 0 ] || exit "$_failed"
}
"""
"""The names begin with ``_``, so that they hide no function of the user's; exits are explicit, since a shell ignores ``set -e``
where a script is sourced in a condition."""


def script(parts: Sequence[Part]) -> Iterator[str]:
    """Lines for any POSIX shell that knows ``migrate -- VM FROM TO``, ``stop -- VM NODE``, ``start -- VM NODE`` and, between
    groups of nodes, ``maintain -- NODE...``: it returns once these nodes are back.

    All is done in a subshell, so that a script which is sourced leaves the user's shell as it was. It stops at the first command
    that fails. Each command may leave one job in the background: the step ends when all its jobs have ended, and the script
    stops there if one has failed.
    """
    used = dict.fromkeys(action.action for part in parts for step in part.steps for action in actions(step))
    used |= {"maintain": None} if any(part.serviced for part in parts) else {}
    yield "#!/bin/sh\n"
    if not used and not any(part.missing for part in parts):
        yield "# nothing to do\n"
        return
    yield from (f"# {_EXAMPLES[name]}\n" for name in used)
    yield "(\nset -eu\n"
    yield _FUNCTIONS if used else ""
    yield from (f"_needs {name} {shlex.quote(_EXAMPLES[name])}\n" for name in used)
    for part in parts:
        yield f"# drain {printable(' '.join(part.drained))}\n" if part.drained else ""
        for step in part.steps:
            yield from _commands(step)
        if part.missing:
            said = shlex.quote(printable(f"no order of the migrations: {part.missing}"))
            yield f"printf '%s\\n' {said} >&2\nexit 1\n"
        if part.serviced:
            yield f"_run maintain -- {' '.join(map(shell_word, part.drained))}\n_wait\n"
    yield ")\n"


def _commands(step: Step) -> Iterator[str]:
    live = [migration for migration in step.migrations if not migration.cold]
    cold = len(step.migrations) - len(live)
    did = [f"{counted(len(live), 'migration')} ({readable(sum(m.memory for m in live))})"] if live else []
    did += [f"{counted(len(step.stops), 'VM')} stopped: down until started"] if step.stops else []
    did += [f"{counted(cold, 'VM')} started on another node"] if cold else []
    did += [f"{counted(len(step.starts), 'VM')} started"] if step.starts else []
    did += [f"about {lasting(step.seconds)}"] if step.seconds else []
    yield f"# step {step.number}: {'; '.join([', '.join(did), *afterwards(step)])}\n"
    before = ""
    for action in actions(step):
        if "stop" == before != action.action:
            yield "_wait\n"
        words, before = " ".join(map(shell_word, action.operands)), action.action
        yield f"_run {action.action} -- {words}  # {readable(action.memory)}, step {step.number}\n"
    yield "_wait\n"


def shell_word(text: str) -> str:
    """The text as one word of a shell, what a terminal might obey written as escapes; raises InputError for a NUL character."""
    if "\0" in text:
        raise InputError([Flaw("moves", f"{short(text)} holds a NUL character, which no shell passes on: write .json")])
    if text.isprintable():
        return shlex.quote(text)
    held = text.rstrip("\n")  # a command substitution would drop what comes after
    lines = f"'{text[len(held) :]}'" if len(held) < len(text) else ""
    return f'"$(printf -- {shlex.quote("".join(map(_escaped, held)))})"{lines}'


def _escaped(character: str) -> str:
    if character in "%\\":
        return 2 * character
    return character if character.isprintable() else "".join(f"\\{byte:03o}" for byte in character.encode())
