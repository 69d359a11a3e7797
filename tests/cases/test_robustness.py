"""Hostile input, wrong arguments and plans that are run: cases that once came out wrong, with what is right."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from vmplace.cli import main


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
