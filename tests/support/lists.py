"""Lists of guarantees, for tests: clusters that ask for several, and each of them alone, in words that the oracle knows."""

from attrs import evolve
from hypothesis import strategies as st

from vmplace import Guarantee, InputError

DIFFERENT = (
    Guarantee(),
    Guarantee(failures=2),
    Guarantee(failures=0, headroom=0.25),
    Guarantee(scope="domain", quorum=2),
    Guarantee(restart="any-order", vms=["v0", "v1"]),
    Guarantee(policy="fewest-vms"),
    Guarantee(failures={"domain": 1, "node": 1}, vms=["v0"]),
    Guarantee(failures=2, vms={"tag": "red"}),
)


def several(clusters, choice=DIFFERENT, most=3):
    """Clusters of a strategy that ask for up to so many guarantees: their own one and others."""

    def asking(cluster, more):
        try:
            return evolve(cluster, guarantee=[cluster.guarantee, *more], further=())
        except InputError:  # of names that do not tell domains and nodes apart
            return cluster

    return st.builds(asking, clusters, st.lists(st.sampled_from(choice), min_size=1, max_size=most - 1))


def alone(cluster):
    """The cluster under each of its guarantees alone; those that name VMs protect no others."""
    return [_protecting(cluster, asked) for asked in cluster.guarantees]


def _protecting(cluster, asked):
    vms = [as_seen(vm, asked) for vm in cluster.vms]
    return evolve(cluster, vms=vms, guarantee=evolve(asked, vms=None), further=())


def as_seen(vm, asked):
    """A VM, protected only if the guarantee names it, where it names any."""
    named = asked.vms is None or (vm.name in asked.vms if isinstance(asked.vms, tuple) else asked.vms.tag in vm.tags)
    return evolve(vm, protected=vm.protected and named)
