"""The command line, one file for each command."""

TYPE_CHECKING = False

if TYPE_CHECKING:
    from vmplace.cli.group import cli, main

__all__ = ["cli", "main"]

if not TYPE_CHECKING:  # loaded when first asked for: the version needs neither

    def __getattr__(name):
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module("vmplace.cli.group"), name)
