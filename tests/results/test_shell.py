"""Plans as shell scripts: what real shells make of them, whatever the names."""

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.results.test_migration import PLAN
from vmplace import InputError, Migration, MigrationPlan, Start, Status, Step
from vmplace.results.actions import Part
from vmplace.results.shell import script, shell_word

SHELLS = [shell for shell in ("/bin/sh", "/bin/bash", "/bin/dash") if Path(shell).exists()]
ODD = "a b'$(rm)\"\n\\<&>`%s\x1b[2J-é\n\n"
DEFINED = 'migrate() { printf "%s|" migrate "$@"; }\nstart() { printf "%s|" start "$@"; }\n'


def plan_of(*names: str) -> MigrationPlan:
    first, *others = names
    moves = tuple(Migration(name, first, name, 1024, 1) for name in others)
    return MigrationPlan(status=Status.OPTIMAL, steps=(Step(1, moves, (Start(first, "n0", 1),), Status.SAFE),))


def run(text: str, shell: str = "/bin/sh", before: str = DEFINED) -> subprocess.CompletedProcess[str]:
    return subprocess.run([shell, "-c", before + text], capture_output=True, text=True, check=False)


def test_the_lines_of_a_step() -> None:
    lines = PLAN.drawn().splitlines()
    assert lines[0] == "#!/bin/sh"
    assert "set -eu" in lines
    assert lines[lines.index("# step 2: 1 migration (1 GiB), 1 VM started; safe afterwards") :] == [
        "# step 2: 1 migration (1 GiB), 1 VM started; safe afterwards",
        "_run migrate -- b n2 n0  # 1 GiB, step 2",
        "_run start -- w n2  # 512 MiB, step 2",
        "_wait",
        ")",
    ]


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_reads_the_names_as_they_are(shell: str) -> None:
    text = plan_of(ODD, "-rf", "--", "x\n").drawn()
    said = run(text, shell)
    moved = "".join(f"migrate|--|{name}|{ODD}|{name}|" for name in ("-rf", "--", "x\n"))
    assert (said.stdout, said.stderr, said.returncode) == (f"{moved}start|--|{ODD}|n0|", "", 0)
    assert subprocess.run([shell, "-n"], input=text, text=True, check=False).returncode == 0
    assert "\x1b" not in text


@settings(max_examples=25, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=12))
def test_any_text_is_one_word(text: str) -> None:
    word = shell_word(text)
    said = subprocess.run(["/bin/sh", "-c", f"printf %s {word}x"], capture_output=True, check=True).stdout
    assert said.decode() == f"{text}x"
    assert all(character.isprintable() or character == "\n" for character in word)


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(("known", "missing"), [("", "migrate"), ("migrate() { echo moved; }\n", "start")])
def test_a_command_that_is_not_defined_ends_the_script_before_anything_is_done(shell: str, known: str, missing: str) -> None:
    said = run(PLAN.drawn(), shell, f"PATH=/nowhere\n{known}")
    assert (said.stdout, said.returncode) == ("", 127)
    assert f"{missing} is not defined" in said.stderr
    assert f"{missing}() {{ shift;" in said.stderr  # as it may be defined


@pytest.mark.parametrize("shell", SHELLS)
def test_the_first_command_that_fails_ends_the_script(shell: str) -> None:
    said = run(PLAN.drawn(), shell, 'migrate() { echo "$2"; test "$2" != a; }\nstart() { echo no; }\n')
    assert said.stdout.splitlines() == ["b", "a"]
    assert said.returncode == 1


def test_the_examples_in_the_head_of_a_script_are_right(tmp_path: Path) -> None:
    (path := tmp_path / "m.sh").write_text(PLAN.drawn())
    examples = "\n".join(line[2:] for line in path.read_text().splitlines() if "() {" in line and line.startswith("# "))
    said = run(f'\n. {path}\necho "still here: $-"', before=examples)
    assert said.stdout.splitlines()[:2] == ["live-migrate b from n1 to n2", "live-migrate a from n0 to n1"]
    assert said.stdout.splitlines()[3] == "start w on n2"
    assert "still here: " in said.stdout.splitlines()[-1]
    assert "u" not in said.stdout.splitlines()[-1].partition(": ")[2]  # the shell that sourced it has no set -u


def test_each_step_waits_for_what_goes_on_in_the_background() -> None:
    said = run(PLAN.drawn(), before='migrate() { (sleep 0.1; echo "$2") & }\nstart() { echo started; }\n')
    assert sorted(said.stdout.splitlines()[:2]) == ["a", "b"]
    assert sorted(said.stdout.splitlines()[2:]) == ["b", "started"]


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("context", ["{\n", "if "], ids=["plain", "in a condition"])
@pytest.mark.parametrize(
    ("migrate", "status"),
    [
        ("test $1 != a", 1),
        ("(sleep 0.01; test $1 != a) &", 1),
        ("(test $1 != a || exit 3) & sleep 0.03", 3),  # ended before the script waits for it
        ("(sleep 0.01; nowhere $1) 2> /dev/null &", 127),
        ("(sleep 0.01; test $1 = a) &", 1),
        ("(sleep 0.01) &", 0),
        ("test $1 = b || (sleep 0.01) &", 0),
        ("(sleep 0.01) & wait $!; IFS=0123456789", 0),
        ("set -- a b", 0),
    ],
)
def test_a_step_that_fails_ends_the_script(shell: str, context: str, migrate: str, status: int) -> None:
    moves = (Migration("a", "n0", "n1", 1, 1), Migration("b", "n1", "n0", 1, 1))
    last = Step(2, (Migration("c", "n0", "n1", 1, 2),), (), Status.SAFE)
    text = "".join(script([Part((Step(1, moves, (), Status.SAFE),), ("n0",), serviced=True), Part((last,))]))
    own = ("(", ")") if "wait" in migrate else ("{", "}")
    body = f"{own[0]} shift; echo $1; {migrate}\n{own[1]}"
    before = f"migrate() {body}\nmaintain() {{ echo maintain; }}\n{context}"
    end = "}\n" if context.startswith("{") else "then exit 0; else exit $?; fi\n"
    said = run(f"{text}{end}", shell, before)
    assert said.returncode == status
    assert said.stderr == ("" if status < 127 else said.stderr)
    done = said.stdout.split()
    assert done[:1] == ["a"]
    assert ("maintain" in done, "c" in done) == (status == 0, status == 0)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_step_ends_when_all_its_jobs_have_ended_though_one_failed(shell: str) -> None:
    said = run(
        PLAN.drawn(), shell, 'migrate() { shift; (test "$1" != b || exit 4; sleep 0.05; echo "$1") & }\nstart() { echo no; }\n'
    )
    assert said.returncode == 4
    assert "no" not in said.stdout


def test_nothing_to_do_and_no_order_are_told_apart() -> None:
    assert "".join(script([Part(())])) == "#!/bin/sh\n# nothing to do\n"
    said = run(MigrationPlan(status=Status.UNKNOWN, reason="none\n'found").drawn())
    assert (said.returncode, said.stderr) == (1, "no order of the migrations: none\\n'found\n")


def test_a_name_that_no_shell_can_take_is_refused_and_shown_in_comments() -> None:
    with pytest.raises(InputError, match=r"'\\x00' holds a NUL character, which no shell passes on: write .json"):
        plan_of("n", "\0").drawn()
    text = "".join(script([PLAN.part(("\0\n\x1b",))]))
    assert "# drain \\x00\\n\\x1b\n" in text
    assert run(text).returncode == 0
