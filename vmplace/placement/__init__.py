"""The front doors: place, repair, drain and rolling drain."""
