"""Plans as a graph and as a picture."""

from xml.etree import ElementTree

from tests.results.test_migration import PLAN
from vmplace import Migration, MigrationPlan, Start, Status, Step
from vmplace.results.drawings import dot, svg

ODD = "a b'$(rm)\"\n\\<&>"
STRANGE = MigrationPlan(
    status=Status.OPTIMAL, steps=(Step(1, (Migration(ODD, "n0", ODD, 1024, 1),), (Start(ODD, "n0", 1),), Status.UNKNOWN, (ODD,)),)
)


def test_a_graph_has_an_edge_for_all_that_goes_one_way_in_a_step():
    text = "".join(dot(PLAN.steps))
    assert '"n1" -> "n2" [label="1: b (1 GiB)", color=red];' in text
    assert '"n2" -> "n0" [label="2: b (1 GiB)"];' in text
    assert '"n2" -> "n2" [label="2: w starts", style=dashed];' in text
    many = tuple(Migration(f"v{i}", "n0", "n1", 1024, 1) for i in range(5))
    text = "".join(dot((Step(1, many, (), Status.SAFE),)))
    assert text.count("->") == 1
    assert "v0, v1, v2 and 2 more (5 GiB)" in text
    assert '\\"' in "".join(dot(STRANGE.steps))


def test_a_picture_is_valid_and_has_an_arrow_each():
    for plan, arrows in ((PLAN, 3), (STRANGE, 1), (MigrationPlan(status=Status.OPTIMAL), 0)):
        root = ElementTree.fromstring("".join(svg(plan.steps)))
        lines = [line for line in root.iter("{http://www.w3.org/2000/svg}line") if "marker-end" in line.attrib]
        assert len(lines) == arrows
