"""N+1 failover analysis: every failure scenario decided by certificates, restart plans, adversaries or restart policies."""
