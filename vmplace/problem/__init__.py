"""The compiled problem: the cluster as arrays, classes of interchangeable VMs, failure scenarios, and the way back to names."""
