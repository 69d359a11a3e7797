"""Documents: reading a cluster from JSON or YAML, with all flaws reported together, and writing it atomically."""

import os
import secrets
import stat
import sys
from collections.abc import Iterable
from contextlib import suppress

from vmplace.formats.parse import Form, decode, parse, read_text
from vmplace.formats.structure import from_document, read_document
from vmplace.formats.unstructure import document_parts, lines, to_document
from vmplace.model.cluster import Cluster
from vmplace.model.door import door
from vmplace.model.errors import InputError

__all__ = ["dump", "dumps", "from_document", "load", "loads", "to_document", "write_file"]

_STANDARD = "-"


@door()
def load(path: str | os.PathLike[str]) -> Cluster:
    """Read a cluster from a document.

    Parameters
    ----------
    path
        YAML where the suffix is ``.yaml`` or ``.yml``, else JSON; ``"-"`` is stdin: JSON, else YAML.

    Raises
    ------
    InputError
        (a ValueError) that lists all that is wrong with the content, each flaw with its place.
    OSError
        If the file cannot be read.
    """
    if os.fspath(path) == _STANDARD:
        return read_document(parse(read_text(path)))
    try:
        return read_document(parse(read_text(path), _form_of(path)))
    except InputError as error:
        error.add_note(f"in {os.fspath(path)}")
        raise


def loads(text: str | bytes, *, form: Form | None = None) -> Cluster:
    """Read a cluster from the text of a document.

    Parameters
    ----------
    text
        Bytes are taken for UTF-8.
    form
        ``"json"`` or ``"yaml"``; None tries JSON, then YAML.

    Raises
    ------
    InputError
        (a ValueError) that lists all that is wrong, each flaw with its place.
    """
    return read_document(parse(decode(text), form))


@door()
def dump(cluster: Cluster, path: str | os.PathLike[str], *, form: Form | None = None) -> None:
    """Write a cluster as a document.

    An existing file is replaced in one step, so that there is never half a document.

    Parameters
    ----------
    cluster
        `load` reads back one that is equal to it.
    path
        The file to write; ``"-"`` is stdout.
    form
        ``"json"`` or ``"yaml"``; None: YAML where the suffix is ``.yaml`` or ``.yml``, else JSON.

    Raises
    ------
    InputError
        (a ValueError) if a fraction is not a decimal number.
    OSError
        If the file cannot be written.
    """
    text = lines(document_parts(cluster), form or _form_of(path))
    if os.fspath(path) == _STANDARD:
        _write_stdout(text)
    else:
        write_file(os.fspath(path), text)


def dumps(cluster: Cluster, *, form: Form = "json") -> str:
    """The text of a document, with one line to each node, VM and rule; raises InputError as `dump` does."""
    return "".join(lines(document_parts(cluster), form))


def _form_of(path: str | os.PathLike[str]) -> Form:
    return "yaml" if os.fspath(path).lower().endswith((".yaml", ".yml")) else "json"


def _write_stdout(text: Iterable[str]) -> None:
    binary = getattr(sys.stdout, "buffer", None)
    if binary is None:
        sys.stdout.writelines(text)
        return
    sys.stdout.flush()  # what was printed before comes before
    binary.writelines(map(str.encode, text))  # UTF-8 whatever the terminal's encoding, as in a file
    binary.flush()


def write_file(path: str, text: Iterable[str]) -> None:
    """Write a text to a file, in one step where there is one already; raises OSError."""
    content = map(str.encode, text)
    if _is_special(path):
        with open(path, "wb") as file:
            file.writelines(content)
        return
    target = os.path.realpath(path)  # a link is kept, and what it leads to replaced
    beside = os.path.join(os.path.dirname(target), f".{os.path.basename(target)[:100]}.{secrets.token_hex(4)}.tmp")
    try:
        _write_new(beside, content, _mode_of(target))
        os.replace(beside, target)
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from None  # of the file asked for, not the one beside it
    finally:
        with suppress(OSError):
            os.unlink(beside)


def _write_new(path: str, content: Iterable[bytes], mode: int | None) -> None:
    with open(path, "xb") as file:
        if mode is not None:
            os.chmod(path, mode)
        file.writelines(content)


def _mode_of(path: str) -> int | None:
    """The permissions of a file that is there, to be kept."""
    try:
        return stat.S_IMODE(os.stat(path).st_mode)
    except OSError:
        return None


def _is_special(path: str) -> bool:
    """Whether it is a pipe or a device, which is written to and must not be replaced."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)
