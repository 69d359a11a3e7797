"""Synthetic clusters: what was asked for, the same every time."""

import json
from fractions import Fraction

import numpy as np
import pytest

from vmplace.model.cluster import Cluster
from vmplace.model.errors import InputError
from vmplace.synthetic import PLACED, PROFILES, generate

GIB = 1024


def loads(cluster: Cluster) -> np.ndarray:
    placed = (cluster.vms.node >= 0) & cluster.vms.running
    return np.bincount(cluster.vms.node[placed], weights=cluster.vms.memory[placed], minlength=len(cluster.nodes)).astype(int)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("placed", PLACED)
@pytest.mark.parametrize("mixed", [False, True])
def test_the_fill_is_met_and_no_node_overfull(profile, placed, mixed):
    cluster = generate(nodes=40, fill=0.9, profile=profile, seed=3, placed=placed, mixed=mixed)
    allowed = cluster.nodes.memory.sum() - cluster.nodes.memory.max()
    missing = 0.9 * allowed - cluster.vms.memory[cluster.vms.running].sum()
    assert 0 <= missing < 8 * GIB
    assert len(cluster.nodes) == 40
    assert (loads(cluster) <= cluster.nodes.memory).all()
    waiting = cluster.vms.node < 0
    if profile == "cloud":  # has some that wait, and some that are stopped, however it is placed
        assert waiting.all() == (placed == "none")
    else:
        assert waiting.sum() == (len(cluster.vms) if placed == "none" else 0)


@pytest.mark.parametrize("profile", PROFILES)
def test_the_same_arguments_give_the_same_cluster(profile):
    def draw(seed):
        return generate(nodes=12, profile=profile, seed=seed, placed="best-fit", mixed=True)

    assert draw(5) == draw(5)
    assert draw(5).vms != draw(6).vms


def test_what_a_seed_gives_never_changes():
    """The stream of PCG64 is part of numpy's promise, and the rest is whole numbers."""
    memory = {profile: generate(nodes=4, profile=profile, seed=1).vms.memory[:6].tolist() for profile in PROFILES}
    assert memory == FIRST_SIZES


FIRST_SIZES = {
    "azure": [1792, 57344, 1792, 1792, 768, 7168],
    "flavors": [2048, 16384, 16384, 16384, 32768, 2048],
    "uniform": [58770, 42898, 8765, 63073, 53540, 28231],
    "big-vms": [262144, 16384, 8192, 8192, 16384, 8192],
    "cloud": [1792, 57344, 1792, 1792, 768, 7168],
}


def test_azure_sizes_come_as_often_as_measured():
    cluster = generate(nodes=1500, seed=2)
    sizes, counts = np.unique(cluster.vms.memory, return_counts=True)
    share = dict(zip(sizes.tolist(), (counts / counts.sum()).tolist(), strict=True))
    total = 1_870_433
    assert share[1792] == pytest.approx(892_166 / total, rel=0.02)
    assert share[3584] == pytest.approx(464_859 / total, rel=0.02)
    assert share[57344] == pytest.approx(71_942 / total, rel=0.05)


def test_flavors_divide_each_other():
    sizes = np.unique(generate(nodes=60, profile="flavors").vms.memory)
    assert sizes.tolist() == [2 * GIB << shift for shift in range(7)]


def test_big_vms_are_few_and_heavy():
    memory = generate(nodes=200, node_memory="256GiB", profile="big-vms").vms.memory
    big = memory >= 64 * GIB
    assert memory.max() == 128 * GIB
    assert big.mean() == pytest.approx(4 / 64, rel=0.3)
    assert memory[big].sum() / memory.sum() == pytest.approx(0.44, abs=0.05)


def test_uniform_sizes_are_odd_ones():
    memory = generate(nodes=100, profile="uniform").vms.memory
    assert memory.min() >= 4 * GIB
    assert memory.max() <= 64 * GIB
    assert (memory % 2).any()


def test_mixed_nodes_come_in_three_sizes():
    assert generate(nodes=8, node_memory="64GiB", mixed=True).nodes.memory.tolist() == [65536, 32768, 65536, 131072] * 2


def test_no_vm_is_larger_than_the_smallest_node():
    assert generate(nodes=30, node_memory="32GiB", profile="flavors", mixed=True).vms.memory.max() == 16 * GIB


def test_worst_fit_takes_the_emptiest_and_best_fit_the_fullest():
    worst, best = (loads(generate(nodes=10, fill=0.5, placed=placed)) for placed in ("worst-fit", "best-fit"))
    assert worst.min() > 0.99 * worst.max()
    assert (best == 0).sum() == 5


def test_ten_thousand_nodes_take_a_moment():
    cluster = generate(nodes=10_000, placed="best-fit")
    assert len(cluster.vms) > 700_000
    assert cluster.vms[5].node is not None


def test_of_a_profile_without_processors_none_is_overcommitted():
    assert not generate(nodes=4, profile="azure").overcommit
    assert generate(nodes=4, profile="cloud").overcommit == {"vcpu": 4}
    assert generate(nodes=4, profile="cloud", overcommit=1.5).overcommit == {"vcpu": Fraction(3, 2)}


def test_the_meta_makes_it_again():
    cluster = generate(nodes=6, node_memory=131072, fill=0.7, profile="flavors", seed=4, placed="worst-fit", mixed=True)
    again = json.loads(json.dumps(cluster.meta["generated"]))
    assert generate(**again) == cluster
    cloud = generate(nodes=6, profile="cloud", overcommit=2.5)
    assert generate(**json.loads(json.dumps(cloud.meta["generated"]))) == cloud
    assert cloud.meta["generated"]["placed"] == "worst-fit"


@pytest.mark.parametrize(
    ("wrong", "place", "words"),
    [
        ({"nodes": 1}, "nodes", "a single node can never be N+1"),
        ({"nodes": 0}, "nodes", "not within 2"),
        ({"nodes": 2.5}, "nodes", "not a whole number"),
        ({"nodes": True}, "nodes", "not a whole number"),
        ({"nodes": 2_000_000}, "nodes", "not within"),
        ({"nodes": 500_000, "node_memory": "1TiB", "profile": "flavors"}, "nodes", "write fewer"),
        ({"node_memory": "512GB"}, "node_memory", "write 512GiB"),
        ({"node_memory": 0}, "node_memory", "not above zero"),
        ({"node_memory": "1GiB", "profile": "flavors"}, "node_memory", "write 2GiB or more"),
        ({"node_memory": 1, "profile": "uniform", "mixed": True}, "node_memory", "no VM of profile uniform"),
        ({"node_memory": "48TiB", "mixed": True}, "node_memory", "not within"),
        ({"fill": 0}, "fill", "not above zero"),
        ({"fill": 90}, "fill", "0.9 for 90 %"),
        ({"fill": float("nan")}, "fill", "sensible"),
        ({"fill": "0.9"}, "fill", "not a number"),
        ({"profile": "aws"}, "profile", "azure, flavors, uniform, big-vms"),
        ({"profile": ["azure"]}, "profile", "not one of"),
        ({"placed": "first-fit"}, "placed", "none, worst-fit, best-fit"),
        ({"seed": -1}, "seed", "below 0"),
        ({"seed": "x"}, "seed", "not a whole number"),
        ({"mixed": 1}, "mixed", "neither true nor false"),
        ({"overcommit": 0, "profile": "cloud"}, "overcommit", "not above zero"),
        ({"overcommit": 2}, "overcommit", "VMs of profile azure have no vCPUs"),
    ],
)
def test_bad_arguments_are_named(wrong, place, words):
    with pytest.raises(InputError) as caught:
        generate(**{"nodes": 4, **wrong})
    (flaw,) = caught.value.flaws
    assert flaw.place.startswith(place)
    assert words in flaw.message
