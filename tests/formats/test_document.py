"""Documents: read, refused with all that is wrong, written, and read back."""

import io
import json
import os
import stat
import sys
import tracemalloc
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.corpus import BROKEN, MANY, MANY_PLACES, UNREADABLE, Broken, Unreadable, good, good_yaml
from vmplace.formats.document import dump, dumps, from_document, load, loads, to_document
from vmplace.model.cluster import Cluster
from vmplace.model.entities import VM, Apart, Node, NotOn, OnlyOn, Tag, Together
from vmplace.model.errors import Flaw, InputError
from vmplace.model.guarantee import Guarantee

yaml = pytest.importorskip("yaml")


def refused(text: str | bytes, form: Any = "json") -> tuple[Flaw, ...]:
    with pytest.raises(InputError) as caught:
        loads(text, form=form)
    return caught.value.flaws


class TestBroken:
    def test_corpus_is_large_and_its_base_is_good(self) -> None:
        assert len(BROKEN) > 150
        assert len(from_document(good()).vms) == 3
        assert len(loads(good_yaml(), form="yaml").vms) == 1

    @pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
    def test_one_flaw_with_its_place(self, broken: Broken, tmp_path: Path) -> None:
        path = broken.write(tmp_path)
        with pytest.raises(InputError) as caught:
            load(path)
        (flaw,) = caught.value.flaws
        assert flaw.place == broken.place
        assert broken.fragment in flaw.message
        assert len(str(flaw).splitlines()) == 1
        assert len(str(flaw)) < 250
        assert str(caught.value) == str(flaw)
        assert str(path) in caught.value.__notes__[0]

    @pytest.mark.parametrize("name", [name for name in BROKEN if BROKEN[name].suffix == ".yaml"])
    def test_pure_python_parser_refuses_the_same(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
        (flaw,) = refused(BROKEN[name].content, "yaml")
        if "not YAML" not in flaw.message:  # the two parsers word these differently
            assert flaw.place == BROKEN[name].place
            assert BROKEN[name].fragment in flaw.message

    @pytest.mark.parametrize("unreadable", UNREADABLE.values(), ids=UNREADABLE.keys())
    def test_what_cannot_be_opened_is_an_os_error(self, unreadable: Unreadable, tmp_path: Path) -> None:
        path = unreadable.make(tmp_path)
        with pytest.raises(OSError, match=r".") as caught:
            load(path)
        assert caught.value.errno == unreadable.number
        assert str(caught.value.filename) == str(path)

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
    def test_no_permission(self, tmp_path: Path) -> None:
        path = tmp_path / "secret.json"
        path.write_text("{}")
        path.chmod(0)
        with pytest.raises(PermissionError):
            load(path)

    def test_no_permission_for_root_either(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(path: str, mode: str) -> None:
            raise PermissionError(13, "Permission denied", path)

        monkeypatch.setattr("builtins.open", refuse)
        with pytest.raises(PermissionError, match=r"x\.json"):
            load("x.json")


class TestAllTogether:
    def test_every_flaw_in_document_order(self) -> None:
        flaws = refused(json.dumps(MANY))
        assert [flaw.place for flaw in flaws] == MANY_PLACES

    def test_the_same_in_yaml(self) -> None:
        flaws = refused(yaml.safe_dump(MANY, sort_keys=False), "yaml")
        assert [flaw.place for flaw in flaws] == MANY_PLACES

    def test_thousands_are_all_listed(self) -> None:
        vms = [{"name": f"v{i}", "memory": "1GB", "node": "gone"} for i in range(3000)]
        flaws = refused(json.dumps({"nodes": [], "vms": vms}))
        assert [flaw.place for flaw in flaws] == [f"vms[{i}].{key}" for i in range(3000) for key in ("memory", "node")]

    def test_mending_each_flaw_leaves_the_others(self) -> None:
        """What a flaw is found in is left out of the checks between the parts, and nothing else is."""
        document = good()
        document["vms"][1]["priority"] = "high"
        document["vms"][2]["node"] = "n9"
        document["rules"][0]["weight"] = -1
        places = ["vms[1].priority", "vms[2].node", "rules[0].weight"]
        assert [flaw.place for flaw in refused(json.dumps(document))] == places
        document["vms"][1]["priority"] = 1
        assert [flaw.place for flaw in refused(json.dumps(document))] == places[1:]
        document["rules"][0]["weight"] = 1
        assert [flaw.place for flaw in refused(json.dumps(document))] == places[1:2]
        document["vms"][2]["node"] = "n2"
        assert loads(json.dumps(document)).vms[2].node == "n2"

    @pytest.mark.parametrize(
        "node",
        [
            {"name": "n1", "memory": "8GB"},
            {"name": "n1", "memory": 8, "reserve": 8},
            {"name": "n1", "memory": 8, "pool": 5},
            {"name": "n1", "memory": 8, "poool": "x"},
            {"nmae": "n1", "memory": 8},
            {"name": "n1"},
            "n1",
        ],
    )
    def test_nothing_follows_from_an_unreadable_node(self, node: Any) -> None:
        vms = [{"name": "a", "memory": 1, "node": "n1", "pool": "x"}, {"name": "b", "memory": 1, "node": "n1", "pool": "x"}]
        rules = [{"kind": "only-on", "vms": ["a"], "nodes": ["n1"]}]
        flaws = refused(json.dumps({"nodes": [node], "vms": vms, "rules": rules}))
        right_pool = [flaw for flaw in flaws if not flaw.place.startswith("vms") or "in pool 'default'" not in flaw.message]
        assert {flaw.place.partition(".")[0] for flaw in right_pool} == {"nodes[0]"}

    def test_nothing_follows_from_an_unreadable_section(self) -> None:
        document = {**good(), "nodes": 5}
        assert [flaw.place for flaw in refused(json.dumps(document))] == ["nodes"]
        document = {**good(), "vms": None}
        assert [flaw.place for flaw in refused(json.dumps(document))] == ["vms"]

    def test_nothing_follows_from_an_unreadable_vm(self) -> None:
        document = good()
        document["vms"][0]["pool"] = 5
        assert [flaw.place for flaw in refused(json.dumps(document))] == ["vms[0].pool"]

    def test_a_name_is_taken_by_an_unreadable_entry_too(self) -> None:
        vms = [{"name": "a", "memory": 1, "pool": 5}, {"name": "a", "memory": 1}]
        assert [flaw.place for flaw in refused(json.dumps({"nodes": [], "vms": vms}))] == ["vms[0].pool", "vms[1].name"]

    @pytest.mark.parametrize(
        ("wrong", "place"),
        [
            ({"kind": "apart", "vms": ["a", "b"], "must": "yes"}, "rules[1].must"),
            ({"kind": "aprt", "vms": ["a", "b"]}, "rules[1].kind"),
            ({"kind": "aprt", "vms": ["a", "b"], "must": True}, "rules[1].kind"),
        ],
    )
    def test_no_contradiction_follows_from_an_unreadable_rule(self, wrong: Any, place: str) -> None:
        vms = [{"name": "a", "memory": 1}, {"name": "b", "memory": 1}]
        rules = [{"kind": "together", "vms": ["a", "b"]}, wrong]
        assert [flaw.place for flaw in refused(json.dumps({"nodes": [], "vms": vms, "rules": rules}))] == [place]

    def test_a_misspelt_key_beside_the_right_one(self) -> None:
        document = {"nodes": [], "vms": [{"name": "a", "nmae": "b", "memory": 1}], "rules": [{"kind": "apart", "vms": ["a"]}]}
        assert [flaw.place for flaw in refused(json.dumps(document))] == ["vms[0]"]

    def test_repeated_keys_are_listed_with_the_rest(self) -> None:
        text = '{"vms": [{"name": "a", "name": "b", "memory": 0}], "nodes": [], "meta": {"x": {"y": 1, "y": 2}}}'
        assert [flaw.place for flaw in refused(text)] == ["vms[0].name", "vms[0].memory", "meta.x.y"]

    def test_syntax_after_a_number_beyond_measure(self) -> None:
        (flaw,) = refused('{"nodes": [' + "9" * 5000 + "}")
        assert flaw.place == "line 1, column 5012"


class TestReading:
    def test_every_key(self) -> None:
        cluster = from_document(good())
        assert cluster.nodes[0] == Node(
            "n1",
            "64GiB",
            reserve=4096,
            domain="rack-a",
            tags=["gpu"],
            price=1.5,
            resources={"vcpu": 64},
            headroom=8192,
            max_vm={"memory": 32768, "vcpu": 16},
            meta={"a": 1},
        )
        assert cluster.vms[0] == VM(
            "a",
            8192,
            "n1",
            target="n2",
            movable=False,
            priority=3,
            tags=["db"],
            resources={"vcpu": 8},
            overhead=256,
            home="n2",
            used=2048,
        )
        assert [vm.memory for vm in cluster.vms] == [8192, 8192, 524288]
        assert cluster.rules == (
            Apart(["a", "b"], weight=2, during_failover=False, name="db"),
            Together(["b", "c"], must=False),
            OnlyOn(["a"], ["n1", "n2"]),
            NotOn(Tag("web"), Tag("gpu")),
        )
        assert cluster.guarantee == Guarantee(headroom=Fraction(1, 10))
        assert cluster.overcommit == {"vcpu": 4}
        assert (cluster.soft_resources, cluster.date, cluster.meta["site"]) == (("vcpu",), "2026-11-23", "x")

    def test_only_nodes_and_vms_are_required(self) -> None:
        assert from_document({"nodes": [], "vms": []}) == Cluster([], [])

    @pytest.mark.parametrize("version", [1, 1.0])
    def test_format(self, version: object) -> None:
        assert from_document({"format": version, "nodes": [], "vms": []}) == Cluster([], [])

    def test_byte_order_mark(self) -> None:
        expected = from_document(good())
        assert loads(b"\xef\xbb\xbf" + json.dumps(good()).encode()) == expected
        assert loads("\ufeff" + json.dumps(good()), form="json") == expected

    def test_line_ends_of_windows(self) -> None:
        assert loads(good_yaml().replace("\n", "\r\n"), form="yaml") == loads(good_yaml(), form="yaml")
        assert loads(json.dumps(good(), indent=1).replace("\n", "\r\n")) == from_document(good())

    @pytest.mark.parametrize("suffix", [".yaml", ".yml", ".YAML"])
    def test_suffix_says_yaml(self, suffix: str, tmp_path: Path) -> None:
        path = tmp_path / f"x{suffix}"
        path.write_text(good_yaml())
        assert load(path) == load(str(path)) == loads(good_yaml(), form="yaml")

    @pytest.mark.parametrize("form", ["json", "yaml", None])
    def test_json_is_yaml(self, form: Any) -> None:
        assert loads(json.dumps(good()), form=form) == from_document(good())

    def test_without_a_form_what_is_no_json_is_yaml(self) -> None:
        assert loads(good_yaml()) == loads(good_yaml(), form="yaml")

    @pytest.mark.parametrize(("text", "said"), [('{"nodes": [}', "not JSON"), ("nodes: [}", "not YAML"), ("[1, 2", "not JSON")])
    def test_without_a_form_the_error_is_that_of_the_likelier(self, text: str, said: str) -> None:
        (flaw,) = refused(text, None)
        assert said in flaw.message

    def test_yaml_scalars(self) -> None:
        numbers = "{a: 1, b: -2.5, c: 1e3, d: 0x10, e: 1_000, f: 010, g: 1:30, h: !!str 5, i: !!int 6}"
        others = "{a: yes, b: Off, c: ~, d: , e: 'no', f: 2026-11-23, g: y}"
        cluster = loads(f"{good_yaml()}meta: {{numbers: {numbers}, others: {others}}}\ndate: 2026-11-23\n", form="yaml")
        assert cluster.date == "2026-11-23"
        assert list(cluster.meta["numbers"].values()) == [1, -2.5, 1000.0, "0x10", "1_000", "010", "1:30", "5", 6]
        assert list(cluster.meta["others"].values()) == [True, False, None, None, "no", "2026-11-23", "y"]

    def test_yaml_with_a_header_and_comments(self) -> None:
        assert loads(f"# x\n%YAML 1.1\n---\n{good_yaml()}...\n", form="yaml") == loads(good_yaml(), form="yaml")

    def test_yaml_without_pyyaml(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "yaml", None)
        (flaw,) = refused(good_yaml(), "yaml")
        assert "pip install 'vmplace[yaml]'" in flaw.message
        (flaw,) = refused(good_yaml(), None)
        assert "pip install 'vmplace[yaml]'" in flaw.message
        assert loads(json.dumps(good())) == from_document(good())

    def test_yaml_without_the_c_parser(self, monkeypatch: pytest.MonkeyPatch) -> None:
        expected = from_document(good())
        monkeypatch.delattr(yaml, "CSafeLoader", raising=False)
        assert loads(dumps(expected, form="yaml"), form="yaml") == expected

    def test_stdin(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for text in (good_yaml(), json.dumps(good())):
            monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))
            assert load("-") == loads(text)
        monkeypatch.setattr("sys.stdin", io.StringIO(good_yaml()))
        assert load("-") == loads(good_yaml())

    def test_stdin_closed(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stdin", None)
        with pytest.raises(InputError, match="stdin is closed"):
            load("-")

    def test_names_stay_text_through_mappings_that_are_no_dict(self) -> None:
        from types import MappingProxyType

        document = {**good(), "nodes": [MappingProxyType(node) for node in good()["nodes"]], "vms": tuple(good()["vms"])}
        assert from_document(MappingProxyType(document)) == from_document(good())


class TestWriting:
    def test_defaults_are_left_out(self) -> None:
        cluster = Cluster([Node("n", 1024)], [VM("a", 1, running=False), VM("b", 2048, "n")])
        assert to_document(cluster) == {
            "format": 1,
            "nodes": [{"name": "n", "memory": "1GiB"}],
            "vms": [
                {"name": "a", "memory": "1MiB", "node": None, "running": False},
                {"name": "b", "memory": "2GiB", "node": "n", "running": True},
            ],
        }

    def test_all_that_is_no_default(self) -> None:
        cluster = Cluster(
            [
                Node(
                    "n", 1024, reserve=1, resources={"vcpu": 8}, price=1.25, tags=["b", "a"], state="maintenance", meta={"k": [1]}
                )
            ],
            [VM("a", 1, "n", protected=False, tags=["y", "x"], resources={"vcpu": 2}, meta={"z": 1})],
            [NotOn(Tag("x"), Tag("c"), must=False, weight=3, meta={"why": "x"}, name="r"), Apart(["a"], scope="domain")],
            Guarantee(failures=2, headroom=0.125),
            overcommit={"vcpu": 1.5},
            soft_resources=["vcpu"],
            date="2026-11-23",
            meta={"a": 1},
        )
        document = to_document(cluster)
        assert list(document) == ["format", "date", "meta", "nodes", "vms", "rules", "guarantee", "overcommit", "soft_resources"]
        assert document["nodes"] == [
            {
                "name": "n",
                "memory": "1GiB",
                "reserve": "1MiB",
                "state": "maintenance",
                "tags": ["a", "b"],
                "price": 1.25,
                "resources": {"vcpu": 8},
                "meta": {"k": [1]},
            }
        ]
        assert document["vms"][0]["tags"] == ["x", "y"]
        assert document["rules"] == [
            {
                "kind": "not-on",
                "name": "r",
                "vms": {"tag": "x"},
                "nodes": {"tag": "c"},
                "must": False,
                "weight": 3,
                "meta": {"why": "x"},
            },
            {"kind": "apart", "vms": ["a"], "scope": "domain"},
        ]
        assert [list(rule) for rule in document["rules"]] == [
            ["kind", "name", "vms", "nodes", "must", "weight", "meta"],
            ["kind", "vms", "scope"],
        ]
        assert (document["guarantee"], document["overcommit"]) == ({"failures": 2, "headroom": 0.125}, {"vcpu": 1.5})
        assert json.loads(json.dumps(document)) == document
        assert from_document(document) == cluster

    def test_amounts_are_written_with_their_unit_and_shares_without(self) -> None:
        cluster = Cluster(
            [
                Node("a", 4096, headroom=0.125, max_vm={"vcpu": 4, "memory": 2048}),
                Node("b", 4096, headroom=1024),
                Node("c", 9, resources={"vcpu": 8}),
            ],
            [VM("v", 1, overhead=1024, used=0, home="b", movable="cold"), VM("w", 1, movable=False)],
        )
        document = to_document(cluster)
        assert [list(node.items())[2:] for node in document["nodes"]] == [
            [("headroom", 0.125), ("max_vm", {"vcpu": 4, "memory": "2GiB"})],
            [("headroom", "1GiB")],
            [("resources", {"vcpu": 8})],
        ]
        assert [list(vm.items())[4:] for vm in document["vms"]] == [
            [("movable", "cold"), ("overhead", "1GiB"), ("home", "b"), ("used", "0MiB")],
            [("movable", False)],
        ]

    def test_one_line_to_each_entry(self) -> None:
        cluster = from_document(good())
        lines = dumps(cluster).splitlines()
        assert len([line for line in lines if line.startswith('    {"name": ')]) == 6
        assert len([line for line in lines if '"kind": ' in line]) == 4
        assert [line for line in dumps(cluster, form="yaml").splitlines() if "name: b" in line] == [
            "- {name: b, memory: 8GiB, node: null, running: true}"
        ]

    def test_changing_one_vm_changes_one_line(self) -> None:
        document = good()
        before = dumps(from_document(document)).splitlines()
        document["vms"][1]["memory"] = "9GiB"
        after = dumps(from_document(document)).splitlines()
        assert len(before) == len(after)
        assert sum(a != b for a, b in zip(before, after, strict=True)) == 1

    def test_text_is_written_as_it_is(self) -> None:
        cluster = Cluster([Node("nœud-ü", 1)], [])
        assert '"nœud-ü"' in dumps(cluster)
        assert '"nœud-ü"' in dumps(cluster, form="yaml")

    @pytest.mark.parametrize(
        "name",
        [
            "100",
            "no",
            "YES",
            "y",
            "null",
            "~",
            "1e3",
            "2026-11-23",
            "a: b",
            "a #b",
            "[x]",
            "&a",
            "*a",
            "!x",
            "-",
            " a ",
            "\x85",
            "0x1",
        ],
    )
    def test_pyyaml_reads_names_as_they_were(self, name: str) -> None:
        text = dumps(Cluster([Node(name, 1, meta={name: [name, 1e-7, 1e22, 5e-324]})], []), form="yaml")
        assert yaml.safe_load(text) == {
            "format": 1,
            "nodes": [{"name": name, "memory": "1MiB", "meta": {name: [name, 1e-7, 1e22, 5e-324]}}],
            "vms": [],
        }

    def test_long_keys_in_yaml(self) -> None:
        cluster = Cluster([], [], meta={"k" * 3000: {"é" * 3000: 1}})
        assert loads(dumps(cluster, form="yaml"), form="yaml") == cluster

    @pytest.mark.parametrize("value", [0.1, 0.30000000000000004, 1e-9, 123456.789, 2.5e-300, 3])
    def test_fractions_are_the_shortest_decimal(self, value: float) -> None:
        document = to_document(Cluster([Node("n", 1, price=value, resources={"x": 1})], [], overcommit={"x": value}))
        assert repr(document["nodes"][0]["price"]) == repr(document["overcommit"]["x"]) == repr(value)

    def test_what_is_no_decimal_is_refused_not_rounded(self, tmp_path: Path) -> None:
        third = Fraction(1, 3)
        nodes = [Node("n", 1, resources={"x": 1}), Node("m", 1, price=third)]
        cluster = Cluster(nodes, [], (), Guarantee(headroom=third), overcommit={"x": third})
        with pytest.raises(InputError) as caught:
            dump(cluster, tmp_path / "x.json")
        assert {flaw.place for flaw in caught.value.flaws} == {"nodes[1].price", "guarantee.headroom", "overcommit.x"}
        assert "give it as 0.3333333333333333" in str(caught.value)
        assert not list(tmp_path.iterdir())

    def test_columns(self, tmp_path: Path) -> None:
        columns = Cluster.from_arrays(
            node_memory=[1024, 2048], vm_memory=[1, 512, 7], vm_node=[1, -1, 0], guarantee=Guarantee(failures=0)
        )
        plain = Cluster(list(columns.nodes), list(columns.vms), (), columns.guarantee)
        assert to_document(columns) == to_document(plain)
        for name in ("x.json", "x.yaml"):
            dump(columns, tmp_path / name)
            assert load(tmp_path / name) == columns == plain

    def test_many_columns(self, tmp_path: Path) -> None:
        memory = np.arange(1, 20_001)
        columns = Cluster.from_arrays(node_memory=[10**6] * 100, vm_memory=memory, vm_node=memory % 100)
        dump(columns, tmp_path / "x.json")
        assert load(tmp_path / "x.json") == columns

    def test_written_line_by_line(self, tmp_path: Path) -> None:
        columns = Cluster.from_arrays(node_memory=[10**6] * 100, vm_memory=np.full(20_000, 8), vm_node=np.arange(20_000) % 100)
        tracemalloc.start()
        try:
            dump(columns, tmp_path / "x.json")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < (tmp_path / "x.json").stat().st_size / 2


class TestFiles:
    def test_round_trip(self, tmp_path: Path) -> None:
        cluster = from_document(good())
        for name in ("x.json", "x.yaml", "x.yml", "x", "x.txt"):
            dump(cluster, tmp_path / name)
            assert load(tmp_path / name) == cluster
            assert (tmp_path / name).read_bytes().startswith(b"format" if ".y" in name else b"{")

    def test_form_outranks_the_suffix(self, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        cluster = from_document(good())
        dump(cluster, tmp_path / "x.json", form="yaml")
        assert (tmp_path / "x.json").read_text() == dumps(cluster, form="yaml")
        dump(cluster, "-", form="yaml")
        assert capsys.readouterr().out == dumps(cluster, form="yaml")

    def test_stdout(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        cluster = Cluster([Node("ü", 1)], [])
        print("before")
        dump(cluster, "-")
        assert capsys.readouterr().out == "before\n" + dumps(cluster)
        monkeypatch.setattr("sys.stdout", io.StringIO())
        dump(cluster, "-")
        assert sys.stdout.getvalue() == dumps(cluster)  # type: ignore[attr-defined]

    def test_stdout_keeps_the_order(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO()))
        print("before")
        dump(Cluster([], []), "-")
        assert sys.stdout.buffer.getvalue().startswith(b"before\n{")  # type: ignore[attr-defined]

    def test_stdout_is_utf_8_whatever_the_terminal_is(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("sys.stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
        dump(Cluster([Node("ü", 1)], []), "-")
        assert "ü".encode() in sys.stdout.buffer.getvalue()  # type: ignore[attr-defined]

    def test_nothing_is_left_beside(self, tmp_path: Path) -> None:
        dump(from_document(good()), tmp_path / "x.json")
        assert [path.name for path in tmp_path.iterdir()] == ["x.json"]

    @pytest.mark.parametrize("at", ["os.replace", "os.chmod"])
    def test_a_failure_leaves_the_old_file(self, at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "x.json"
        path.write_text("old")

        def fail(*_: object) -> None:
            raise OSError(28, "No space left on device", "somewhere")

        monkeypatch.setattr(at, fail)
        with pytest.raises(OSError, match="No space left") as caught:
            dump(from_document(good()), path)
        assert caught.value.filename == str(path)
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]

    def test_an_interrupt_leaves_the_old_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "x.json"
        path.write_text("old")

        def interrupt(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("os.replace", interrupt)
        with pytest.raises(KeyboardInterrupt):
            dump(from_document(good()), path)
        assert list(tmp_path.iterdir()) == [path]
        assert path.read_text() == "old"

    def test_permissions_are_kept(self, tmp_path: Path) -> None:
        path = tmp_path / "x.json"
        path.touch()
        path.chmod(0o640)
        dump(from_document(good()), path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640

    def test_permissions_of_a_new_file_are_the_usual(self, tmp_path: Path) -> None:
        (tmp_path / "usual").touch()
        dump(from_document(good()), tmp_path / "x.json")
        assert (tmp_path / "x.json").stat().st_mode == (tmp_path / "usual").stat().st_mode

    def test_a_link_is_followed(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        link = tmp_path / "link.json"
        link.symlink_to(tmp_path / "real" / "x.json")
        for _ in range(2):
            dump(from_document(good()), link)
            assert link.is_symlink()
            assert load(tmp_path / "real" / "x.json") == from_document(good())

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
    def test_a_pipe_is_written_to_and_not_replaced(self, tmp_path: Path) -> None:
        path = tmp_path / "pipe"
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            dump(Cluster([], []), path)
            assert loads(os.read(reader, 10_000)) == Cluster([], [])
        finally:
            os.close(reader)
        assert stat.S_ISFIFO(path.stat().st_mode)

    def test_missing_folder_names_the_file_asked_for(self, tmp_path: Path) -> None:
        path = tmp_path / "missing" / "x.json"
        with pytest.raises(FileNotFoundError) as caught:
            dump(from_document(good()), path)
        assert caught.value.filename == str(path)

    def test_a_folder_is_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(IsADirectoryError) as caught:
            dump(from_document(good()), tmp_path)
        assert caught.value.filename == str(tmp_path)
        assert not list(tmp_path.iterdir())

    def test_long_names(self, tmp_path: Path) -> None:
        path = tmp_path / ("x" * 250 + ".json")
        dump(from_document(good()), path)
        assert load(path) == from_document(good())


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
names = texts.filter(lambda text: text and "+" not in text)
words = st.one_of(names, st.sampled_from(["no", "100", "on", "null", "a", "db-1", "1.5", "8GiB", "~", "2026-11-23", "-", "? x"]))
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts | words, inner, max_size=3),
    max_leaves=6,
)
metas = st.dictionaries(texts | words, plain, max_size=2)
numbers = st.floats(1e-12, 1e9) | st.integers(1, 1000)
resources = st.dictionaries(words.filter(lambda word: word != "memory"), st.integers(0, 10**9), max_size=2)
tags = st.sets(words, max_size=3)


@st.composite
def documented(draw: st.DrawFn) -> Cluster:
    """Clusters with every key of a document, in no way sensible."""
    pools = draw(st.lists(words, min_size=1, max_size=2, unique=True))
    nodes = [draw(_nodes(name, pools)) for name in draw(st.lists(words, max_size=3, unique=True))]
    vms = [draw(_vms(name, pools, nodes)) for name in draw(st.lists(words, max_size=4, unique=True))]
    present = sorted({name for node in nodes for name in node.resources})
    named, most = (st.sampled_from(present), 2) if present else (st.nothing(), 0)
    nodes = [evolve(node, max_vm=draw(st.dictionaries(named, st.integers(0, 9), max_size=most))) for node in nodes]
    unmistakable = {node.name for node in nodes}.isdisjoint(node.domain for node in nodes)
    return Cluster(
        nodes,
        vms,
        [draw(_rules(vms, nodes)) for _ in range(draw(st.integers(0, 2)) if vms else 0)],
        Guarantee(
            failures=draw(st.integers(0, 3)),
            scope=draw(st.sampled_from(["node", "domain"])) if unmistakable else "node",
            restart=draw(st.sampled_from(["planned", "any-order"])),
            policy=draw(st.sampled_from([None, "most-free"])),
            headroom=draw(st.floats(0, 1, exclude_max=True)),
            meta=draw(metas),
        ),
        overcommit=draw(st.dictionaries(named, numbers, max_size=most)),
        soft_resources=draw(st.lists(named, max_size=most, unique=True)),
        date=draw(st.none() | st.dates() | st.datetimes()),
        meta=draw(metas),
    )


def _nodes(name: str, pools: list[str]) -> st.SearchStrategy[Node]:
    return st.builds(
        Node,
        st.just(name),
        st.integers(1000, 2**26),
        reserve=st.integers(0, 999),
        state=st.sampled_from(["online", "maintenance", "offline"]),
        domain=st.none() | words,
        pool=st.sampled_from(pools),
        tags=tags,
        price=numbers,
        resources=resources,
        headroom=st.none() | st.integers(0, 1) | st.floats(0, 1, exclude_max=True),
        meta=metas,
    )


def _vms(name: str, pools: list[str], nodes: list[Node]) -> st.SearchStrategy[VM]:
    flags: dict[str, Any] = {key: st.booleans() for key in ("running", "protected", "evictable")}
    flags |= {"movable": st.sampled_from([True, False, "cold"]), "overhead": st.integers(0, 2**26)}
    flags |= {"home": st.none() | words, "used": st.none() | st.integers(0, 2**26)}

    def within(pool: str) -> st.SearchStrategy[VM]:
        hosts = [node.name for node in nodes if node.pool == pool]
        host = st.sampled_from([None, *hosts])
        more = {"priority": st.integers(-99, 99), "pool": st.just(pool), "tags": tags, "resources": resources, "meta": metas}
        return host.flatmap(
            lambda node: st.builds(
                VM,
                st.just(name),
                st.integers(1, 2**26),
                st.just(node),
                target=st.sampled_from([None, *hosts]) if node else st.none(),
                **flags,
                **more,
            )
        )

    return st.sampled_from(pools).flatmap(within)


def _rules(vms: list[VM], nodes: list[Node]) -> st.SearchStrategy[Any]:
    members = st.lists(st.sampled_from([vm.name for vm in vms]), min_size=1, unique=True) | st.builds(Tag, words)
    hosts: st.SearchStrategy[Any] = st.builds(Tag, words)
    if nodes:
        hosts |= st.lists(st.sampled_from([node.name for node in nodes]), min_size=1, unique=True)
    common = {"must": st.just(False), "weight": st.integers(1, 99), "during_failover": st.booleans(), "meta": metas}
    common["name"] = st.none() | words
    return st.one_of(
        st.builds(Apart, members, scope=st.sampled_from(["node", "domain"]), **common),
        st.builds(Together, members, **common),
        st.builds(OnlyOn, members, hosts, **common),
        st.builds(NotOn, members, hosts, **common),
    )


class TestProperties:
    @given(documented())
    def test_json_round_trip(self, cluster: Cluster) -> None:
        text = dumps(cluster)
        assert loads(text, form="json") == cluster
        assert json.loads(text) == to_document(cluster)

    @given(documented())
    def test_yaml_round_trip(self, cluster: Cluster) -> None:
        assert loads(dumps(cluster, form="yaml"), form="yaml") == cluster

    @given(documented())
    @settings(max_examples=20)
    def test_pyyaml_reads_the_same(self, cluster: Cluster) -> None:
        assert yaml.safe_load(dumps(cluster, form="yaml")) == to_document(cluster)

    @given(documented())
    @settings(max_examples=20)
    def test_writing_is_stable(self, cluster: Cluster) -> None:
        for form in ("json", "yaml"):
            text = dumps(cluster, form=form)  # type: ignore[arg-type]
            assert dumps(loads(text), form=form) == text  # type: ignore[arg-type]

    @given(st.recursive(plain, lambda inner: st.dictionaries(st.sampled_from(sorted(good())), inner), max_leaves=8))
    def test_any_value_is_read_or_refused(self, value: object) -> None:
        _survives(value)

    @given(st.data())
    def test_any_change_is_read_or_refused(self, data: st.DataObject) -> None:
        document = good()
        for _ in range(data.draw(st.integers(1, 3))):
            part: Any = document
            while isinstance(part, dict | list) and part:
                key = data.draw(st.sampled_from(sorted(part) if isinstance(part, dict) else range(len(part))))
                if not isinstance(part[key], dict | list) or data.draw(st.booleans()):
                    part[key] = data.draw(plain | st.floats())
                    break
                part = part[key]
        _survives(document)

    @given(st.binary(max_size=60) | st.text(max_size=60), st.sampled_from(["json", "yaml", None]))
    def test_any_text_is_read_or_refused(self, text: str | bytes, form: Any) -> None:
        try:
            loads(text, form=form)
        except InputError as error:
            _one_line_each(error)

    @given(st.integers(0, len(json.dumps(good()))), st.sampled_from('{}[],:"0-nt&*!\t\0'))
    def test_any_slip_in_the_text_is_read_or_refused(self, at: int, slip: str) -> None:
        text = json.dumps(good())
        for form in ("json", "yaml"):
            try:
                loads(text[:at] + slip + text[at + 1 :], form=form)  # type: ignore[arg-type]
            except InputError as error:
                _one_line_each(error)


def _survives(document: object) -> None:
    try:
        cluster = from_document(document)
    except InputError as error:
        _one_line_each(error)
    else:
        assert loads(dumps(cluster)) == cluster


def _one_line_each(error: InputError) -> None:
    assert error.flaws
    assert all(len(str(flaw).splitlines()) == 1 for flaw in error.flaws)
