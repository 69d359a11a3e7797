"""What a report says to do next is what the commands then do."""

import pytest

import vmplace
from vmplace import VM, Cluster, Guarantee, Node
from vmplace.cli import main


@pytest.fixture
def told(tmp_path, capsys):
    """The exit status of a command for a cluster, and what it says."""

    def told(cluster, command, *options):
        path = tmp_path / "cluster.json"
        vmplace.dump(cluster, path)
        status = main([command, str(path), *options])
        return status, capsys.readouterr().out

    return told


LOST = Cluster(
    [Node("a", 10), Node("b", 10), Node("c", 10, state="offline")], [VM("x", 6, "a"), VM("y", 6, "b"), VM("z", 2, "c")]
)
LOPSIDED = Cluster([Node(name, 10) for name in "abc"], [VM("x", 6, "a"), VM("y", 5, "b"), VM("z", 5, "c")])
FULL = Cluster([Node("a", 10), Node("b", 10)], [VM("x", 6, "a"), VM("y", 6, "b")])


@pytest.mark.parametrize("command", ["check", "place", "repair"])
def test_a_lost_node_comes_back_or_the_best_is_made_of_what_is_left(told, command):
    status, text = told(LOST, command)
    name = "repair" if command == "repair" else "place"
    assert status == 1
    assert f"Next: vmplace {name} --best-effort, with the same options, starts " in text
    assert f"Or bring c back (state: online): vmplace {name} then finds a placement that keeps the guarantee." in text
    assert told(LOST, name, "--best-effort")[0] == 4
    assert told(LOST.in_state("online", ["c"]), name)[0] == 0


@pytest.mark.parametrize("command", ["check", "place", "repair"])
def test_a_node_that_would_not_be_enough_is_not_called_back(told, command):
    small = Cluster([*LOST.nodes[:2], Node("c", 2, state="offline")], list(LOST.vms))
    status, text = told(small, command)
    assert status == 1
    assert "--best-effort" in text
    assert "back" not in text


def test_an_unsafe_cluster_that_migrations_mend(told):
    status, text = told(LOPSIDED, "check")
    solution = vmplace.repair(LOPSIDED)
    assert (status, solution.status) == (1, "optimal")
    moved = sum(migration.memory for migration in solution.migrations)
    assert f"Next: vmplace repair, with the same options, makes it safe by migrating {moved} MiB; --moves" in text


STAYING = Cluster(LOPSIDED.nodes, [VM("x", 4, "a"), VM("y", 4, "b"), VM("z", 8)])


@pytest.mark.parametrize("command", ["check", "place"])
def test_where_only_running_vms_are_in_the_way_repair_moves_them(told, command):
    status, text = told(STAYING, command)
    assert status == 1
    repair = "Next: vmplace repair, with the same options, starts the VM that waits and keeps the guarantee by migrating 4 MiB"
    assert repair in text
    assert "\nOr vmplace place --best-effort, with the same options, starts the VM that waits without migrations" in text
    assert told(STAYING, "repair")[0] == 0
    assert told(STAYING, "place", "--best-effort")[0] == 4


def test_repair_is_not_named_where_the_same_options_keep_it_from_helping(told):
    assert "repair" not in told(STAYING, "place", "--max-moves", "0")[1]
    assert "repair" not in told(FULL, "place", "--move-running")[1]


def test_running_vms_that_are_not_safe_as_they_are(told):
    status, text = told(LOPSIDED, "place")
    assert status == 1
    assert "Next: vmplace repair, with the same options, makes it safe by migrating " in text
    assert "--best-effort" not in text


@pytest.mark.parametrize("node", ["a", None])
def test_which_of_several_guarantees_is_in_the_way_is_told(told, node):
    several = Cluster(LOPSIDED.nodes, [VM("x", 6, node), *LOPSIDED.vms[1:]], guarantee=[Guarantee(), Guarantee(failures=2)])
    status, text = told(several, "check")
    assert status == 1
    assert "Not all can start safely: guarantee 2: " in text or "No migration makes it safe: guarantee 2: " in text
    assert told(several, "repair", "--guarantee", "1")[0] == 0


def test_how_a_maintenance_ends(told):
    status, text = told(Cluster(LOPSIDED.nodes, LOPSIDED.vms[1:]), "drain", "b")
    assert status == 0
    assert text.endswith(
        "When b is back: set its state to online in the document; vmplace place --move-running then spreads the VMs again.\n"
    )


def test_an_unsafe_cluster_that_no_migration_mends(told):
    status, text = told(FULL, "check")
    assert status == 1
    assert "No migration makes it safe: the protected VMs need 12 MiB; if the largest node fails, 10 MiB is left." in text
    assert text.endswith("Next: vmplace explain, with the same options, says what would.\n")
    assert "Next: vmplace repair --best-effort, with the same options, leaves as little" in told(FULL, "repair")[1]


def test_without_time_the_command_is_named_and_nothing_promised(told):
    odd = [VM(f"v{i}", 100 + 7 * i % 31, "abcd"[i % 3]) for i in range(24)]
    cluster = Cluster([Node(name, 1000) for name in "abcd"], odd, guarantee=Guarantee(failures=1))
    _, text = told(cluster, "check", "--time-limit", "0")
    assert "makes it safe" not in text.replace("migrations that make it safe", "")


@pytest.mark.parametrize("command", ["check", "place", "repair"])
def test_nothing_is_to_be_done_where_all_is_well(told, command):
    status, text = told(Cluster([Node("a", 10), Node("b", 10)], [VM("x", 6, "a")]), command)
    assert status == 0
    assert "Next:" not in text


UNWRITTEN = "Next: --moves FILE.sh writes the commands, -o FILE the cluster afterwards.\n"


@pytest.mark.parametrize("command", [("repair",), ("place", "--best-effort"), ("drain", "a"), ("drain", "--rolling")])
def test_what_is_not_written_yet_is_offered(told, tmp_path, command):
    cluster = {"place": LOST, "repair": LOPSIDED}.get(command[0]) or Cluster([*LOPSIDED.nodes, Node("d", 10)], LOPSIDED.vms)
    name, *options = command
    moves, output = ["--moves", str(tmp_path / "moves.sh")], ["-o", str(tmp_path / "out.json")]
    assert UNWRITTEN in told(cluster, name, *options)[1]
    assert "\nNext: -o FILE writes the cluster afterwards.\n" in told(cluster, name, *options, *moves)[1]
    assert "\nNext: --moves FILE.sh writes the commands.\n" in told(cluster, name, *options, *output)[1]
    assert "Next: " not in told(cluster, name, *options, *moves, *output)[1]


def test_where_nothing_is_to_do_nothing_is_offered(told):
    safe = Cluster([Node(name, 10) for name in "abc"], [VM("x", 4, "a")])
    assert "Next" not in told(safe, "repair")[1]
    assert "Next" not in told(safe, "place")[1]


def test_after_a_best_effort_explain_says_what_would_make_it_safe_again(told):
    assert (
        "\nThen: vmplace explain, for the document that -o writes, says what would make"
        in told(LOST, "place", "--best-effort")[1]
    )
    assert "Then: " not in told(LOST, "drain", "a")[1]  # ends when the node is back
