"""Text and figures for people: names made safe to print, amounts of memory, counted nouns."""

__all__ = ["counted", "fails", "lasting", "printable", "readable", "rule_label", "rule_name", "with_overhead"]


def printable(text: str, encoding: str | None = None) -> str:
    """The text with what a terminal might obey, and what the encoding lacks, written as escapes (``\\x1b``)."""
    shown = text if text.isprintable() else "".join(map(_visible, text))
    return encodable(shown, encoding)


def _visible(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")


def encodable(text: str, encoding: str | None) -> str:
    """The text with characters replaced that an encoding cannot hold."""
    return text.encode(encoding or "utf-8", "backslashreplace").decode(encoding or "utf-8")


def readable(mib: int) -> str:
    """Memory as people say it: ``readable(1792) == "1.75 GiB"``."""
    if abs(mib) < 1024:
        return f"{mib} MiB"
    return f"{_two_digits(mib / 1024)} GiB" if abs(mib) < 10 * 1024**2 else f"{_two_digits(mib / 1024**2)} TiB"


def with_overhead(charged: int, overhead: int) -> str:
    """What a VM takes, and how much of it the hypervisor adds: ``"8.25 GiB, 256 MiB of it overhead"``."""
    return f"{readable(charged)}, {readable(overhead)} of it overhead" if overhead else readable(charged)


def counted(number: int, noun: str) -> str:
    """``counted(2, "node") == "2 nodes"``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def fails(scenario: str) -> str:
    """A failure as a clause: ``"n1 fails"``, ``"n1+n2 fail"``."""
    return f"{scenario} fail" if "+" in scenario else f"{scenario} fails"


def lasting(seconds: float) -> str:
    """A time as people say it, to two digits or so: ``lasting(95) == "95 s"``, ``lasting(600) == "10 min"``."""
    if seconds < 120:
        return f"{seconds:.0f} s" if seconds >= 1 else "1 s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{_two_digits(round(seconds / 3600, 1))} h"


def rule_name(index: int, name: str | None) -> str:
    """What messages call a rule: its name, or else its number."""
    return f"rules[{index}]" if name is None else f"rule {name}"


def rule_label(index: int, kind: str, name: str | None) -> str:
    """How messages call a rule: by its name, if it has one, else by its place in the document."""
    return f"{rule_name(index, name)} ({kind})"


def _two_digits(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")
