"""A memory-only pool kept certified while VMs come and go."""
