"""Solver engines behind one interface: CP-SAT, HiGHS, their race, the time budget."""
