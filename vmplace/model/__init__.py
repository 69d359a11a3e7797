"""What a cluster is: nodes, VMs, rules and the guarantee, as objects and as columns."""
