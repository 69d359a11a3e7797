import subprocess
import sys

import pytest

import vmplace


def test_every_public_name_is_there():
    assert sorted(vmplace.__all__) == dir(vmplace)
    assert all(getattr(vmplace, name) for name in vmplace.__all__)


def test_what_is_not_public_is_named():
    with pytest.raises(AttributeError, match="'vmplace' has no attribute 'plaec'"):
        _ = vmplace.plaec


def test_a_check_loads_neither_the_search_nor_its_solvers():
    program = """
import sys, vmplace
cluster = vmplace.Cluster.from_arrays(node_memory=[9, 9, 9], vm_memory=[4, 4, 4], vm_node=[0, 1, 2])
assert vmplace.check(cluster).status == "safe"
assert not {"vmplace.placement.place", "ortools", "pandas"} & set(sys.modules)
from vmplace import *
assert place(cluster).status == "optimal"
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
