"""The command line, one file for each command."""

from vmplace.cli.entry import cli, main

__all__ = ["cli", "main"]
