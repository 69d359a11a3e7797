"""Synthetic clusters for tests and benchmarks: seeded distributions of VM sizes, the same on every machine."""

from vmplace.synthetic.generation import generate
from vmplace.synthetic.placing import PLACED
from vmplace.synthetic.sizes import PROFILES

__all__ = ["PLACED", "PROFILES", "generate"]
