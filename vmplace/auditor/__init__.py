"""The independent checker: placements and failover plans, without the search's code."""
