"""Laws that hold on random small clusters: against enumeration, and against what else must be so."""
