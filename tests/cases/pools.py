"""A cluster with a pool that no placement makes safe, beside one that is."""

from vmplace import VM, Cluster, Node

BAD_POOL = Cluster(
    [*(Node(f"g1{x}", "64GiB", pool="g1") for x in "ab"), *(Node(f"g2{x}", "64GiB", pool="g2") for x in "abc")],
    [
        VM("x", "40GiB", "g1a", pool="g1"),
        VM("y", "40GiB", "g1b", pool="g1"),
        VM("z", "16GiB", "g2a", pool="g2"),
        VM("w", "8GiB", pool="g2"),
    ],
)
