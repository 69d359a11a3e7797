"""Hypothesis strategies for nodes and clusters: small whole numbers, and as many hard corners as they can hold.

Needs hypothesis (``pip install vmplace[test]``); ``import vmplace`` does not import this module.
"""

from vmplace.testing.strategies import clusters, nodes

__all__ = ["clusters", "nodes"]
