"""Restarts in any order, the worst case: the certificate, and the adversary (interdiction), by greedy, column generation, CP-SAT."""
