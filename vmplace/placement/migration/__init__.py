"""The order of live migrations from one placement to another."""
