"""Exit statuses: the help, the documentation and the commands agree."""

import json
import re
from pathlib import Path

import pytest

from vmplace.cli import main
from vmplace.cli.exits import MEANINGS

DOCUMENTS = Path(__file__).parents[2] / "docs" / "documents.md"


def test_the_help_and_the_documentation_say_the_same(capsys):
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    listed = {int(status): meaning for status, meaning in re.findall(r"^    (\d)  (.+)$", told, re.MULTILINE)}
    assert listed == {status: meaning.replace("`", "") for status, meaning in MEANINGS.items()}
    table = re.findall(r"^\| (\d) \| (.+) \|$", DOCUMENTS.read_text(), re.MULTILINE)
    assert {int(status): meaning for status, meaning in table} == MEANINGS


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("check", 1),
        ("explain", 0),
        ("show", 0),
        ("place", 1),
        ("repair", 1),
        ("place --best-effort", 4),
        ("repair --best-effort", 4),
        ("drain a", 4),
        ("drain a --strict", 1),
    ],
)
def test_a_cluster_without_room_for_a_failure(command, status, tmp_path):
    path = tmp_path / "cluster.json"
    nodes = [{"name": name, "memory": memory} for name, memory in (("a", "4GiB"), ("b", "16GiB"), ("c", "16GiB"))]
    vms = [{"name": f"vm-{name}", "memory": "12GiB", "node": name} for name in "bc"]
    path.write_text(json.dumps({"format": 1, "nodes": nodes, "vms": vms}))
    name, *options = command.split()
    assert main([name, str(path), *options]) == status
