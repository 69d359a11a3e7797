"""Runnable comparisons: ``python -m benchmarks``."""
