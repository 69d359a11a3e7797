"""The door of the public functions: arguments of the wrong type are refused by name, before anything is done with them."""

import os
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from vmplace.model.cluster import Cluster
from vmplace.model.converters import placed
from vmplace.model.kinds import Parser, a_flag, a_function, a_mapping, a_text, each, of_type, optional, wrong_type

__all__ = ["door"]

P = ParamSpec("P")
R = TypeVar("R")


def _event(value: Any) -> Any:
    if isinstance(value, type) or not all(callable(getattr(value, name, None)) for name in ("is_set", "set")):
        raise wrong_type(value, "an event", "give a threading.Event")
    return value


def _one_or_several(value: Any) -> Any:
    return value if isinstance(value, str) else _OBJECTIVES(value)


_OBJECTIVES = each(object, "objective")

_FLAGS = "best_effort compare deterministic force make_room move_running ordered strict"

_USUAL: Mapping[str, Parser] = {
    "cluster": of_type(Cluster, "a Cluster", "give one, as vmplace.load(path) does"),
    "progress": optional(a_function),
    "cancel": optional(_event),
    "method": a_text,
    "objective": _one_or_several,
    "pool": optional(a_text),
    "resources": optional(a_mapping),
    "path": of_type((str, os.PathLike), "a path", "give a string or a pathlib.Path"),
    "form": optional(a_text),
    **dict.fromkeys(_FLAGS.split(), a_flag),
}
"""What arguments of these names are in every public function."""


def door(**own: Parser) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """A decorator that checks the types of arguments by their names: as everywhere, or by a parser of the function's own.

    Which values of a type are right is the business of the function, and of the converters of the model.
    """
    parsers = {name: placed(name, parse) for name, parse in {**_USUAL, **own}.items()}

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        code = function.__code__
        places = [(i, parsers[name]) for i, name in enumerate(code.co_varnames[: code.co_argcount]) if name in parsers]

        @wraps(function)
        def checked(*args: Any, **keywords: Any) -> Any:
            given = list(args)
            for place, parse in places:
                if place < len(given):
                    given[place] = parse(given[place])
            for name in keywords:
                if name in parsers:
                    keywords[name] = parsers[name](keywords[name])
            return function(*given, **keywords)

        return checked

    return decorate
