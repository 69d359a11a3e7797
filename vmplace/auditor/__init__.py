"""Independent audit of placements and failover plans: it shares no code with the search."""
