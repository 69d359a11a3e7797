"""Solvers behind one interface: CP-SAT, HiGHS and a portfolio of both; the time budget."""
