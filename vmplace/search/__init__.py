"""Finds a placement: construction, local search, bounds, MIP, large neighbourhood search."""
