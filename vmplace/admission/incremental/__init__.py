"""Incremental admission control: certificates where memory alone binds, kept failover plans elsewhere, as VMs come and go."""
