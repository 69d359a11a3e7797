import json
import subprocess
import sys
from datetime import date, timedelta

import pytest
from attrs import evolve
from hypothesis import given, settings

import vmplace
from vmplace import VM, Cluster, Guarantee, InputError, Node, Snapshot, Status, dump
from vmplace.cli import main
from vmplace.testing import clusters

START = date(2026, 1, 1)
NODES = [Node(f"n{i}", "64GiB") for i in range(4)]
GIB = 1024


def cluster(day, filled, **options):
    """Nodes that are filled evenly, by so many VMs of 1 GiB."""
    vms = [VM(f"v{i}", "1GiB", f"n{i % 4}") for i in range(filled)]
    return Cluster(NODES, vms, date=(START + timedelta(day)).isoformat(), **options)


def course(*pairs, **options):
    (found,) = vmplace.trend([cluster(day, filled, **options) for day, filled in pairs]).courses
    return found


def test_what_each_date_has():
    found = course((0, 100), (9, 200))
    # 256 GiB in all, 192 GiB without one node.
    assert found.snapshots == (
        Snapshot("2026-01-01", 100 * GIB, 156 * GIB, 92 * GIB, Status.SAFE),
        Snapshot("2026-01-10", 200 * GIB, 56 * GIB, -8 * GIB, Status.UNSAFE),
    )


def test_a_fit_computed_by_hand():
    # Headroom of 92, 80, 74, 56, 38 GiB on days 0 to 4: the line is 68 - 13.2 * (day - 2), zero on day 7.15.
    found = course((0, 100), (1, 112), (2, 118), (3, 136), (4, 154)).forecast
    assert found.growth == pytest.approx(13.2 * GIB)
    # It misses by -2.4, -1.2, 6, 1.2, -3.6 GiB: squares 57.6, by 3 degrees of freedom and a spread of 10.
    assert found.growth_error == pytest.approx((57.6 / 30) ** 0.5 * GIB)
    assert (found.date, found.lost, found.dates) == ("2026-01-08", False, 5)
    # Fieller's: 13.2 ** 2 - t ** 2 * 1.92 = 154.8, 68 * 13.2 = 897.6, 68 ** 2 - t ** 2 * 19.2 / 5 = 4585.1, with t = 3.1824:
    # days 2 + (897.6 -+ 309.3) / 154.8.
    assert (found.earliest, found.latest) == ("2026-01-06", "2026-01-10")


def test_dates_are_sorted_and_their_distance_counts():
    found = course((30, 130), (0, 100), (10, 110))
    assert [row.date for row in found.snapshots] == ["2026-01-01", "2026-01-11", "2026-01-31"]
    assert found.forecast.growth == pytest.approx(GIB)
    assert found.forecast.date == found.forecast.earliest == found.forecast.latest == "2026-04-03"  # after 92 days, for certain


def test_two_dates_tell_no_doubt_and_one_no_growth():
    found = course((0, 100), (10, 120)).forecast
    assert (found.date, found.growth_error, found.earliest, found.latest) == ("2026-02-16", None, None, None)
    assert course((0, 100)).forecast is None


@pytest.mark.parametrize("filled", [(100, 100, 100), (100, 90, 80)])
def test_without_growth_it_is_never_lost(filled):
    found = course(*enumerate(filled)).forecast
    assert (found.date, found.earliest, found.latest, found.lost) == (None, None, None, False)


def test_growth_that_may_be_chance_has_a_date_but_no_interval():
    found = course((0, 100), (1, 140), (2, 95), (3, 141)).forecast
    assert found.date
    assert (found.earliest, found.latest) == (None, None)


def test_a_date_beyond_the_calendar_is_none():
    vms = [VM("a", 1, "n0"), VM("b", 1, "n0")]
    first, last = (Cluster(NODES, vms[:n], date=day) for n, day in ((1, "2026-01-01"), (2, "2027-01-01")))
    found = vmplace.trend([first, last]).courses[0].forecast
    assert found.growth > 0
    assert found.date is None


def test_what_counts_is_the_nodes_of_the_last_date():
    first = evolve(cluster(0, 100), nodes=[*NODES, Node("n4", "64GiB")])
    found = vmplace.trend([first, cluster(10, 120)]).courses[0]
    assert [row.headroom for row in found.snapshots] == [156 * GIB, 72 * GIB]
    assert found.forecast.growth == pytest.approx(2 * GIB)
    assert found.forecast.date == "2026-02-16"


def test_pools_have_courses_of_their_own():
    def both(day, filled):
        nodes = [*NODES, *(Node(f"m{i}", "8GiB", pool="small") for i in range(2))]
        vms = [*cluster(day, filled).vms, VM("m", "9GiB", pool="small")]
        return evolve(cluster(day, filled), nodes=nodes, vms=vms)

    big, small = vmplace.trend([both(0, 100), both(5, 110)]).courses
    assert (big.pool, small.pool) == ("default", "small")
    assert big.forecast.growth == pytest.approx(2 * GIB)
    assert (small.forecast.growth, small.forecast.lost, small.snapshots[0].status) == (0, True, "unsafe")


def test_another_guarantee_and_absent_nodes_are_warnings():
    last = evolve(cluster(5, 100), nodes=[evolve(NODES[0], state="maintenance"), *NODES[1:]])
    found = vmplace.trend([evolve(cluster(0, 100), guarantee=Guarantee(failures=2)), last])
    assert found.courses[0].snapshots[0].headroom == 28 * GIB
    assert found.warnings == (
        "the guarantee on 2026-01-01 differs from that on 2026-01-06, which the forecast uses",
        "1 node is not online on 2026-01-06: the forecast does not count it",
    )


def test_of_several_guarantees_the_one_that_leaves_least_counts():
    asked = [Guarantee(), Guarantee(failures=2, vms=[f"v{i}" for i in range(90)])]
    found = course((0, 100), (9, 110), guarantee=asked)
    # 192 GiB without one node for 110 GiB, 128 GiB without two for 90.
    assert [row.headroom for row in found.snapshots] == [38 * GIB, 38 * GIB]
    assert {row.status for row in found.snapshots} == {Status.SAFE}
    assert [row.headroom for row in course((0, 100), (9, 110), guarantee=[Guarantee(), Guarantee(failures=3)]).snapshots] == [
        -36 * GIB,
        -46 * GIB,
    ]


def test_the_forecast_is_for_what_is_asked_last():
    named = [
        cluster(0, 100, guarantee=Guarantee(failures=2, vms=["v0"])),
        cluster(10, 110, guarantee=[Guarantee(), Guarantee(failures=2)]),
    ]
    (found,) = vmplace.trend(named).courses
    # 128 GiB without two nodes: 28 GiB were left then, 18 GiB are now.
    assert found.forecast.growth == pytest.approx(GIB)
    assert found.forecast.date == "2026-01-29"


@pytest.mark.parametrize(
    ("dates", "flaw"),
    [
        ([None], "clusters[0].date: is missing: write it like 2026-11-23"),
        (["2026-01-01", "2026-01-01T00:00"], "clusters[1].date: '2026-01-01T00:00' is the date of clusters[0], too"),
        (["2026-01-01T01:00+01:00", "2026-01-01T00:00Z"], "is the date of clusters[0], too"),
        (["2026-01-01", "2026-01-02T00:00Z"], "clusters[0].date: '2026-01-01' has no time zone, and others have"),
        ([], "clusters: no cluster is given: give one or more"),
    ],
)
def test_dates_that_cannot_be_told_apart(dates, flaw):
    with pytest.raises(InputError) as caught:
        vmplace.trend([evolve(cluster(0, 1), date=day) for day in dates])
    assert flaw in str(caught.value)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(clusters(max_nodes=3, max_vms=5, failures=(0, 1, 2), domains=True, evictable=True, targets=True))
def test_below_zero_no_placement_is_safe(cluster):
    found = vmplace.trend([evolve(cluster, date="2026-01-01")])
    for row in found.courses:
        (snapshot,) = row.snapshots
        if snapshot.headroom < 0:
            assert vmplace.repair(cluster, method="exact", deterministic=True, time_limit=None).status == "infeasible"


def documents(tmp_path, *pairs):
    paths = [tmp_path / f"{day}.json" for day, _ in pairs]
    for path, (day, filled) in zip(paths, pairs, strict=True):
        dump(cluster(day, filled), path)
    return [str(path) for path in paths]


def test_the_command_draws_a_table(tmp_path):
    files = documents(tmp_path, (0, 100), (1, 112), (2, 118), (3, 136), (4, 154))
    told = subprocess.run([sys.executable, "-m", "vmplace", "trend", *files], capture_output=True, text=True, timeout=60)
    assert told.returncode == 0
    lines = told.stdout.splitlines()
    assert " ".join(lines[2].split()) == "2026-01-01 100 GiB 156 GiB 92 GiB safe"
    assert (
        "At this rate no placement keeps the guarantee from about 2026-01-08 on (95 %: 2026-01-06 to 2026-01-10)." in told.stdout
    )


def test_the_command_prints_json_and_names_the_file_that_is_wrong(tmp_path, capsys):
    files = documents(tmp_path, (0, 100), (10, 120))
    assert main(["trend", "--json", *files]) == 0
    assert json.loads(capsys.readouterr().out)["courses"][0]["forecast"]["date"] == "2026-02-16"
    assert main(["trend", files[0], files[0]]) == 2
    assert capsys.readouterr().err == f"{files[0]}: date: '2026-01-01' is the date of {files[0]}, too: give one for each date\n"
    assert main(["trend"]) == 2
    assert main(["trend", "--time-limit", "0", *files]) == 0
