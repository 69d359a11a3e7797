"""Hostile input, wrong arguments and plans that are run: cases that once came out wrong, with what is right."""

import json
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import vmplace
from vmplace.cli import main
from vmplace.formats.document import from_document


def written(tmp_path: Path, document: Any, name: str = "in.json") -> str:
    (path := tmp_path / name).write_text(document if isinstance(document, str) else json.dumps(document))
    return str(path)


NUL_NODE = {
    "nodes": [
        {"name": "\0", "memory": 64, "domain": "rc"},
        {"name": "n2", "memory": 128, "reserve": 2, "pool": "p2"},
        {"name": "n3", "memory": 100, "domain": "rb", "price": 2.5, "resources": {"vcpu": 7}},
    ],
    "vms": [],
    "guarantee": {"restart": "any-order"},
}


def test_the_script_of_a_rolling_drain_is_valid_or_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moves = tmp_path / "m.sh"
    assert main(["drain", written(tmp_path, NUL_NODE), "--rolling", "--time-limit", "5", "--moves", str(moves)]) == 2
    assert capsys.readouterr().err.endswith("moves: '\\x00' holds a NUL character, which no shell passes on: write .json\n")
    assert not moves.exists()
    hostile = json.loads(json.dumps(NUL_NODE).replace("\\u0000", "\\u001b[2J\\n'; rm -rf /"))
    assert main(["drain", written(tmp_path, hostile), "--rolling", "--time-limit", "5", "--moves", str(moves)]) in (0, 1, 3, 4)
    assert b"\x1b" not in moves.read_bytes()
    assert subprocess.run(["sh", "-n", str(moves)], check=False).returncode == 0


def test_a_name_that_no_script_can_hold_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = {
        "nodes": [{"name": n, "memory": 64} for n in ("n1", "n2", "n3")],
        "vms": [{"name": "v\0", "memory": 8, "node": "n1"}],
    }
    file, moves = written(tmp_path, document), tmp_path / "m.sh"
    assert main(["drain", file, "n1", "--moves", str(moves)]) == 2
    assert capsys.readouterr().err.endswith("moves: 'v\\x00' holds a NUL character, which no shell passes on: write .json\n")
    assert not moves.exists()
    assert main(["drain", file, "n1", "--moves", str(tmp_path / "m.json")]) == 0


HOSTILE = "\x1b[2J\x1b[31mHACKED\x1b[0m\n\r\x07\x7f\x9b31m\u202e\0end"


def hostile_cluster(name: str, **guarantee: Any) -> dict[str, Any]:
    """Every name that a document may hold is hostile."""
    nodes = [
        {"name": f"{name}{i}", "memory": 64, "domain": name, "pool": name, "tags": [name], "resources": {name: 8}}
        for i in range(3)
    ]
    vms = [
        *({"name": f"{name}{i}", "memory": 20, "node": f"{name}{i % 2}", "pool": name, "tags": [name]} for i in range(5)),
        {"name": "w", "memory": 60, "pool": name, "resources": {name: 3}},
    ]
    rules = [
        {"kind": "apart", "vms": {"tag": name}, "name": name, "must": False},
        {"kind": "only-on", "vms": ["w"], "nodes": [f"{name}0"]},
    ]
    return {"nodes": nodes, "vms": vms, "rules": rules, "guarantee": guarantee, "date": "2026-01-01"}


def is_shown(text: str) -> bool:
    return all(character.isprintable() or character == "\n" for character in text)


COMMANDS = [
    ["check", "FILE"],
    ["check", "FILE", "--compare"],
    ["check", "FILE", "--restart", "any-order"],
    ["check", "FILE", "--add-vm", "w:8GiB"],
    ["show", "FILE"],
    ["place", "FILE"],
    ["place", "FILE", "--best-effort", "--move-running"],
    ["repair", "FILE"],
    ["drain", "FILE", f"{HOSTILE}0"],
    ["drain", "FILE", f"{HOSTILE}0", "--strict"],
    ["drain", "FILE", f"{HOSTILE}9"],
    ["drain", "FILE", "--rolling"],
    ["headroom", "FILE", "8MiB"],
    ["headroom", "FILE"],
    ["headroom", "FILE", "8MiB", "--pool", HOSTILE + "x"],
    ["size", "FILE", "--node-memory", "64MiB"],
    ["size", "FILE", "--kind", f"{HOSTILE}:64MiB", "--kind", f"b:64MiB,tag={HOSTILE},resources.{HOSTILE}=9"],
    ["explain", "FILE"],
    ["tolerance", "FILE"],
    ["admit", "FILE", "--name", HOSTILE + "new", "--memory", "8MiB", "--candidates"],
    ["trend", "FILE"],
    ["convert", "FILE", "-o", "-"],
    ["convert", "FILE", "-o", "-", "--to", "yaml"],
    ["place", "FILE", "-o", "-", "--best-effort"],
    ["audit", "FILE", "FILE"],
    [HOSTILE],
    ["check", f"/nowhere/{HOSTILE.replace(chr(0), '')}"],
    ["check", "FILE", f"--{HOSTILE}"],
]


@pytest.mark.parametrize(
    "command", COMMANDS, ids=lambda command: " ".join(command[:1] + command[2:])[:20].encode("unicode_escape").decode()
)
def test_control_characters_are_shown_and_never_sent(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path, hostile_cluster(HOSTILE))
    argv = [file if word == "FILE" else word for word in command]
    assert main(
        [*argv, *(["--time-limit", "2"] if command[0] in ("place", "repair", "drain", "headroom", "size") else [])]
    ) in range(5)
    out, err = capsys.readouterr()
    assert is_shown(out)
    assert is_shown(err)
    assert "internal error" not in err
    assert "Traceback" not in err


@pytest.mark.parametrize("command", [["check", "FILE"], ["explain", "FILE"], ["place", "FILE", "--best-effort"]])
def test_json_escapes_them(command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(tmp_path, hostile_cluster(HOSTILE))
    main([*(file if word == "FILE" else word for word in command), "--json"])
    out = capsys.readouterr().out
    assert is_shown(out)
    assert HOSTILE in str(json.loads(out)).encode().decode("unicode_escape", "ignore") or HOSTILE[5:10] in out


def test_a_document_with_hostile_names_is_read_back(tmp_path: Path) -> None:
    file = written(tmp_path, hostile_cluster(HOSTILE))
    for out in ("out.json", "out.yaml"):
        assert main(["convert", file, "-o", str(tmp_path / out)]) == 0
        assert is_shown((tmp_path / out).read_text())
        assert vmplace.load(tmp_path / out) == vmplace.load(file)


def test_a_terminal_gets_colours_but_nothing_of_a_name() -> None:
    from io import StringIO

    from vmplace.report.check import node_report
    from vmplace.report.tables import Screen

    class Terminal(StringIO):
        encoding = "utf-8"  # type: ignore[assignment]

        def isatty(self) -> bool:
            return True

    screen = Screen(Terminal())
    document = hostile_cluster(HOSTILE)
    text = screen.render(node_report(vmplace.check(from_document(document)), screen))
    assert "\x1b[2J" not in text
    assert is_shown(re.sub(r"\x1b\[[0-9;]*m", "", text))


HEADROOM_ANSI = {
    "nodes": [{"name": "n1", "memory": 12, "state": "maintenance"}],
    "vms": [{"name": "\x1b[2J\x1b[31mHACKED\x1b[0m", "memory": 16, "node": "n1"}, {"name": "x", "memory": 3, "node": "n1"}],
}


def test_a_reason_of_headroom_shows_a_name_in_escapes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["headroom", written(tmp_path, HEADROOM_ANSI), "1GiB"]) == 1
    assert "\\x1b[2J\\x1b[31mHACKED\\x1b[0m" in capsys.readouterr().out


# Input of the wrong form

DEEP = "[" * 100_000
BAD_INPUT = {
    "empty": "",
    "blank": " \n",
    "null": "null",
    "number": "1",
    "list": "[]",
    "text": '"x"',
    "half": '{"nodes": [',
    "deep": '{"nodes": [], "vms": [], "meta": ' + DEEP,
    "deep-but-closed": '{"nodes": [], "vms": [], "meta": {"x": ' + "[" * 5000 + "]" * 5000 + "}}",
    "twice": '{"nodes": [], "nodes": [], "vms": []}',
    "nan": '{"nodes": [{"name": "n", "memory": NaN}], "vms": []}',
    "infinity": '{"nodes": [{"name": "n", "memory": 1, "price": Infinity}], "vms": []}',
    "overflow": '{"nodes": [{"name": "n", "memory": 1e999}], "vms": []}',
    "tiny-price": '{"nodes": [{"name": "n", "memory": 1, "price": -1e-300}], "vms": []}',
    "huge-number": '{"nodes": [{"name": "n", "memory": ' + "9" * 5000 + '}], "vms": []}',
    "huge-priority": '{"nodes": [], "vms": [{"name": "v", "memory": 1, "priority": ' + "9" * 5000 + "}]}",
    "lone-surrogate": '{"nodes": [{"name": "\\ud800", "memory": 1}], "vms": []}',
    "trailing": '{"nodes": [], "vms": []} x',
}


@pytest.mark.parametrize("name", list(BAD_INPUT))
@pytest.mark.parametrize("suffix", ["json", "yaml"])
def test_bad_input_is_a_few_clear_lines(name: str, suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if suffix == "yaml" and name in ("deep", "deep-but-closed"):
        pytest.skip("a YAML parser takes long over these; tests/formats has shallower ones")
    file = written(tmp_path, BAD_INPUT[name], f"in.{suffix}")
    assert main(["check", file]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert all(line.startswith(f"{file}: ") and len(line) < len(file) + 300 for line in err.splitlines())
    assert 1 <= len(err.splitlines()) <= 5


@pytest.mark.parametrize("content", [b"\xff\xfe{\x00}\x00", b'{"nodes": [\xe9', b"\x00\x01\x02"])
def test_what_is_not_utf_8(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (path := tmp_path / "in.json").write_bytes(content)
    assert main(["check", str(path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_files_that_are_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = written(
        tmp_path, {"nodes": [{"name": "a", "memory": 4}, {"name": "b", "memory": 4}], "vms": [{"name": "v", "memory": 1}]}
    )
    for argv in (
        ["check", str(tmp_path)],
        ["check", str(tmp_path / "missing.json")],
        ["check", f"{good}/x"],
        ["place", good, "-o", str(tmp_path)],
        ["place", good, "-o", str(tmp_path / "no" / "out.json")],
        ["place", good, "--move-running", "--moves", str(tmp_path / "no" / "out.sh")],
        ["place", good, "-o", "/proc/version"],
        ["audit", good, str(tmp_path)],
        ["audit", good, good],
    ):
        assert main(argv) == 2, argv
        out, err = capsys.readouterr()
        assert (out, len(err.splitlines())) == ("", 1), argv


def test_a_price_too_small_to_be_added_up_is_refused() -> None:
    empty = vmplace.Cluster([vmplace.Node("n1", 6)], [], guarantee=vmplace.Guarantee(failures=0))
    kinds = [vmplace.Node("a", 64, price=1e-300), vmplace.Node("b", 1024, resources={"vcpu": 8})]
    with pytest.raises(vmplace.InputError, match="node: the prices have too many digits to be added up: round them"):
        vmplace.size(empty, kinds, time_limit=5)


@pytest.mark.parametrize("placed", ["none", "worst-fit", "best-fit"])
def test_a_synthetic_cluster_may_come_out_empty(placed: str, tmp_path: Path) -> None:
    argv = ["generate", "--nodes", "2", "--fill", "0.9", "--node-memory", "1MiB", "--profile", "big-vms", "--seed", "0"]
    assert main([*argv, "--placed", placed, "-o", str(tmp_path / "out.json")]) == 0
    assert len(vmplace.load(tmp_path / "out.json").vms) == 0


def test_no_half_document_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> dict[str, Any]:
        raise RuntimeError("a plan failed its audit")

    monkeypatch.setattr("vmplace.results.failover.FailoverPlans.__getitem__", broken)
    file = written(
        tmp_path, {"nodes": [{"name": n, "memory": 9} for n in "abc"], "vms": [{"name": "v", "memory": 1, "node": "a"}]}
    )
    assert main(["check", file, "--json"]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert "internal error: RuntimeError: a plan failed its audit" in err


# What a call leaves behind

SMALL = {
    "nodes": [{"name": f"n{i}", "memory": 64 + i} for i in range(6)],
    "vms": [{"name": f"v{i}", "memory": 7 + i % 5, "node": f"n{i % 3}"} for i in range(24)],
}


def calls() -> Iterator[Callable[[], Any]]:
    cluster = from_document(SMALL)
    hard = vmplace.what_if(cluster, add_vms=[vmplace.VM(f"w{i}", 5 + i) for i in range(6)])
    kinds = [vmplace.Node("a", 61, price=1.9), vmplace.Node("b", 100, price=3.1)]
    for limit in (0, 0.01, 0.05):
        yield lambda limit=limit: vmplace.place(hard, move_running=True, method="exact", time_limit=limit)  # type: ignore[misc]
        yield lambda limit=limit: vmplace.repair(hard, time_limit=limit)  # type: ignore[misc]
        yield lambda limit=limit: vmplace.size(hard, kinds, time_limit=limit)  # type: ignore[misc]
        yield lambda limit=limit: vmplace.headroom(hard, 3, move_running=True, time_limit=limit)  # type: ignore[misc]
        yield lambda limit=limit: vmplace.rolling_drain(hard, time_limit=limit)  # type: ignore[misc]
        yield lambda limit=limit: vmplace.check(hard, time_limit=limit)  # type: ignore[misc]


def children() -> set[str]:
    return set(Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split())


def resident() -> int:
    """Memory in use, in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_no_thread_process_file_or_memory_is_left_behind() -> None:
    for call in calls():
        call()
    threads, processes, files = threading.active_count(), children(), len(os.listdir("/proc/self/fd"))
    before = resident()
    for _ in range(4):
        for call in calls():
            call()
            assert threading.active_count() <= threads
            assert children() <= processes
    assert len(os.listdir("/proc/self/fd")) <= files
    assert resident() - before < 40


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_memory_stays_flat_over_many_small_calls() -> None:
    for _ in range(30):
        for call in calls():
            call()
    before = resident()
    for _ in range(60):
        for call in calls():
            call()
    assert resident() - before < 40


def test_amounts_have_two_decimals_at_most(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = {"a0": 4096, "a1": 4096, "a2": 4608, "b0": 8192, "b1": 8192, "b2": 6144}
    vms = [{"name": vm, "memory": mib, "node": "node1" if vm[0] == "a" else "node2"} for vm, mib in sizes.items()]
    nodes = [{"name": "node1", "memory": 29184}, {"name": "node2", "memory": 30668}]
    assert main(["check", written(tmp_path, {"nodes": nodes, "vms": vms})]) == 1
    out = capsys.readouterr().out
    assert "8140 MiB" in out
    assert not re.search(r"\.\d{3,} GiB", out)
