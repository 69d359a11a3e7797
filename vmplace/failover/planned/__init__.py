"""Planned restarts of one failure: first-fit, many failures in array passes, exact search."""
