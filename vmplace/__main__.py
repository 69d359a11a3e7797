"""``python -m vmplace``."""

from vmplace.cli.entry import entry

__all__: list[str] = []

if __name__ == "__main__":
    entry()
