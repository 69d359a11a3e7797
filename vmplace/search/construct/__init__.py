"""Greedy construction heuristics: worst-fit or best-fit decreasing around reserved capacity, and displacement for the rest."""
