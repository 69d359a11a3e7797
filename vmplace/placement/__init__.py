"""VM placement as a call: place, repair, drain and rolling drain, with migration plans."""
