"""A cluster with more VMs: the same as a problem and as a cluster."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.problems import same
from vmplace import VM, Cluster, Node
from vmplace.capacity.enlarged import EnlargedCluster
from vmplace.model.columns import VMColumns
from vmplace.problem.compile import compile_problem
from vmplace.problem.presolve import presolved
from vmplace.testing import clusters


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    clusters(min_nodes=1, resources=True, evictable=True, targets=True, domains=True),
    st.integers(1, 3),
    st.booleans(),
    st.integers(0, 1),
)
def test_the_problem_is_that_of_the_cluster(cluster, times, pair, overhead):
    pool = cluster.nodes[0].pool
    bundle = {5: 2, 3: 1} if pair else {4: 1}
    enlarged = EnlargedCluster(cluster, cluster, pool, bundle, overhead, {"vcpu": 1})
    larger = enlarged.cluster_with(times)
    same(enlarged.problem(times), larger, presolved(compile_problem(larger)), larger)
    assert "vcpu" in enlarged.whole.resources
    assert enlarged.whole.original.tolist() == compile_problem(cluster).original.tolist()
    assert [vm.name for vm in enlarged.cluster_with(times).vms[len(cluster.vms) :]] == list(enlarged.added(times))
    assert enlarged.demand[:, 0].tolist() == [memory + overhead for memory in ([5, 5, 3] if pair else [4])]


def test_columns_stay_columns():
    held = Cluster.from_arrays(node_memory=[9, 9], vm_memory=[1], vm_node=[0])
    enlarged = EnlargedCluster(held, held, "default", {2: 1}, 0, {"vcpu": 3})
    more = enlarged.cluster_with(2)
    assert isinstance(more.vms, VMColumns)
    assert list(more.vms[1:]) == [VM("new-1", 2, resources={"vcpu": 3}), VM("new-2", 2, resources={"vcpu": 3})]
    same(enlarged.problem(2), more, presolved(compile_problem(more)), more)


def test_names_are_not_those_of_another_pool():
    whole = Cluster([Node("n", 8), Node("m", 8, pool="p")], [VM("new-1", 1, "n")])
    part = Cluster([whole.nodes[1]])
    assert EnlargedCluster(whole, part, "p", {1: 1}, 0, {}).added(2) == ("new-2", "new-3")
