"""How much more fits in, and how much it takes: headroom, sizing, trends."""
