"""Lower bounds and infeasibility proofs for a placement, without a search."""
