"""The command line, as processes where that matters and in this process elsewhere."""

import copy
import json
import os
import signal
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import pytest

import vmplace
from tests.support.corpus import BROKEN, MANY, MANY_PLACES, UNREADABLE
from vmplace.cli import main
from vmplace.formats.document import to_document
from vmplace.synthetic import generate

EXAMPLES = Path(__file__).parents[2] / "examples"
COMMANDS = (
    *("check", "show", "explain", "place", "repair", "drain", "admit", "headroom", "size", "trend"),
    *("audit", "convert", "generate"),
)
RESULT_KEYS = {
    *("status", "guarantee", "placement", "failover", "unprotected", "violations", "waiting"),
    *("objective", "migrations", "powered", "drained", "method", "stats"),
}

SAFE = {
    "format": 1,
    "nodes": [{"name": f"n{i}", "memory": "64GiB"} for i in (1, 2, 3)],
    "vms": [{"name": f"vm{i}", "memory": "16GiB", "node": f"n{i}"} for i in (1, 2, 3)],
}
WAITING = {**SAFE, "vms": [*SAFE["vms"], {"name": "new", "memory": "16GiB"}]}
HOPELESS = {
    **SAFE,
    "vms": [{"name": "huge", "memory": "48GiB", "node": "n1"}, *({"name": f"x{i}", "memory": "48GiB"} for i in (2, 3))],
}
FRAGMENTED = json.loads((EXAMPLES / "looks-safe.json").read_text())


def process(*arguments, **options):
    """Run the command line as a process of its own."""
    return subprocess.run([sys.executable, "-m", "vmplace", *map(str, arguments)], capture_output=True, timeout=120, **options)


def start(*arguments, **options):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen([sys.executable, "-m", "vmplace", *map(str, arguments)], **pipes)


@pytest.fixture
def run(capsys):
    """Run the command line in this process: exit status, stdout and stderr."""

    def run(*arguments):
        status = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return status, out, err

    return run


@pytest.fixture
def write(tmp_path):
    """Write a document to a file."""

    def write(document, name="cluster.json"):
        path = tmp_path / name
        path.write_text(json.dumps(document))
        return path

    return write


def strict(text):
    """Parse JSON as a strict reader does."""

    def refuse(constant):
        raise ValueError(constant)

    return json.loads(text, parse_constant=refuse)


# What is there


def test_help_names_every_command(run):
    status, out, _ = run("--help")
    assert status == 0
    assert all(command in out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command, run):
    status, out, err = run(command, "--help")
    assert status == 0
    assert out.startswith(f"Usage: vmplace {command}")
    assert not err


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("check", "--compare --time-limit --json --all"),
        ("show", "--time-limit --json --all"),
        (
            "place",
            "--objective --method --time-limit --seed --deterministic --move-running --best-effort --max-moves --max-migrated",
        ),
        ("place", "--json --output"),
        ("repair", "--method --time-limit --seed --deterministic --best-effort --max-moves --max-migrated --json --output"),
        ("audit", "--json"),
        ("convert", "--output --to"),
        ("generate", "--nodes --node-memory --fill --profile --seed --placed --mixed --output"),
    ],
)
def test_options_bear_the_names_of_the_keywords(command, options, run):
    _, out, _ = run(command, "--help")
    assert all(option in out for option in options.split())


def test_version(run):
    assert run("--version")[:2] == (0, f"vmplace, version {version('vmplace')}\n")


def loaded(action):
    """Which of what is slow to load an action loads."""
    code = "import sys, vmplace, vmplace.cli; {}; print(*sorted({{'ortools', 'pandas', 'rich', 'yaml'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code.format(action)], capture_output=True, text=True, timeout=60)
    assert not done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("action", ["pass", "vmplace.cli.main(['place', '--help'])"])
def test_the_package_and_the_help_load_no_solver(action):
    assert loaded(action) == ""


@pytest.mark.parametrize(("command", "placed"), [("check", "none"), ("place", "none"), ("place", "worst-fit")])
def test_many_nodes_that_need_no_search_load_no_solver(command, placed, write):
    path = write(to_document(generate(nodes=600, fill=0.3, placed=placed, profile="flavors")))
    assert loaded(f"vmplace.cli.main([{command!r}, {str(path)!r}])") == "rich"


# Bad usage


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["check"], "Missing argument 'FILE'"),
        (["check", "a", "b"], "unexpected extra argument"),
        (["check", "{safe}", "-o", "x"], "No such option"),
        (["check", "{safe}", "--time-limit", "-1"], "--time-limit"),
        (["check", "{safe}", "--time-limit", "nan"], "--time-limit"),
        (["check", "{safe}", "--time-limit", "soon"], "--time-limit"),
        (["place", "{safe}", "--objective", "beauty"], "'beauty' is not one of balance"),
        (["place", "{safe}", "--objective", "moves,"], "'' is not one of"),
        (["place", "{safe}", "--objective", "moves,moves"], "--objective"),
        (["place", "{safe}", "--method", "magic"], "--method"),
        (["place", "{safe}", "--max-moves", "-1"], "--max-moves"),
        (["place", "{safe}", "--max-migrated", "8GB"], "write 8GiB"),
        (["place", "{safe}", "--seed", "x"], "--seed"),
        (["place", "{safe}", "--json", "-o", "-"], "both write to stdout"),
        (["repair", "{safe}", "--objective", "balance:x"], "--objective: 'x' is not a slack for balance"),
        (["convert", "{safe}", "--to", "xml"], "--to"),
        (["convert", "{safe}", "--to", "yaml", "-o", "x.json"], "--to is for stdout"),
        (["generate"], "--nodes"),
        (["generate", "--nodes", "1"], "--nodes: 1 is not within"),
        (["generate", "--nodes", "4", "--node-memory", "512GB"], "write 512GiB"),
        (["generate", "--nodes", "4", "--fill", "90"], "--fill: 90"),
        (["generate", "--nodes", "4", "--fill", "nan"], "--fill"),
        (["generate", "--nodes", "4", "--profile", "aws"], "--profile"),
        (["audit", "{safe}"], "Missing argument 'RESULT'"),
        (["audit", "-", "-"], "cannot both be stdin"),
    ],
)
def test_bad_usage_is_one_line_and_status_2(arguments, words, run, write):
    safe = str(write(SAFE))
    status, out, err = run(*(argument.replace("{safe}", safe) for argument in arguments))
    assert status == 2
    assert not out
    assert words in err
    assert len(err.splitlines()) == 1


def test_nothing_at_all_shows_the_help_and_is_status_2(run):
    status, out, err = run()
    assert status == 2
    assert not out
    assert "Usage: vmplace" in err


# Bad input


@pytest.mark.parametrize("command", ["check", "show", "place", "repair", "convert"])
def test_a_missing_file_is_named(command, run, tmp_path):
    path = tmp_path / "absent.json"
    assert run(command, path) == (2, "", f"{path}: No such file or directory\n")


def test_a_directory_is_no_document(run, tmp_path):
    status, _, err = run("check", tmp_path)
    assert status == 2
    assert err == f"{tmp_path}: Is a directory\n"


def test_each_flaw_has_a_line_with_its_place(run, write):
    document = copy.deepcopy(SAFE)
    document["vms"][1]["memory"] = "8GB"
    document["vms"][2]["node"] = "n9"
    document["nodes"][0]["sate"] = "online"
    path = write(document)
    status, out, err = run("check", path)
    lines = err.splitlines()
    assert status == 2
    assert not out
    assert len(lines) == 3
    assert all(line.startswith(f"{path}: ") for line in lines)
    assert any("vms[1].memory" in line and "write 8GiB" in line for line in lines)
    assert any("vms[2].node" in line and "'n9'" in line for line in lines)
    assert any("nodes[0]" in line and "sate" in line for line in lines)


def test_very_many_flaws_are_shortened(run, write):
    path = write({**SAFE, "vms": [{"name": f"v{i}", "memory": 0} for i in range(53)]})
    lines = run("check", path)[2].splitlines()
    assert len(lines) == 21
    assert lines[-1] == f"{path}: ... and 33 more"


def test_control_characters_never_reach_the_terminal(run, write):
    path = write({**SAFE, "rules": [{"kind": "together", "vms": ["\x1b[2J", "a\nb"]}], "\x1b]0;x\x07": 1})
    status, _, err = run("check", path)
    assert status == 2
    assert not set(err) & {"\x1b", "\x07"}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN.keys())
def test_every_broken_document_is_refused_in_a_readable_line(broken, run, tmp_path):
    path = broken.write(tmp_path)
    status, out, err = run("check", path)
    assert (status, out) == (2, "")
    (line,) = err.splitlines()
    assert line.startswith(f"{path}: {broken.place}")
    assert line.isprintable()
    assert len(line) < len(str(path)) + 400


@pytest.mark.parametrize("name", list(BROKEN)[::60])
def test_broken_documents_in_a_process_of_their_own(name, tmp_path):
    path = BROKEN[name].write(tmp_path)
    for arguments in (["show", path], ["convert", path, "-o", tmp_path / "out.json"]):
        done = process(*arguments)
        assert (done.returncode, done.stdout) == (2, b"")
        assert done.stderr.count(b"\n") == 1
    assert not (tmp_path / "out.json").exists()


@pytest.mark.parametrize("unreadable", UNREADABLE.values(), ids=UNREADABLE.keys())
def test_what_cannot_be_read_is_named(unreadable, run, tmp_path):
    path = unreadable.make(tmp_path)
    assert run("check", path) == (2, "", f"{path}: {os.strerror(unreadable.number)}\n")


def test_much_wrong_at_once(run, write):
    path = write(MANY)
    lines = run("check", path)[2].splitlines()
    assert len(lines) == 21
    assert all(line.startswith(f"{path}: {place}") for line, place in zip(lines, MANY_PLACES[:20], strict=False))
    assert lines[-1] == f"{path}: ... and {len(MANY_PLACES) - 20} more"


# check and show


@pytest.mark.parametrize(
    ("document", "status", "verdict"), [(SAFE, 0, "safe"), (FRAGMENTED, 1, "unsafe"), (WAITING, 1, "unsafe")]
)
def test_check_says_whether_it_is_safe(document, status, verdict, run, write):
    path = write(document)
    got, out, err = run("check", path)
    assert (got, err) == (status, "")
    assert out.startswith(verdict.upper())
    got, out, err = run("check", path, "--json")
    assert (got, err) == (status, "")
    report = strict(out)
    assert set(report) >= RESULT_KEYS
    assert report["status"] == report["guarantee"] == verdict


@pytest.mark.parametrize("name", ["safe.yaml", "looks-safe.json", "impossible.json"])
def test_check_compares_with_others_policies_and_its_verdict_stays(name, run):
    status, plain, _ = run("check", EXAMPLES / name)
    got, out, err = run("check", EXAMPLES / name, "--compare")
    assert (got, err) == (status, "")
    verdict = plain.splitlines()[0]
    assert out.startswith(verdict)
    assert out.endswith(plain.removeprefix(verdict + "\n")) or status == 0  # what to do next comes last
    assert "sum of survivors   VergeOS, Ansible   safe " in out
    got, out, _ = run("check", EXAMPLES / name, "--compare", "--json")
    told, usual = strict(out), strict(run("check", EXAMPLES / name, "--json")[1])
    assert got == status
    assert list(told.pop("comparison")[0]) == ["policy", "source", "says", "wrong", "reason"]
    assert {**told, "stats": None} == {**usual, "stats": None}


def test_check_names_what_cannot_restart(run):
    status, out, _ = run("check", EXAMPLES / "looks-safe.json")
    assert status == 1
    assert "erp-db" in out
    assert "esx-1" in out


@pytest.mark.parametrize("document", [SAFE, FRAGMENTED, WAITING])
def test_show_answers_with_status_0(document, run, write):
    status, out, err = run("show", write(document))
    assert (status, err) == (0, "")
    assert all(node["name"] in out for node in document["nodes"])
    assert "\x1b" not in out


def test_show_as_json_is_the_report(run, write):
    path = write(SAFE)
    status, out, _ = run("show", path, "--json")
    assert status == 0
    assert strict(out)["placement"] == {"vm1": "n1", "vm2": "n2", "vm3": "n3"}


def test_show_shortens_many_nodes(run, tmp_path):
    path = tmp_path / "many.json"
    vmplace.dump(generate(nodes=60, fill=0.3, placed="worst-fit"), path)
    assert "40 more nodes" in run("show", path)[1]
    assert "more nodes" not in run("show", path, "--all")[1]


# place and repair


def test_place_starts_what_waits(run, write, tmp_path):
    output = tmp_path / "placed.json"
    status, out, err = run("place", write(WAITING), "-o", output)
    assert (status, err) == (0, "")
    assert "SAFE" in out
    assert "starts on" in out
    assert run("check", output)[0] == 0


def test_place_as_json(run, write):
    status, out, _ = run("place", write(WAITING), "--json")
    result = strict(out)
    assert status == 0
    assert set(result) >= RESULT_KEYS
    assert result["status"] in ("optimal", "feasible")
    assert result["placement"]["vm1"] == "n1"
    assert result["placement"]["new"] in ("n1", "n2", "n3")
    assert set(result["objective"]) == {"name", "value", "bound", "gap"}


@pytest.mark.parametrize(
    "options",
    [
        ["--objective", "moves"],
        ["--objective", "consolidate"],
        ["--objective", "consolidate,balance", "--move-running"],
        ["--method", "exact", "--seed", "3", "--deterministic"],
        ["--method", "greedy"],
        ["--time-limit", "20", "--best-effort"],
        ["--move-running", "--max-moves", "1"],
        ["--move-running", "--max-migrated", "16GiB"],
        ["--max-migrated", "0"],
        ["--max-migrated", "16384"],
    ],
)
def test_every_option_of_place(options, run, write):
    status, out, err = run("place", write(WAITING), "--json", *options)
    assert (status, err) == (0, "")
    assert strict(out)["guarantee"] == "safe"


def test_several_objectives_have_lists(run, write):
    result = strict(run("place", write(WAITING), "--json", "--objective", "moves,balance")[1])
    assert result["objective"]["name"] == ["moves", "balance"]
    assert len(result["objective"]["value"]) == 2


def test_repair_mends_with_a_small_migration(run, write, tmp_path):
    output = tmp_path / "repaired.yaml"
    status, out, err = run("repair", write(FRAGMENTED), "-o", output)
    assert (status, err) == (0, "")
    assert "moves: 24 GiB migrated (proved" in out
    assert run("check", output)[0] == 0
    result = strict(run("repair", write(FRAGMENTED), "--json")[1])
    assert (result["status"], result["objective"]["value"]) == ("optimal", 24 * 1024)


@pytest.mark.parametrize("command", ["place", "repair"])
def test_what_is_infeasible_is_status_1_and_writes_nothing(command, run, write, tmp_path):
    output = tmp_path / "never.json"
    path = write(HOPELESS)
    status, out, _ = run(command, path, "-o", output)
    assert status == 1
    assert out.startswith("INFEASIBLE: ")
    assert not output.exists()
    assert strict(run(command, path, "--json")[1])["placement"] is None


def test_nothing_is_written_over_without_a_placement(run, write, tmp_path):
    output = tmp_path / "kept.json"
    output.write_text("precious")
    assert run("repair", write(HOPELESS), "-o", output)[0] == 1
    assert output.read_text() == "precious"


def test_best_effort_that_is_not_safe_is_status_4_and_is_written(run, write, tmp_path):
    output = tmp_path / "effort.json"
    status, out, _ = run("repair", write(HOPELESS), "--best-effort", "-o", output)
    assert status == 4
    assert out.startswith("UNSAFE: ")
    assert all(vm["node"] for vm in json.loads(output.read_text())["vms"])


def test_the_input_may_be_written_over(run, write):
    path = write(FRAGMENTED)
    assert run("repair", path, "-o", path)[0] == 0
    assert run("check", path)[0] == 0


def test_the_document_on_stdout_leaves_the_report_to_stderr(run, write):
    status, out, err = run("repair", write(FRAGMENTED), "-o", "-")
    assert status == 0
    assert strict(out)["format"] == 1
    assert err.startswith("SAFE: ")


# audit


def saved(run, tmp_path, command, document_path, *options):
    path = tmp_path / f"{command}-result.json"
    path.write_text(run(command, document_path, "--json", *options)[1])
    return path


@pytest.mark.parametrize("command", ["check", "place", "repair"])
def test_audit_agrees_with_what_was_saved(command, run, write, tmp_path):
    path = write(SAFE)
    result = saved(run, tmp_path, command, path)
    assert run("audit", path, result)[::2] == (0, "")
    told = strict(run("audit", path, result, "--json")[1])
    assert (told["status"], told["guarantee"], told["violations"]) == ("confirmed", "safe", [])


def test_audit_minds_the_nodes_left_on(run, write, tmp_path):
    path = write(WAITING)
    result = saved(run, tmp_path, "place", path, "--objective", "consolidate", "--move-running")
    assert run("audit", path, result)[0] == 0
    document = json.loads(result.read_text())
    assert len(document["powered"]) == 2
    result.write_text(json.dumps({**document, "powered": document["powered"][:1]}))
    assert run("audit", path, result)[0] == 1


def tampered(result, change):
    document = json.loads(result.read_text())
    change(document)
    result.write_text(json.dumps(document))
    return result


@pytest.mark.parametrize(
    "change",
    [
        lambda result: result["placement"].update(vm1="n2"),
        lambda result: result["placement"].pop("vm1"),
        lambda result: result["placement"].update(vm1="n9"),
        lambda result: result["placement"].update(ghost="n1"),
        lambda result: result["failover"]["n1"].update(vm1="n1"),
        lambda result: result["failover"]["n1"].pop("vm1"),
        lambda result: result["failover"].pop("n1"),
        lambda result: result["failover"].update(n9={"vm1": "n2"}),
        lambda result: result["unprotected"].append({"scenario": "n1", "vms": ["vm1"], "reason": "", "minimal": False}),
        lambda result: result["unprotected"].append({"scenario": "n1", "vms": ["ghost"], "reason": "", "minimal": False}),
        lambda result: result["unprotected"].append({"scenario": "n1", "vms": ["vm2"], "reason": "", "minimal": False}),
        lambda result: result.update(status="infeasible"),
        lambda result: result.update(placement=None),
    ],
)
def test_audit_finds_every_lie(change, run, write, tmp_path):
    path = write(SAFE)
    result = tampered(saved(run, tmp_path, "check", path), change)
    status, out, err = run("audit", path, result)
    assert (status, err) == (1, "")
    assert out.strip()
    assert strict(run("audit", path, result, "--json")[1])["status"] == "refuted"


def test_an_unsafe_result_that_is_right_is_confirmed(run, write, tmp_path):
    path = write(FRAGMENTED)
    status, out, _ = run("audit", path, saved(run, tmp_path, "check", path))
    assert status == 0
    assert out.startswith("RIGHT: every claim that can be verified holds; the result says unsafe\n")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("{", "line 1, column 2: not JSON"),
        ("[]", "is not a mapping"),
        ("{}", "has no placement"),
        ('{"placement": {}, "placement": {}}', "placement: stands twice"),
        ('{"placement": []}', "placement: [] is not a mapping"),
        ('{"placement": {"vm1": 7}}', "placement.vm1: 7 is not a string"),
        ('{"placement": {}, "failover": {"n1": 3}}', "failover.n1: 3 is not a mapping"),
        ('{"placement": {}, "powered": "n1"}', "powered: 'n1' is not a list"),
        ('{"placement": {}, "unprotected": {}}', "unprotected: {} is not a list"),
        ('{"placement": {}, "unprotected": [5]}', "unprotected[0]: 5 is not a mapping"),
        ('{"placement": {}, "unprotected": [{}]}', "unprotected[0].scenario: is missing"),
        ('{"placement": {}, "unprotected": [{"scenario": "n1", "vms": ["a", 7]}]}', "unprotected[0].vms[1]: 7 is not a string"),
        ('{"placement": {"vm1": ' + "9" * 5000 + "}}", "is not a string"),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_a_result_that_is_none_is_status_2(text, words, run, write, tmp_path):
    result = tmp_path / "result.json"
    result.write_text(text)
    status, out, err = run("audit", write(SAFE), result)
    assert (status, out) == (2, "")
    assert err.startswith(f"{result}: ")
    assert words in err
    assert len(err.splitlines()) == 1


# convert


def test_convert_there_and_back(run, write, tmp_path):
    yaml, back = tmp_path / "a.yaml", tmp_path / "b.json"
    path = write({**SAFE, "meta": {"note": "ünïcode"}, "rules": [{"kind": "apart", "vms": ["vm1", "vm2"]}]})
    assert run("convert", path, "-o", yaml) == (0, "", "")
    assert run("convert", yaml, "-o", back) == (0, "", "")
    assert vmplace.load(back) == vmplace.load(path) == vmplace.load(yaml)
    assert not yaml.read_text().startswith("{")


def test_convert_to_stdout(run, write):
    path = write(SAFE)
    assert strict(run("convert", path)[1]) == strict(run("convert", path, "--to", "json")[1])
    assert "nodes:" in run("convert", path, "--to", "yaml")[1]


# generate


def test_generate_is_the_function(run, tmp_path):
    drawn = ["--profile", "flavors", "--fill", "0.8", "--seed", "7"]
    options = ["--nodes", "8", "--node-memory", "256GiB", *drawn, "--placed", "worst-fit", "--mixed"]
    path = tmp_path / "g.json"
    assert run("generate", *options, "-o", path) == (0, "", "")
    wanted = generate(nodes=8, node_memory="256GiB", fill=0.8, profile="flavors", seed=7, placed="worst-fit", mixed=True)
    loaded = vmplace.load(path)
    assert loaded.meta == wanted.meta
    assert list(loaded.vms) == list(wanted.vms)
    assert strict(run("generate", *options)[1]) == json.loads(path.read_text())


def test_generate_takes_memory_in_mib(run):
    assert strict(run("generate", "--nodes", "2", "--node-memory", "131072")[1])["nodes"]


# Streams


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_stdin_may_be_json_or_yaml(form, run, write):
    text = run("convert", write(SAFE), "--to", form)[1]
    done = process("check", "-", input=text.encode())
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"SAFE")


def test_flaws_of_stdin_name_it():
    done = process("check", "-", input=b'{"nodes": [{"name": "a", "memory": 0}], "vms": []}')
    assert done.returncode == 2
    assert done.stderr.startswith(b"stdin: nodes[0].memory: 0 is not above zero")


def test_a_pipeline_of_the_three():
    made = process("generate", "--nodes", 6, "--profile", "flavors", "--fill", 0.7)
    placed = process("place", "-", "-o", "-", "--time-limit", 20, input=made.stdout)
    assert placed.returncode == 0
    assert process("check", "-", input=placed.stdout).returncode == 0


def test_no_colour_in_a_pipe(write):
    done = process("show", write(FRAGMENTED), env={**os.environ, "TERM": "xterm-256color"})
    assert done.returncode == 0
    assert b"\x1b" not in done.stdout


def test_ascii_streams_get_ascii(write):
    path = write({**SAFE, "nodes": [*SAFE["nodes"], {"name": "nöde", "memory": 9}]})
    done = process("show", path, env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert b"n\\xf6de" in done.stdout
    assert done.stdout.isascii()
    assert not done.stderr


def test_a_reader_that_leaves_early_is_no_error():
    running = start("generate", "--nodes", 300)
    running.stdout.read(10)
    running.stdout.close()
    assert running.stderr.read() == b""
    assert running.wait(60) == 0


@pytest.mark.parametrize(("document", "status"), [(SAFE, 0), (FRAGMENTED, 1)])
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_a_verdict_survives_a_reader_that_left(document, status, form, write):
    running = start("check", write(document), *form)
    running.stdout.close()
    assert running.stderr.read() == b""
    assert running.wait(60) == status


def test_a_reader_that_leaves_in_the_midst_is_no_error(write):
    running = start("check", write(to_document(generate(nodes=200, placed="worst-fit"))), "--json")
    assert running.stdout.read(10) == b'{\n  "statu'
    running.stdout.close()
    assert running.stderr.read() == b""
    assert running.wait(60) == 1


def test_closed_streams_are_no_error(write):
    for form in ("check", "check --json", "repair -o -", "convert"):
        command = f"'{sys.executable}' -m vmplace {form} '{write(FRAGMENTED)}' >&- 2>&-"
        assert subprocess.run(command, shell=True, timeout=60).returncode == ("check" in form)
    assert process("check", "-", stdin=subprocess.DEVNULL).returncode == 2


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [["check", "{}"], ["convert", "{}"], ["check", "{}", "--json"]])
def test_a_full_disk_is_said(arguments, write):
    path = str(write(SAFE))
    with open("/dev/full", "w") as full:
        running = start(*(argument.format(path) for argument in arguments), stdout=full)
        assert running.stderr.read() == b"stdout: No space left on device\n"
        assert running.wait(60) == 2


# Files


def test_an_output_that_cannot_be_written_is_refused_before_the_work(run, tmp_path):
    for command, *options in (
        ["repair", EXAMPLES / "looks-safe.json"],
        ["convert", EXAMPLES / "safe.yaml"],
        ["generate", "--nodes", "4"],
    ):
        output = tmp_path / "nowhere" / "out.json"
        status, out, err = run(command, *options, "-o", output)
        assert (status, out) == (2, "")
        assert err.startswith(f"{output}: ")
        assert run(command, *options, "-o", tmp_path)[0] == 2


def test_never_half_a_file(write, tmp_path):
    """A file that grows too large is not begun, and the one that was there stays."""
    resource = pytest.importorskip("resource")
    output = tmp_path / "out" / "kept.json"
    output.parent.mkdir()
    output.write_text("precious")

    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))

    done = process("generate", "--nodes", 50, "-o", output, preexec_fn=small_files)
    assert done.returncode == 2
    assert done.stderr.decode().startswith(f"{output}: ")
    assert output.read_text() == "precious"
    assert [path.name for path in output.parent.iterdir()] == ["kept.json"]


def test_a_link_is_written_through_and_permissions_stay(run, write, tmp_path):
    target = write(SAFE, "target.json")
    target.chmod(0o640)
    link = tmp_path / "link.json"
    link.symlink_to(target)
    assert run("convert", EXAMPLES / "looks-safe.json", "-o", link)[0] == 0
    assert link.is_symlink()
    assert "erp-db" in target.read_text()
    assert target.stat().st_mode & 0o777 == 0o640


def test_a_device_may_be_written(run, write):
    assert run("convert", write(SAFE), "-o", "/dev/null")[0] == 0
    assert os.path.exists("/dev/null")
    assert not os.path.isfile("/dev/null")


# Time, Ctrl-C and accidents


@pytest.fixture(scope="module")
def hard(tmp_path_factory):
    """A cluster whose least migration takes far longer to prove than a test may; a good one is found at once."""
    path = tmp_path_factory.mktemp("hard") / "hard.json"
    vmplace.dump(generate(nodes=64, fill=0.95, profile="flavors", seed=1, placed="worst-fit"), path)
    return path


def test_the_time_limit_is_kept(hard):
    begin = time.monotonic()
    done = process("repair", hard, "--time-limit", 2, "--json")
    assert time.monotonic() - begin < 20
    assert (done.returncode, done.stderr) == (0, b"")
    result = strict(done.stdout)
    assert result["status"] == "feasible"
    assert 0 < result["objective"]["gap"] <= 1


@pytest.mark.parametrize("command", ["check", "show", "repair"])
def test_no_time_at_all_is_unknown_or_answered(command, run, hard):
    status, out, _ = run(command, hard, "--time-limit", "0", "--json")
    result = strict(out)
    if command == "repair":
        assert (result["status"], status) in (("unknown", 3), ("feasible", 0))
    else:
        unsafe = 0 if command == "show" else 1
        assert status == {"safe": 0, "unsafe": unsafe, "unknown": 3}[result["status"]]


def may_be_interrupted():
    """A child of a background job would ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
@pytest.mark.parametrize("form", [[], pytest.param(["--json"], marks=pytest.mark.slow)])
def test_ctrl_c_while_solving_shows_the_best_so_far(form, hard):
    running = start("repair", hard, *form, preexec_fn=may_be_interrupted)
    time.sleep(6)
    begin = time.monotonic()
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert time.monotonic() - begin < 15
    assert (running.returncode, err) == (0, b"")
    assert strict(out)["placement"] if form else out.startswith(b"SAFE")


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_ctrl_c_twice_is_no_crash(hard):
    running = start("repair", hard, preexec_fn=may_be_interrupted)
    time.sleep(4)
    running.send_signal(signal.SIGINT)
    time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode in (0, 3)
    assert b"Traceback" not in err


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_ctrl_c_while_reading():
    running = start("check", "-", preexec_fn=may_be_interrupted)
    time.sleep(2)
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert (running.returncode, out) == (3, b"")
    assert err == b"interrupted: nothing to show\n"


@pytest.mark.skipif(os.name == "nt", reason="needs signals")
def test_ctrl_c_in_the_midst_of_a_long_answer(write):
    running = start("check", write(to_document(generate(nodes=200, placed="worst-fit"))), "--json", preexec_fn=may_be_interrupted)
    assert running.stdout.read(10)
    running.send_signal(signal.SIGINT)
    assert running.communicate(timeout=60)[1] == b"interrupted: nothing to show\n"
    assert running.returncode == 3


def test_signal_handlers_are_left_alone(run, write):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)]
    run("repair", write(FRAGMENTED))
    run("--help")
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)] == before


@pytest.mark.parametrize("debug", [False, True])
def test_an_accident_is_one_line(debug, write, monkeypatch, capsys):
    def fail(*_, **__):
        raise ZeroDivisionError("out\nof luck")

    monkeypatch.setattr(vmplace, "check", fail)
    monkeypatch.setenv("VMPLACE_DEBUG", "1" if debug else "")
    assert main(["check", str(write(SAFE))]) == 3
    err = capsys.readouterr().err
    assert err.splitlines()[-1].startswith("internal error: ZeroDivisionError: out\\nof luck: please report it")
    assert ("Traceback" in err) == debug


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo-terminal")
def test_a_terminal_gets_colour_and_no_trace_of_progress(write):
    import pty

    ours, theirs = pty.openpty()
    running = start(
        "check", write(FRAGMENTED), stdout=theirs, stderr=theirs, env={**os.environ, "TERM": "xterm", "COLUMNS": "70"}
    )
    os.close(theirs)
    shown = b""
    try:
        while chunk := os.read(ours, 4096):
            shown += chunk
    except OSError:
        pass
    assert running.wait(60) == 1
    assert b"\x1b[1;31mUNSAFE" in shown


# The examples


@pytest.mark.parametrize(("name", "check", "repair"), [("safe.yaml", 0, 0), ("looks-safe.json", 1, 0), ("impossible.json", 1, 1)])
def test_the_examples_tell_their_story(name, check, repair, run):
    assert run("check", EXAMPLES / name)[0] == check
    assert run("repair", EXAMPLES / name)[0] == repair


def test_the_sums_of_the_examples_look_safe():
    """Neither is unsafe for want of memory in total."""
    for name in ("looks-safe.json", "impossible.json"):
        cluster = vmplace.load(EXAMPLES / name)
        usable = [node.usable for node in cluster.nodes]
        assert sum(vm.memory for vm in cluster.vms) <= sum(usable) - max(usable)


@pytest.mark.parametrize(
    "option",
    [
        ["--resource", "vcpu=1"],
        ["--overhead", "1GiB"],
        ["--priority", "0"],
        ["--pool", "default"],
        ["--tag", "t"],
        ["--unprotected"],
        ["--evictable"],
    ],
)
def test_what_describes_a_new_vm_is_refused_for_one_that_waits(option, run, write):
    status, out, err = run("admit", write(WAITING), "--name", "late", *option)
    assert (status, out) == (2, "")
    assert f"{option[0]} describes a new VM: add --memory, or leave it out for a VM in FILE" in err
