"""Texts such as "8GiB" to whole MiB and back, "5%" to numbers; and values cut short for error messages."""

import math
import operator
import re
import reprlib
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

__all__ = [
    "MAX_MEMORY",
    "format_memory",
    "parse_bandwidth",
    "parse_memory",
    "parse_number",
    "parse_reserve",
    "parse_share",
    "short",
    "spell_memory",
]

_MIB_PER_UNIT = {"kib": Fraction(1, 1024), "mib": Fraction(1), "gib": Fraction(1024), "tib": Fraction(1024 * 1024)}
_UNIT_NAME = {"": "MiB", "k": "KiB", "m": "MiB", "g": "GiB", "t": "TiB"}
_WITH_UNIT = re.compile(r"\s*([0-9]{1,30}(?:\.[0-9]{1,30})?)\s*([a-z]*)\s*", re.IGNORECASE | re.ASCII)
_BANDWIDTH = re.compile(
    r"\s*(?P<number>[0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(?P<prefix>[kKmMgGtT])"
    r"(?:(?P<bits>[bB]it(?:/s|ps)?|b(?:/s|ps))|(?P<binary>i)?B(?P<second>/s|ps)?)\s*",
    re.ASCII,
)
_NUMBER = re.compile(r"[-+]?[0-9./]{1,40}(e[-+]?[0-9]{1,2})?", re.IGNORECASE | re.ASCII)
_FORMS = "a whole number of MiB, or a string such as '8GiB'"

_LOG10_OF_2 = math.log10(2)


class _OneLine(reprlib.Repr):
    """The repr, cut to a length, on one line, of whole numbers too that Python refuses to write out."""

    def repr_int(self, x: int, level: int) -> str:
        if abs(x) >= 10**60:
            return f"<a number of {int(x.bit_length() * _LOG10_OF_2) + 1} digits or so>"
        return repr(x)


_SHORT = _OneLine()
_SHORT.maxstring = _SHORT.maxother = 60
_SHORT.maxdict = _SHORT.maxlist = _SHORT.maxtuple = 3
_SHORT.maxlevel = 2

MAX_MEMORY = 64 * 1024 * 1024
"""The most memory one node or VM may have, in MiB (64 TiB)."""


def short(value: object) -> str:
    """The value as an error message shows it: never longer than a line."""
    return " ".join(_SHORT.repr(value).splitlines())


def parse_memory(value: int | str) -> int:
    """Memory in MiB.

    Parameters
    ----------
    value
        A whole number of MiB (``8192`` or ``8192.0``), or a string with KiB, MiB, GiB or TiB in any
        case (``"8GiB"``, ``"1.75GiB"``) that is a whole number of MiB.

    Raises
    ------
    ValueError
        If it is anything else, not above zero, or above 64 TiB.
    """
    mib = _whole_mib(value)
    if mib <= 0:
        raise ValueError(f"{short(value)} is not above zero: write {_FORMS}")
    return mib


def parse_reserve(value: int | str) -> int:
    """Memory in MiB as in `parse_memory`, where zero is allowed."""
    mib = _whole_mib(value)
    if mib < 0:
        raise ValueError(f"{short(value)} is negative: write {_FORMS}, or 0")
    return mib


def parse_bandwidth(value: object) -> Fraction:
    """Bandwidth in MiB per second.

    Parameters
    ----------
    value
        Bits or bytes per second with their unit: ``"10Gbit"``, ``"10Gb/s"``, ``"10Gbps"``, ``"1.25GB/s"``, ``"800MiB/s"``.

    Raises
    ------
    ValueError
        If it is anything else, such as an amount (``"10GB"``), or zero.
    """
    found = _BANDWIDTH.fullmatch(value) if isinstance(value, str) else None
    if found is None or not Fraction(found["number"]):
        raise ValueError(f"{short(value)} is not a bandwidth: write it like 10Gbit or 1.25GB/s")
    if not found["bits"] and not found["second"]:
        text, as_bits = str(value).strip(), f"{found['number']}{found['prefix'].upper()}bit"
        raise ValueError(f"{short(value)} is an amount, not a bandwidth: write {as_bits} or {text}/s")
    step = 1024 if found["binary"] else 1000
    size: int = step ** ("kmgt".index(found["prefix"].lower()) + 1)
    return Fraction(found["number"]) * size / (8 if found["bits"] else 1) / 2**20


def parse_number(text: str) -> Fraction:
    """The exact number in a text, such as ``2.5``; raises ValueError for any other text, and for one too long to be computed."""
    try:
        if _NUMBER.fullmatch(text):
            return Fraction(text)
    except (ValueError, ZeroDivisionError):
        pass
    raise ValueError(f"{short(text)} is not a number")


def parse_share(text: str) -> Fraction:
    """The exact share in a text, ``0.2`` or ``20%``; raises ValueError for any other text."""
    number = text.strip()
    try:
        return parse_number(number.removesuffix("%")) / (100 if number.endswith("%") else 1)
    except ValueError:
        raise ValueError(f"{short(text)} is not a share: write 0.2, or 20%") from None


def format_memory(mib: int) -> str:
    """Memory in the largest unit that shows it as a whole number: ``format_memory(1792) == "1792MiB"``."""
    for unit, size in (("TiB", 1024 * 1024), ("GiB", 1024)):
        if mib and mib % size == 0:
            return f"{mib // size}{unit}"
    return f"{mib}MiB"


def spell_memory(mib: int) -> str:
    """Memory as a sentence has it, exact: ``"64 GiB"``, ``"1.75 GiB"``, and MiB where two decimals do not tell it."""
    hundredths = Fraction(100 * int(mib), 1024)
    if mib < 1024 or hundredths.denominator > 1:
        return f"{mib} MiB"
    return f"{(Decimal(int(mib)) / 1024).normalize():f} GiB"


def _whole_mib(value: object) -> int:
    if isinstance(value, str):
        mib = _from_text(value)
    elif isinstance(value, bool):
        raise ValueError(f"{value} is not memory: write {_FORMS}")
    elif isinstance(value, float):
        if not math.isfinite(value) or not value.is_integer():
            raise ValueError(f"{value} is not a whole number of MiB: write {_FORMS}")
        mib = int(value)
    else:
        try:
            mib = operator.index(value)  # type: ignore[arg-type]
        except TypeError:
            raise ValueError(f"{short(value)} is not memory: write {_FORMS}") from None
    if mib > MAX_MEMORY:
        raise ValueError(f"{short(value)} is above 64 TiB: is it in bytes? Write {_FORMS}")
    return mib


@lru_cache(maxsize=4096)
def _from_text(text: str) -> int:
    found = _WITH_UNIT.fullmatch(text)
    if found is None:
        raise ValueError(f"{short(text)} is not memory: write {_FORMS}")
    number, unit = found[1], found[2].lower()
    if unit not in _MIB_PER_UNIT:
        meant = _UNIT_NAME.get(unit[:1]) if unit[1:] in ("", "b", "i") else None
        mend = f"write {number}{meant}" if meant else f"write {_FORMS}"
        raise ValueError(f"{short(text)} has no known unit: {mend}")
    mib = Fraction(number) * _MIB_PER_UNIT[unit]
    if mib.denominator != 1:
        raise ValueError(f"{short(text)} is not a whole number of MiB: write {_FORMS}")
    return int(mib)
