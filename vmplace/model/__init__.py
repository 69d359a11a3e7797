"""Data model of a cluster: nodes, VMs, affinity and anti-affinity rules, the guarantee; as objects and as columns."""
