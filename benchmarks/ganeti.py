"""Ganeti's htools on shared storage: clusters in their text format, their commands, what those say.

All nodes are one group. VMs are of disk template ``ext``, so that any node can take them; disks, processors and policies
never refuse one.
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from benchmarks.commands import Ran, run
from vmplace.model.cluster import Cluster

__all__ = [
    "HOW_TO_INSTALL",
    "allocate",
    "balance",
    "balanced",
    "chosen",
    "document",
    "healthy",
    "installed",
    "judge",
    "request",
    "variants",
]

T = TypeVar("T")

HOW_TO_INSTALL = "Ganeti's htools are not installed: skipped (apt-get install ganeti-htools)"

_FOLDERS = (*os.environ.get("PATH", os.defpath).split(os.pathsep), "/usr/lib/ganeti/iallocators")
"""Where commands are; hail is a plug-in, so its folder is none of the shell's."""

_PLENTY = 10**8
"""Of disk (MiB), and of what a VM may ask for."""

_LEAST_SPEC, _MOST_SPEC = "1,1,1,1,1,1", f"{_PLENTY},{_PLENTY},{_PLENTY},16,8,{_PLENTY}"
_POLICY = f"{_LEAST_SPEC}|{_LEAST_SPEC};{_MOST_SPEC}|ext|{_PLENTY}.0|{_PLENTY}.0"


def installed() -> bool:
    """Whether all its commands are there."""
    return all(_where(name) is not None for name in ("hail", "hbal", "hcheck"))


def variants(name: str, make: Callable[[tuple[str, ...]], T], *options: str) -> dict[str, T]:
    """What `make` makes of each set of options, by the command's words; nothing where htools are not installed."""
    return {f"{name} {words}".strip(): make(tuple(words.split())) for words in options} if installed() else {}


def _where(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join(_FOLDERS))


def _command(name: str, *arguments: str | Path) -> list[str]:
    return [_where(name) or name, *map(str, arguments)]


def document(cluster: Cluster) -> str:
    """The cluster as its text backend reads it: groups, nodes, instances, tags, policies, a blank line after each.

    Each node has one MiB more than it has, since Ganeti takes no VM that would leave nothing free: what fits exactly then fits.
    """
    free = {node.name: node.usable + 1 for node in cluster.nodes}
    for vm in cluster.vms:
        if vm.node is None:
            raise ValueError(f"{vm.name} waits: Ganeti's instances all have a node")
        free[vm.node] -= vm.memory
    nodes = (
        f"{node.name}|{node.usable + 1}|0|{free[node.name]}|{_PLENTY}|{_PLENTY}|{_PLENTY}|N|group-id|1" for node in cluster.nodes
    )
    instances = (f"{vm.name}|{vm.memory}|0|1|running|Y|{vm.node}||ext||1" for vm in cluster.vms)
    sections = (["group|group-id|preferred||"], nodes, instances, (), (f"|{_POLICY}", f"group|{_POLICY}"))
    return "\n".join("".join(f"{line}\n" for line in lines) for lines in sections)


def judge(path: Path, *options: str, time_limit: float) -> Ran:
    """`hcheck` of a document as it stands."""
    return run(_command("hcheck", "-t", path, "--no-simulation", *options), time_limit=time_limit)


def healthy(output: str) -> bool:
    """Whether `hcheck` says that each node can be evacuated onto the others.

    Raises
    ------
    ValueError
        If it does not say so once.
    """
    match re.findall(r"^    Cluster is not healthy: (True|False)$", output, re.MULTILINE):
        case [verdict]:
            return bool(verdict == "False")
        case found:
            raise ValueError(f"hcheck gave {len(found)} verdicts: {output!r}")


def request(name: str, memory: int) -> str:
    """What `hail` is asked: where to start a VM of so many MiB."""
    wanted = {
        "type": "allocate",
        "name": name,
        "memory": memory,
        "vcpus": 1,
        "disk_template": "ext",
        "disks": [{"size": 1}],
        "disk_space_total": 0,
        "spindle_use": 1,
        "required_nodes": 1,
        "hypervisor": "kvm",
        "os": "any",
        "nics": [],
        "tags": [],
    }
    data: dict[str, object] = {"cluster_tags": [], "enabled_hypervisors": ["kvm"], "nodegroups": {}, "nodes": {}, "instances": {}}
    return json.dumps({**data, "request": wanted})


def allocate(path: Path, wanted: Path, *options: str, time_limit: float) -> Ran:
    """`hail` of a document and a request."""
    return run(_command("hail", "-t", path, *options, wanted), time_limit=time_limit)


def chosen(output: str) -> str | None:
    """The node that `hail` chose; None if it refuses.

    Raises
    ------
    ValueError
        If it says neither.
    """
    match json.loads(output):
        case {"success": True, "result": [str(node)]}:
            return node
        case {"success": False, "result": []}:
            return None
        case _:
            raise ValueError(f"hail neither chose one node nor refused: {output!r}")


def balance(path: Path, *options: str, time_limit: float) -> Ran:
    """`hbal` of a document; `balanced` reads what it leaves beside it."""
    return run(_command("hbal", "-t", path, "-S", path, "-q", *options), time_limit=time_limit)


def balanced(path: Path) -> Mapping[str, str]:
    """The node of each VM after `hbal`. Its free memory is not read: hbal leaves it as it was.

    Raises
    ------
    ValueError
        If there are no instances in it as expected.
    """
    match path.with_name(f"{path.name}.balanced").read_text().split("\n\n"):
        case [_, _, instances, *_]:
            return {name: node for name, _, _, _, _, _, node, *_ in (line.split("|") for line in instances.splitlines())}
        case sections:
            raise ValueError(f"{path.name}.balanced has {len(sections)} sections, not three and more")
