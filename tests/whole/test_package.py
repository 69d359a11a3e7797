import re
import subprocess
import sys
from pathlib import Path

import pytest

import vmplace

HEAVY = {"attrs", "cattrs", "click", "networkx", "numpy", "ortools", "pandas", "rich"}


def run(program):
    """What a program in a process of its own prints, line by line."""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_every_public_name_is_there():
    assert sorted(vmplace.__all__) == sorted(vmplace._MODULE_OF) == dir(vmplace)
    assert all(getattr(vmplace, name) for name in vmplace.__all__)


def test_what_is_not_public_is_named():
    with pytest.raises(AttributeError, match="'vmplace' has no attribute 'plaec'"):
        _ = vmplace.plaec


def test_the_import_loads_nothing_else():
    modules = set(run("import sys, vmplace; print(*sys.modules)")[0].split())
    assert {name for name in modules if name.startswith("vmplace")} == {"vmplace"}
    assert not modules & HEAVY


def test_the_version_loads_nothing_else():
    program = "import atexit, sys; atexit.register(lambda: print(*sys.modules)); sys.argv = ['vmplace', '--version']"
    version, modules = run(f"{program}; from vmplace.cli.entry import entry; entry()")
    assert version == f"vmplace, version {vmplace.__version__}"
    assert {name for name in modules.split() if name.startswith("vmplace")} == {"vmplace", "vmplace.cli", "vmplace.cli.entry"}
    assert not set(modules.split()) & HEAVY


def test_a_check_loads_neither_the_search_nor_its_solvers():
    run("""
import sys, vmplace
cluster = vmplace.Cluster.from_arrays(node_memory=[9, 9, 9], vm_memory=[4, 4, 4], vm_node=[0, 1, 2])
assert vmplace.check(cluster).status == "safe"
assert not {"vmplace.placement.place", "ortools", "pandas"} & set(sys.modules)
from vmplace import *
assert place(cluster).status == "optimal"
""")


def test_the_documentation_lists_every_public_name_once():
    text = (Path(__file__).parents[2] / "docs" / "python.md").read_text()
    assert sorted(re.findall(r"^\| `(\w+)` \| .+ \|$", text, re.MULTILINE)) == sorted(vmplace.__all__)
