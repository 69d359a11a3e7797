"""Lists of guarantees, for tests: each of them alone, in words that the oracle knows."""

from attrs import evolve


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
