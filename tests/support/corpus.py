"""Broken documents, each with the place and a part of the message that must be said of it.

Most are the good document of `good()` with one thing changed, so that what is refused is that one thing.
"""

import copy
import errno
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import field, frozen

__all__ = ["BROKEN", "MANY", "MANY_PLACES", "UNREADABLE", "Broken", "Unreadable", "good", "good_yaml"]

_DEEP = 100_000
_ABSENT = object()


@frozen
class Broken:
    """A document that cannot be read.

    Parameters
    ----------
    content
        Bytes of the file.
    place
        Of the only flaw, as in `Flaw.place`.
    fragment
        What its message says.
    suffix
        Of the file.
    """

    content: bytes = field(repr=False)
    place: str
    fragment: str
    suffix: str = ".json"

    def write(self, folder: Path) -> Path:
        """Make the file and return its path."""
        path = folder / f"broken{self.suffix}"
        path.write_bytes(self.content)
        return path


@frozen
class Unreadable:
    """A path that leads to no text: what makes it, and the error number of the OSError."""

    make: Callable[[Path], Path]
    number: int


def good() -> dict[str, Any]:
    """A document with every key, that is read without complaint."""
    return {
        "format": 1,
        "date": "2026-11-23",
        "meta": {"site": "x", "list": [1, 2.5, None, True, {"k": "v"}]},
        "nodes": [
            {
                "name": "n1",
                "memory": "64GiB",
                "reserve": "4GiB",
                "state": "online",
                "domain": "rack-a",
                "pool": "default",
                "tags": ["gpu"],
                "price": 1.5,
                "resources": {"vcpu": 64},
                "headroom": "8GiB",
                "max_vm": {"memory": "32GiB", "vcpu": 16},
                "meta": {"a": 1},
            },
            {"name": "n2", "memory": 65536},
            {"name": "n3", "memory": "64GiB", "pool": "other"},
        ],
        "vms": [
            {
                "name": "a",
                "memory": "8GiB",
                "node": "n1",
                "target": "n2",
                "running": True,
                "movable": False,
                "protected": True,
                "evictable": False,
                "priority": 3,
                "pool": "default",
                "tags": ["db"],
                "resources": {"vcpu": 8},
                "overhead": "256MiB",
                "home": "n2",
                "used": "2GiB",
                "meta": {},
            },
            {"name": "b", "memory": 8192.0, "node": None},
            {"name": "c", "memory": "0.5TiB", "node": "n2"},
        ],
        "rules": [
            {
                "kind": "apart",
                "vms": ["a", "b"],
                "scope": "node",
                "must": True,
                "weight": 2,
                "during_failover": False,
                "name": "db",
            },
            {"kind": "together", "vms": ["b", "c"], "must": False},
            {"kind": "only-on", "vms": ["a"], "nodes": ["n1", "n2"]},
            {"kind": "not-on", "vms": {"tag": "web"}, "nodes": {"tag": "gpu"}},
        ],
        "guarantee": {
            "failures": 1,
            "scope": "node",
            "sequence": "at-once",
            "restart": "planned",
            "policy": None,
            "order": None,
            "headroom": 0.1,
        },
        "overcommit": {"vcpu": 4.0},
        "soft_resources": ["vcpu"],
    }


def good_yaml() -> str:
    """A document in YAML, with one node, that is read without complaint."""
    return "format: 1\nnodes:\n- {name: n1, memory: 64GiB}\nvms:\n- {name: a, memory: 8GiB, node: n1}\n"


def _changed(*path: str | int, to: Any = _ABSENT) -> dict[str, Any]:
    """The good document with the value at a path replaced, or left out."""
    document = copy.deepcopy(good())
    part: Any = document
    for step in path[:-1]:
        part = part[step]
    if to is _ABSENT:
        del part[path[-1]]
    else:
        part[path[-1]] = to
    return document


def _json(*path: str | int, to: Any = _ABSENT, place: str | None = None, says: str) -> Broken:
    shown = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")
    return Broken(json.dumps(_changed(*path, to=to)).encode(), shown if place is None else place, says)


def _text(text: str | bytes, place: str, says: str, suffix: str = ".json") -> Broken:
    return Broken(text.encode() if isinstance(text, str) else text, place, says, suffix)


def _replaced(old: str, new: str, place: str, says: str) -> Broken:
    """The good document with its text changed, for what `json` does not write."""
    text = json.dumps(good())
    assert text.count(old) == 1, old
    return _text(text.replace(old, new), place, says)


def _yaml(text: str | bytes, place: str, says: str) -> Broken:
    return _text(text, place, says, ".yaml")


def _edited_yaml(old: str, new: str, place: str, says: str) -> Broken:
    text = good_yaml()
    assert text.count(old) == 1, old
    return _yaml(text.replace(old, new), place, says)


_GOOD = json.dumps(good())
_BYTES = _GOOD.encode()

_NOT_A_DOCUMENT: Mapping[str, Broken] = {
    "empty": _text("", "", "is empty"),
    "blank": _text(" \n\t\n", "", "is empty"),
    "only-bom": _text(b"\xef\xbb\xbf", "", "is empty"),
    "null": _text("null", "", "is empty"),
    "top-list": _text("[]", "", "[] is not a mapping"),
    "top-number": _text("5", "", "5 is not a mapping"),
    "top-text": _text('"nodes"', "", "'nodes' is not a mapping"),
    "truncated": _text(_GOOD[: _GOOD.index(', "nodes"') + 1], "line 1, column 101", "ends before it is complete"),
    "truncated-lines": _text('{\n  "nodes": [\n', "line 3, column 1", "ends before it is complete"),
    "truncated-text": _text('{\n "nodes": "n', "line 2, column 11", "unterminated string"),
    "missing-comma": _text('{"nodes": []\n "vms": []}', "line 2, column 2", "expecting ',' delimiter"),
    "trailing-comma": _text('{"nodes": [],\n"vms": [],\n}', "line 3, column 1", "property name"),
    "trailing-text": _text(_GOOD + "\n{}", "line 2, column 1", "extra data"),
    "single-quotes": _text("{'nodes': []}", "line 1, column 2", "property name"),
    "yaml-named-json": _text("nodes: []\nvms: []\n", "line 1, column 1", "name the file .yaml"),
    "nested-too-deeply": _text("[" * _DEEP, "", "nested too deeply"),
    "not-utf-8": _text(_BYTES.replace(b'"n1"', b'"n\xff"', 1), "line 1, column 123", "0xff is not UTF-8"),
    "latin-1": _text('{"nodes": [],\n "vms": [],\n "meta": {"où": 1}}'.encode("latin-1"), "line 3, column 13", "0xf9"),
    "utf-16": _text(_GOOD.encode("utf-16"), "", "UTF-16"),
    "utf-16-without-bom": _text(_GOOD.encode("utf-16-be"), "", "UTF-16"),
    "nul-byte": _text(b'{"nodes": [],\n "vms": [\0]}', "line 2, column 10", "NUL byte"),
    "binary": _text(b"\x7fELF\x02\x01\x01\0\0\0", "line 1, column 8", "NUL byte"),
}

_TOP: Mapping[str, Broken] = {
    "nodes-missing": _json("nodes", place="", says="'nodes' is missing"),
    "vms-missing": _json("vms", place="", says="'vms' is missing"),
    "nodes-null": _json("nodes", to=None, says="None is not a list"),
    "vms-mapping": _json("vms", to={"a": 1}, says="{'a': 1} is not a list"),
    "rules-text": _json("rules", to="apart", says="'apart' is not a list"),
    "top-unknown-key": _json("rule", to=[], place="", says="unknown key 'rule'; did you mean 'rules'?"),
    "top-strange-key": _json("zzz", to=1, place="", says="unknown key 'zzz': leave it out, or move it into meta"),
    "format-2": _json("format", to=2, says="2 is not a known format"),
    "format-true": _json("format", to=True, says="True is not a known format"),
    "format-text": _json("format", to="1", says="'1' is not a known format"),
    "format-null": _json("format", to=None, says="None is not a known format"),
    "date-nonsense": _json("date", to="tomorrow", says="'tomorrow' is not an ISO date"),
    "date-number": _json("date", to=20261123, says="20261123 is not a string"),
    "meta-list": _json("meta", to=[], says="[] is not a mapping"),
    "meta-nan": _replaced('"site": "x"', '"site": NaN', "meta.site", "nan is not a number"),
    "meta-infinity": _replaced('{"k": "v"}', '{"k": [-Infinity]}', "meta.list[4].k[0]", "-inf is not a number"),
    "meta-huge": _replaced('"site": "x"', f'"site": {"9" * 5000}', "meta.site", "5000 digits"),
    "meta-surrogate": _replaced('"site": "x"', '"site": "\\udcff"', "meta.site", "surrogate"),
    "meta-surrogate-key": _replaced('"site": "x"', '"a": {"\\ud800": 1}', "meta.a", "surrogate"),
    "meta-deep": _replaced('"site": "x"', f'"site": {"[" * 300}{"]" * 300}', "meta", "deeper than 100 levels"),
    "overcommit-zero": _json("overcommit", "vcpu", to=0, says="0 is not above zero"),
    "overcommit-text": _json("overcommit", to={"disk space": "2"}, place="overcommit['disk space']", says="'2' is not a number"),
    "overcommit-list": _json("overcommit", to=[4], says="[4] is not a mapping"),
    "soft-resources-text": _json("soft_resources", to="vcpu", says="'vcpu' is not a list"),
    "soft-resources-number": _json("soft_resources", to=["vcpu", 5], place="soft_resources[1]", says="5 is not a string"),
}

_NODES: Mapping[str, Broken] = {
    "node-number": _json("nodes", 2, to=5, says="5 is not a mapping"),
    "node-null": _json("nodes", 2, to=None, says="None is not a mapping"),
    "node-list": _json("nodes", 2, to=["n2", 5], says="['n2', 5] is not a mapping"),
    "node-misspelt-key": _json(
        "nodes", 2, to={"name": "n3", "memroy": 5, "pool": "other"}, says="unknown key 'memroy'; did you mean 'memory'?"
    ),
    "node-unknown-key": _json("nodes", 0, "colour", to="red", place="nodes[0]", says="unknown key 'colour': leave it out"),
    "node-without-memory": _json("nodes", 0, "memory", place="nodes[0]", says="'memory' is missing"),
    "node-name-number": _json("nodes", 2, "name", to=100, says="100 is not a string: quote it"),
    "node-name-empty": _json("nodes", 2, "name", to="", says="'' is empty"),
    "node-name-plus": _json("nodes", 2, "name", to="n+3", says="'n+3' holds '+'"),
    "node-name-null": _json("nodes", 2, "name", to=None, says="None is not a string"),
    "node-name-list": _json("nodes", 2, "name", to=["n3"], says="['n3'] is not a string"),
    "node-name-surrogate": _replaced('"n3"', '"\\ud800"', "nodes[2].name", "surrogate"),
    "node-name-twice": _text(
        '{"vms": [], "nodes": [{"name": "b", "memory": 1}, {"name": "b", "memory": 2}]}', "nodes[1].name", "taken by nodes[0]"
    ),
    "node-memory-zero": _json("nodes", 1, "memory", to=0, says="0 is not above zero"),
    "node-memory-huge": _replaced("65536", "9" * 5000, "nodes[1].memory", "5000 digits"),
    "node-reserve-all": _json("nodes", 0, "reserve", to="64GiB", says="64GiB leaves nothing of 64GiB"),
    "node-reserve-negative": _json("nodes", 0, "reserve", to=-1, says="-1 is negative"),
    "node-state": _json("nodes", 0, "state", to="Online", says="'Online' is not one of online, maintenance, offline"),
    "node-state-list": _json("nodes", 0, "state", to=["online"], says="['online'] is not one of"),
    "node-domain": _json("nodes", 0, "domain", to=7, says="7 is not a string"),
    "node-pool": _json("nodes", 0, "pool", to=None, says="None is not a string"),
    "node-tags-text": _json("nodes", 0, "tags", to="gpu", says="'gpu' is not a list of strings"),
    "node-tags-number": _json("nodes", 0, "tags", to=["gpu", 1], place="nodes[0].tags[1]", says="1 is not a string"),
    "node-tags-twice": _json("nodes", 0, "tags", to=["gpu", "x", "gpu"], place="nodes[0].tags[2]", says="listed twice"),
    "node-price-zero": _json("nodes", 0, "price", to=0.0, says="0.0 is not above zero"),
    "node-price-text": _json("nodes", 0, "price", to="1.0", says="'1.0' is not a number"),
    "node-price-huge": _replaced("1.5", "9" * 400, "nodes[0].price", "sensible size"),
    "node-price-infinite": _replaced("1.5", "1e999", "nodes[0].price", "inf is not a number of sensible size"),
    "node-resources-negative": _json("nodes", 0, "resources", "vcpu", to=-1, says="-1 is below 0"),
    "node-resources-part": _json("nodes", 0, "resources", "vcpu", to=1.5, says="1.5 is not a whole number"),
    "node-resources-list": _json("nodes", 0, "resources", to=["vcpu"], says="['vcpu'] is not a mapping"),
    "node-headroom-share": _json("nodes", 0, "headroom", to=1.5, says="1.5 is neither a share nor memory: write 0.1 for 10 %"),
    "node-headroom-negative": _json("nodes", 0, "headroom", to=-1, says="-1 is neither a share nor memory"),
    "node-headroom-text": _json("nodes", 0, "headroom", to="10%", says="'10%' is not memory"),
    "node-headroom-flag": _json("nodes", 0, "headroom", to=True, says="True is not a number"),
    "node-headroom-above": _json("nodes", 0, "headroom", to="61GiB", says="61GiB is more than the 60GiB for VMs"),
    "node-max-vm-memory": _json("nodes", 0, "max_vm", "memory", to="32GB", says="write 32GiB"),
    "node-max-vm-zero": _json("nodes", 0, "max_vm", "memory", to=0, says="0 is not above zero"),
    "node-max-vm-part": _json("nodes", 0, "max_vm", "vcpu", to=1.5, says="1.5 is not a whole number"),
    "node-max-vm-number": _json("nodes", 0, "max_vm", to=16, says="16 is not a mapping"),
    "node-meta-text": _json("nodes", 0, "meta", to="x", says="'x' is not a mapping"),
    "node-key-twice": _replaced('"state": "online"', '"reserve": 0', "nodes[0].reserve", "stands twice"),
}

_VMS: Mapping[str, Broken] = {
    "vm-text": _text('{"nodes": [], "vms": ["a"]}', "vms[0]", "'a' is not a mapping"),
    "vm-misspelt-name": _text('{"nodes": [], "vms": [{"nmae": "a", "memory": 1}]}', "vms[0]", "did you mean 'name'?"),
    "vm-without-name": _text('{"nodes": [], "vms": [{"memory": 1}]}', "vms[0]", "'name' is missing"),
    "vm-memory-gb": _json("vms", 2, "memory", to="8GB", says="'8GB' has no known unit: write 8GiB"),
    "vm-memory-g": _json("vms", 2, "memory", to="8 g", says="write 8GiB"),
    "vm-memory-bare-text": _json("vms", 2, "memory", to="8192", says="write 8192MiB"),
    "vm-memory-words": _json("vms", 2, "memory", to="a lot", says="'a lot' is not memory"),
    "vm-memory-part": _json("vms", 2, "memory", to=8192.5, says="8192.5 is not a whole number of MiB"),
    "vm-memory-part-text": _json("vms", 2, "memory", to="1.0001GiB", says="'1.0001GiB' is not a whole number of MiB"),
    "vm-memory-negative": _json("vms", 2, "memory", to=-8, says="-8 is not above zero"),
    "vm-memory-true": _json("vms", 2, "memory", to=True, says="True is not memory"),
    "vm-memory-null": _json("vms", 2, "memory", to=None, says="None is not memory"),
    "vm-memory-list": _json("vms", 2, "memory", to=[8], says="[8] is not memory"),
    "vm-memory-nan": _replaced('"0.5TiB"', "NaN", "vms[2].memory", "nan is not a whole number"),
    "vm-memory-bytes": _json("vms", 2, "memory", to=8 * 2**30, says="bytes?"),
    "vm-memory-bytes-text": _json("vms", 2, "memory", to="65TiB", says="above 64 TiB"),
    "vm-node-unknown": _json("vms", 2, "node", to="n9", says="'n9' is not a node of this cluster"),
    "vm-node-number": _json("vms", 2, "node", to=2, says="2 is not a string"),
    "vm-node-other-pool": _json("vms", 2, "node", to="n3", says="in pool 'other', the VM in 'default'"),
    "vm-target-unknown": _json("vms", 0, "target", to="n9", says="'n9' is not a node of this cluster"),
    "vm-target-without-node": _json("vms", 0, "node", place="vms[0].target", says="a VM without a node"),
    "vm-running-text": _json("vms", 0, "running", to="yes", says="'yes' is neither true nor false"),
    "vm-running-one": _json("vms", 0, "running", to=1, says="1 is neither true nor false"),
    "vm-protected-null": _json("vms", 0, "protected", to=None, says="None is neither true nor false"),
    "vm-movable-text": _json("vms", 0, "movable", to="", says="'' is not one of true, false, 'cold'"),
    "vm-evictable-mapping": _json("vms", 0, "evictable", to={}, says="{} is neither true nor false"),
    "vm-priority-part": _json("vms", 0, "priority", to=0.5, says="0.5 is not a whole number"),
    "vm-priority-true": _json("vms", 0, "priority", to=True, says="True is not a whole number"),
    "vm-priority-huge": _json("vms", 0, "priority", to=10**12, says="write a smaller number"),
    "vm-pool-empty": _json("vms", 1, "pool", to="", says="'' is empty"),
    "vm-name-twice": _text(
        '{"nodes": [], "vms": [{"name": "b", "memory": 1}, {"name": "b", "memory": 2}]}', "vms[1].name", "taken by vms[0]"
    ),
    "vm-tags-mapping": _json("vms", 0, "tags", to={"db": 1}, says="{'db': 1} is not a list of strings"),
    "vm-tags-nested": _json("vms", 0, "tags", to=[["db"]], place="vms[0].tags[0]", says="['db'] is not a string"),
    "vm-key-of-node": _json("vms", 0, "price", to=2, place="vms[0]", says="unknown key 'price'"),
    "vm-overhead-negative": _json("vms", 0, "overhead", to=-1, says="-1 is negative"),
    "vm-overhead-null": _json("vms", 0, "overhead", to=None, says="None is not memory"),
    "vm-home-number": _json("vms", 0, "home", to=2, says="2 is not a string"),
    "vm-used-part": _json("vms", 0, "used", to=0.5, says="0.5 is not a whole number of MiB"),
    "vms-twice": _text('{"nodes": [], "vms": [], "vms": []}', "vms", "stands twice"),
}

_RULES: Mapping[str, Broken] = {
    "rule-name-number": _json("rules", 0, "name", to=1, says="1 is not a string"),
    "rule-text": _json("rules", 1, to="apart", says="'apart' is not a mapping"),
    "rule-without-kind": _json("rules", 1, "kind", place="rules[1]", says="'kind' is missing: write one of apart, together"),
    "rule-misspelt-kind-key": _json(
        "rules", 1, to={"knd": "apart", "vms": ["a"]}, says="unknown key 'knd'; did you mean 'kind'?"
    ),
    "rule-misspelt-kind": _json("rules", 1, "kind", to="togehter", says="did you mean 'together'?"),
    "rule-unknown-kind": _json(
        "rules", 1, "kind", to="zzz", says="'zzz' is not a kind of rule: write one of apart, together, only-on, not-on"
    ),
    "rule-kind-number": _json("rules", 1, "kind", to=1, says="1 is not a kind of rule"),
    "rule-kind-list": _json("rules", 1, "kind", to=["apart"], says="['apart'] is not a kind of rule"),
    "rule-without-vms": _json("rules", 1, "vms", place="rules[1]", says="'vms' is missing"),
    "rule-without-nodes": _json("rules", 2, "nodes", place="rules[2]", says="'nodes' is missing"),
    "rule-nodes-of-apart": _json("rules", 0, "nodes", to=["n1"], place="rules[0]", says="unknown key 'nodes'"),
    "rule-scope-of-together": _json("rules", 1, "scope", to="node", place="rules[1]", says="unknown key 'scope'"),
    "rule-vms-text": _json("rules", 0, "vms", to="a", says="'a' is not a list of strings"),
    "rule-vms-empty": _json("rules", 0, "vms", to=[], says="[] names nothing"),
    "rule-vms-number": _json("rules", 0, "vms", to=["a", 5], place="rules[0].vms[1]", says="5 is not a string"),
    "rule-vms-twice": _json("rules", 0, "vms", to=["a", "a"], place="rules[0].vms[1]", says="'a' is listed twice"),
    "rule-vms-mapping": _json("rules", 0, "vms", to={"tga": "db"}, says="{'tga': 'db'} is neither a list of names nor"),
    "rule-tag-number": _json("rules", 3, "nodes", "tag", to=5, says="5 is not a string"),
    "rule-scope": _json("rules", 0, "scope", to="rack", says="'rack' is not one of node, domain"),
    "rule-must-text": _json("rules", 0, "must", to="no", says="'no' is neither true nor false"),
    "rule-weight-zero": _json("rules", 0, "weight", to=0, says="0 is below 1: write 1 or more"),
    "rule-weight-infinite": _replaced('"weight": 2', '"weight": Infinity', "rules[0].weight", "inf is not a whole number"),
    "rule-during-failover": _json("rules", 0, "during_failover", to="x", says="'x' is neither true nor false"),
    "rules-apart-and-together": _json(
        "rules", 1, to={"kind": "together", "vms": ["b", "a"]}, place="rules[0]", says="apart, rules[1]"
    ),
    "rules-nowhere": _json(
        "rules",
        3,
        to={"kind": "not-on", "vms": ["a"], "nodes": ["n1", "n2"]},
        says="leaves 'a' no node of the pool together with rules[2]",
    ),
    "rule-nowhere": _json("rules", 3, to={"kind": "only-on", "vms": ["a"], "nodes": {"tag": "z"}}, says="leaves 'a' no node"),
    "rules-no-common-node": _text(
        json.dumps(
            {
                "nodes": [{"name": "n1", "memory": 9}, {"name": "n2", "memory": 9}],
                "vms": [{"name": "a", "memory": 1}, {"name": "b", "memory": 1}],
                "rules": [
                    {"kind": "together", "vms": ["a", "b"]},
                    {"kind": "only-on", "vms": ["a"], "nodes": ["n1"]},
                    {"kind": "not-on", "vms": ["b"], "nodes": ["n1"]},
                ],
            }
        ),
        "rules[0]",
        "keeps VMs together that rules[1], rules[2] leave no common node",
    ),
    "rules-two-pools": _text(
        json.dumps(
            {
                "nodes": [],
                "vms": [{"name": "a", "memory": 1, "pool": "x"}, {"name": "b", "memory": 1, "pool": "y"}],
                "rules": [{"kind": "together", "vms": ["a", "b"]}],
            }
        ),
        "rules[0]",
        "VMs never cross pools",
    ),
}

_GUARANTEE: Mapping[str, Broken] = {
    "guarantee-list": _json("guarantee", to=["n+1"], place="guarantee[0]", says="'n+1' is not a mapping"),
    "guarantee-list-empty": _json("guarantee", to=[], says="[] asks for nothing: write one guarantee at least"),
    "guarantee-failures-kinds": _json("guarantee", "failures", to={"rack": 1}, says="{'rack': 1} is not a number of failures"),
    "guarantee-quorum": _json("guarantee", "quorum", to=0, says="0 is below 1"),
    "guarantee-null": _json("guarantee", to=None, says="None is not a mapping"),
    "guarantee-misspelt-key": _json("guarantee", "head_room", to=0.1, place="guarantee", says="did you mean 'headroom'?"),
    "guarantee-failures-negative": _json("guarantee", "failures", to=-1, says="-1 is below 0"),
    "guarantee-failures-text": _json("guarantee", "failures", to="1", says="'1' is not a whole number"),
    "guarantee-scope": _json("guarantee", "scope", to="rack", says="'rack' is not one of node, domain"),
    "guarantee-sequence": _json("guarantee", "sequence", to="later", says="'later' is not one of at-once, sequential"),
    "guarantee-restart": _json("guarantee", "restart", to=None, says="None is not one of planned, any-order"),
    "guarantee-policy": _json("guarantee", "policy", to="worst-fit", says="'worst-fit' is not one of first-fit"),
    "guarantee-order": _json("guarantee", "order", to=1, says="1 is not one of largest-first"),
    "guarantee-headroom-one": _json("guarantee", "headroom", to=1, says="1 is not a share"),
    "guarantee-headroom-per-cent": _json("guarantee", "headroom", to=10, says="0.1 for 10 %"),
    "guarantee-headroom-negative": _json("guarantee", "headroom", to=-0.1, says="-0.1 is not a share"),
    "guarantee-headroom-text": _json("guarantee", "headroom", to="10%", says="'10%' is not a number"),
    "guarantee-headroom-nan": _replaced('"headroom": 0.1', '"headroom": NaN', "guarantee.headroom", "nan is not a number"),
}

_YAML: Mapping[str, Broken] = {
    "yaml-empty": _yaml("", "", "is empty"),
    "yaml-only-comment": _yaml("# nothing yet\n", "", "is empty"),
    "yaml-text": _yaml("a cluster\n", "", "'a cluster' is not a mapping"),
    "yaml-truncated": _yaml("nodes:\n- {name: n1,\n", "line 3, column 1", "not YAML"),
    "yaml-indent": _yaml("nodes:\n  - name: n1\n   memory: 5\n", "line 3, column 4", "not YAML"),
    "yaml-tab": _yaml("nodes:\n\t- x\n", "line 2, column 1", "not YAML"),
    "yaml-two-colons": _yaml("nodes: []\nvms: a: b\n", "line 2, column 7", "mapping values are not allowed"),
    "yaml-control-character": _yaml("nodes: []\nvms: [\a]\n", "line 2, column 7", "control characters are not allowed"),
    "yaml-alias": _yaml("nodes: &x []\nvms: *x\n", "line 2, column 6", "*x is an alias"),
    "yaml-unknown-alias": _yaml("nodes: *x\nvms: []\n", "line 1, column 8", "*x is an alias"),
    "yaml-bomb": _yaml(
        "a: &a [x, x]\n" + "".join(f"b{i}: &b{i} [*b{i - 1}, *b{i - 1}]\n" for i in range(1, 99)), "line 2, column 10", "alias"
    ),
    "yaml-python-tag": _yaml("nodes: !!python/object/apply:os.getcwd []\n", "line 1, column 8", "python/object/apply:os.getcwd"),
    "yaml-own-tag": _yaml("nodes: []\nvms: !mine x\n", "line 2, column 6", "the tag '!mine' is refused"),
    "yaml-set": _yaml("nodes: !!set {a}\n", "line 1, column 8", "is refused"),
    "yaml-binary": _yaml("nodes: !!binary aGk=\n", "line 1, column 8", "is refused"),
    "yaml-two-documents": _yaml(good_yaml() + "---\nnodes: []\n", "line 6, column 1", "a second document begins"),
    "yaml-list-as-key": _yaml("nodes: []\n? [a]\n: 1\n", "line 1, column 1", "a mapping with a list or a mapping as a key"),
    "yaml-nested-too-deeply": _yaml("[" * 600, "line 1, column 501", "deeper than 500 levels"),
    "yaml-number-as-key": _yaml(good_yaml() + "5: 1\n", "", "unknown key 5"),
    "yaml-merge-key": _yaml("<<: {meta: {}}\n" + good_yaml(), "", "unknown key '<<'"),
    "yaml-vms-without-value": _yaml("nodes: []\nvms:\n", "vms", "None is not a list"),
    "yaml-name-number": _edited_yaml("name: a", "name: 100", "vms[0].name", "100 is not a string: quote it"),
    "yaml-name-no": _edited_yaml("name: a", "name: no", "vms[0].name", "False is not a string: quote it"),
    "yaml-name-on": _edited_yaml("name: a", "name: ON", "vms[0].name", "True is not a string: quote it"),
    "yaml-name-null": _edited_yaml("name: a", "name: ~", "vms[0].name", "None is not a string: quote it"),
    "yaml-name-float": _edited_yaml("name: a", "name: 1e3", "vms[0].name", "1000.0 is not a string: quote it"),
    "yaml-node-yes": _edited_yaml("node: n1", "node: yes", "vms[0].node", "True is not a string: quote it"),
    "yaml-memory-octal": _edited_yaml("8GiB", "0100", "vms[0].memory", "'0100' has no known unit: write 0100MiB"),
    "yaml-memory-sexagesimal": _edited_yaml("8GiB", "1:30", "vms[0].memory", "'1:30' is not memory"),
    "yaml-memory-nan": _edited_yaml("8GiB", ".nan", "vms[0].memory", "nan is not a whole number"),
    "yaml-memory-huge": _edited_yaml("8GiB", "9" * 5000, "vms[0].memory", "5000 digits"),
    "yaml-key-twice": _edited_yaml("name: a", "name: a, name: b", "vms[0].name", "stands twice"),
    "yaml-section-twice": _yaml(good_yaml() + "vms: []\n", "vms", "stands twice"),
    "yaml-date-nonsense": _yaml(good_yaml() + "date: 2026-13-45\n", "date", "'2026-13-45' is not an ISO date"),
    "yaml-running-text": _edited_yaml("node: n1", "running: 'yes'", "vms[0].running", "'yes' is neither true nor false"),
    "yaml-meta-infinity": _yaml(good_yaml() + "meta: {x: -.INF}\n", "meta.x", "-inf is not a number"),
    "yaml-not-utf-8": _yaml(b"nodes: []\nvms: [\xe9]\n", "line 2, column 7", "0xe9 is not UTF-8"),
}

BROKEN: Mapping[str, Broken] = {**_NOT_A_DOCUMENT, **_TOP, **_NODES, **_VMS, **_RULES, **_GUARANTEE, **_YAML}
"""By name; each has one flaw."""

MANY = {
    "format": 1,
    "vms": [
        {"name": "a", "memory": "8GB", "node": "n9", "running": 1},
        {"name": "b", "memory": 5, "node": "n2", "pool": "x"},
        {"name": "b", "memory": 5, "node": "n3"},
        {"memory": 5},
        "e",
    ],
    "rules": [
        {"kind": "apart", "vms": ["a", "z", "e"], "weight": 0},
        {"kind": "aprt", "vms": ["z"]},
        {"kind": "together", "vms": ["a", "b"], "nodes": ["n1"]},
        {"kind": "apart", "vms": []},
        {"kind": "apart", "vms": ["a", "a"]},
    ],
    "nodes": [{"name": "n1", "memroy": 5}, {"name": "n2", "memory": "64GiB", "reserve": "64GiB", "state": "on"}, 7],
    "guarantee": {"headroom": 2, "failure": 1},
    "colour": "red",
    "meta": {"x": [float("nan")]},
}
"""A document with much wrong, its nodes after its VMs."""

MANY_PLACES = [
    "",
    "vms[0].memory",
    "vms[0].node",
    "vms[0].running",
    "vms[1].node",
    "vms[2].name",
    "vms[2].node",
    "vms[3]",
    "vms[4]",
    "rules[0].weight",
    "rules[1].kind",
    "rules[2]",
    "rules[3].vms",
    "rules[4].vms[1]",
    "nodes[0]",
    "nodes[1].reserve",
    "nodes[1].state",
    "nodes[2]",
    "guarantee",
    "guarantee.headroom",
    "meta.x[0]",
]
"""All that must be said of `MANY`, in this order."""


def _folder(folder: Path) -> Path:
    path = folder / "folder.json"
    path.mkdir()
    return path


def _loop(folder: Path) -> Path:
    path = folder / "loop.json"
    path.symlink_to(path)
    return path


UNREADABLE: Mapping[str, Unreadable] = {
    "missing": Unreadable(lambda folder: folder / "missing.json", errno.ENOENT),
    "missing-folder": Unreadable(lambda folder: folder / "missing" / "x.yaml", errno.ENOENT),
    "folder": Unreadable(_folder, errno.EISDIR),
    "link-to-itself": Unreadable(_loop, errno.ELOOP),
    "name-too-long": Unreadable(lambda folder: folder / ("x" * 5000), errno.ENAMETOOLONG),
}
"""By name; root may read what others may not, so that a file without permissions is not among them."""
