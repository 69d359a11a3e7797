"""Incremental admission control: a memory-only pool whose N+1 certificates are updated as VMs come and go."""
