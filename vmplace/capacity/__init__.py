"""Capacity planning: headroom, sizing, trends."""
