"""Construction heuristics: worst-fit decreasing around reserved capacity, and room made for what is left over."""
