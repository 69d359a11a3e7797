"""Bin packing with proof: bounds, heuristics, column generation."""
