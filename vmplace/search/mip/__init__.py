"""The integer programming model over counts of VMs per class and node."""
