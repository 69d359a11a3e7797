"""The words that options take, as types: a type checker finds one that is misspelt."""

from typing import Literal

__all__ = ["Method", "Score"]

Method = Literal["auto", "exact", "greedy"]
Score = Literal["tightest", "balance"]
