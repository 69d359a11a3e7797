"""Results as dictionaries, by their fields."""

import json
from collections.abc import Mapping
from fractions import Fraction

from attrs import field, frozen

from vmplace import BrokenRule, Migration, Report, Scenario, Solution, Status
from vmplace.formats.json_stream import pieces
from vmplace.model.cluster import Cluster
from vmplace.results.to_dict import ToDict


@frozen
class Part(ToDict):
    share: Fraction
    status: Status | None = None


@frozen
class Whole(ToDict):
    _keys = "name:title many parts:inner twice"

    title: str
    many: tuple[int, ...]
    inner: tuple[Part, ...]
    hidden: int = field(default=0, repr=False)

    @property
    def twice(self) -> Mapping[str, object]:
        return {"plain": 2 * self.hidden, "parts": {1: self.inner}}


def test_keys_are_the_fields_or_those_listed_in_their_order():
    assert Part(Fraction(1, 2)).to_dict() == {"share": 0.5, "status": None}
    found = Whole("x", (1, 2), (Part(Fraction(2), Status.SAFE),), 3).to_dict()
    inner = [{"share": 2.0, "status": "safe"}]
    assert found == {"name": "x", "many": [1, 2], "parts": inner, "twice": {"plain": 6, "parts": {1: inner}}}
    assert list(found) == ["name", "many", "parts", "twice"]
    assert type(found["parts"][0]["status"]) is str


def test_a_migration_is_from_one_node_to_another():
    assert list(Migration("v", "a", "b", 7).to_dict().items()) == [
        ("vm", "v"),
        ("from", "a"),
        ("to", "b"),
        ("memory", 7),
        ("step", None),
        ("cold", False),
    ]


class Lazy(Mapping):
    """Scenarios that are counted as they are made."""

    def __init__(self, count):
        self.names, self.made = [f"n{i}" for i in range(count)], 0

    def __getitem__(self, name):
        self.made += 1
        return Scenario(Status.UNKNOWN, "time", 1)

    def __iter__(self):
        return iter(self.names)

    def __len__(self):
        return len(self.names)


def test_scenarios_are_made_one_by_one():
    scenarios = Lazy(50)
    report = Report(cluster=Cluster([], []), status=Status.SAFE, guarantee=Status.SAFE, scenarios=scenarios)
    parts = report.parts()
    assert scenarios.made == 0
    text = "".join(pieces(parts))
    assert json.loads(text) == report.to_dict()
    assert json.loads(text)["scenarios"]["n7"] == {"status": "unknown", "method": "time", "displaced": 1}


def test_a_dictionary_is_a_copy():
    stats = {"seconds": 1.0}
    broken = (BrokenRule(0, "apart", 1, 1, ("a", "b")),)
    found = Solution(
        cluster=Cluster([], []),
        status=Status.OPTIMAL,
        guarantee=Status.SAFE,
        objective_name="moves",
        broken_rules=broken,
        stats=stats,
    )
    written = found.to_dict()
    written["stats"].clear()
    written["broken_rules"][0]["vms"].clear()
    assert (found.stats, found.broken_rules) == ({"seconds": 1.0}, broken)
