"""May one more VM come in, and where: `admit` and the `Admitter`."""
