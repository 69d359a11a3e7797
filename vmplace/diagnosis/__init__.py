"""Diagnosis of unsafe or infeasible clusters: irreducible infeasible subsets, and remedies that were tried and checked."""
