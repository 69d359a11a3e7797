"""The cluster compiled to arrays: classes, scenarios, placement state, and the way back to names."""
