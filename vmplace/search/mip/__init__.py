"""Integer programming (MIP): a model in counts of VMs per class and node, and the exact search by it."""
