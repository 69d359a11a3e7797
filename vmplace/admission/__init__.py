"""Admission control: may one more VM start, and on which nodes, so that N+1 still holds."""
