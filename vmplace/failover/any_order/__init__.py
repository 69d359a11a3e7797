"""Restarts in any order, the worst case: the certificate, and the adversary (interdiction), by heuristic, covering LP, CP-SAT."""
