"""``python -m vmplace``."""

from vmplace.cli import entry

__all__: list[str] = []

if __name__ == "__main__":
    entry()
