"""Bounds that no placement can beat, without a search."""
