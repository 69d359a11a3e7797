"""Is a placement survivable? Each failure decided: certificates, plans, adversaries, policies."""
