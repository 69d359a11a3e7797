"""Memory as people write it."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmplace.model.units import (
    MAX_MEMORY,
    format_memory,
    parse_bandwidth,
    parse_memory,
    parse_reserve,
    parse_share,
    short,
    spell_memory,
)


@pytest.mark.parametrize(
    ("value", "mib"),
    [
        (8192, 8192),
        (8192.0, 8192),
        (1, 1),
        (MAX_MEMORY, MAX_MEMORY),
        ("8GiB", 8192),
        ("8gib", 8192),
        ("8 GIB", 8192),
        (" 8GiB ", 8192),
        ("1.75GiB", 1792),
        ("0.5TiB", 512 * 1024),
        ("64TiB", MAX_MEMORY),
        ("2048KiB", 2),
        ("7MiB", 7),
        ("7.0MiB", 7),
        (np.int64(5), 5),
        (np.uint8(5), 5),
        (np.float64(5), 5),
    ],
)
def test_memory(value: object, mib: int) -> None:
    parsed = parse_memory(value)
    assert parsed == mib
    assert type(parsed) is int


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("8G", "write 8GiB"),
        ("8GB", "write 8GiB"),
        ("8gb", "write 8GiB"),
        ("8 Gi", "write 8GiB"),
        ("1.5T", "write 1.5TiB"),
        ("512M", "write 512MiB"),
        ("8192", "write 8192MiB"),
        ("8PB", "write a whole number of MiB"),
        ("8b", "write a whole number of MiB"),
        ("8 bytes", "write a whole number of MiB"),
        ("", "'' is not memory"),
        ("GiB", "is not memory"),
        ("-8GiB", "is not memory"),
        ("1e3MiB", "is not memory"),
        ("8,5GiB", "is not memory"),
        ("8\u212aiB", "is not memory"),
        ("\u0668GiB", "is not memory"),
        ("8GiB\n8GiB", "is not memory"),
        ("0.5MiB", "is not a whole number of MiB"),
        ("1KiB", "is not a whole number of MiB"),
        ("0GiB", "is not above zero"),
        (0, "is not above zero"),
        (-1, "is not above zero"),
        (0.0, "is not above zero"),
        (8192.5, "8192.5 is not a whole number of MiB"),
        (float("nan"), "nan is not a whole number"),
        (float("inf"), "inf is not a whole number"),
        (1e300, "bytes?"),
        (MAX_MEMORY + 1, "bytes?"),
        ("65TiB", "bytes?"),
        (10**5000, "5001 digits or so> is above 64 TiB"),
        (-(10**5000), "is not above zero"),
        (True, "True is not memory"),
        (np.True_, "is not memory"),
        (None, "None is not memory"),
        ([8], "is not memory"),
        ({}, "is not memory"),
        (b"8GiB", "is not memory"),
        (Fraction(8), "is not memory"),
        (np.zeros((9, 9)), "is not memory"),
    ],
    ids=short,
)
def test_no_memory(value: object, said: str) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        parse_memory(value)
    message = str(caught.value)
    assert said in message
    assert "rite " in message  # the mend
    assert len(message.splitlines()) == 1


def test_reserve_may_be_zero_and_not_negative() -> None:
    assert [parse_reserve(value) for value in (0, "0MiB", 0.0, "4GiB")] == [0, 0, 0, 4096]
    with pytest.raises(ValueError, match="-1 is negative"):
        parse_reserve(-1)
    with pytest.raises(ValueError, match="False is not memory"):
        parse_reserve(False)


@pytest.mark.parametrize(
    ("mib", "text"), [(0, "0MiB"), (1, "1MiB"), (1024, "1GiB"), (1792, "1792MiB"), (1024**2, "1TiB"), (1536 * 1024, "1536GiB")]
)
def test_format(mib: int, text: str) -> None:
    assert format_memory(mib) == text


@given(st.integers(1, MAX_MEMORY))
def test_what_is_formatted_is_parsed_back(mib: int) -> None:
    assert parse_memory(format_memory(mib)) == mib


@given(st.integers(1, 10**6), st.sampled_from(["KiB", "MiB", "GiB", "TiB"]), st.integers(0, 4))
def test_texts_are_exact(number: int, unit: str, decimals: int) -> None:
    exact = Fraction(number, 10**decimals) * {"KiB": Fraction(1, 1024), "MiB": 1, "GiB": 1024, "TiB": 1024**2}[unit]
    text = f"{number // 10**decimals}.{number % 10**decimals:0{decimals}d}{unit}" if decimals else f"{number}{unit}"
    if exact.denominator == 1 and exact <= MAX_MEMORY:
        assert parse_memory(text) == exact
    else:
        with pytest.raises(ValueError, match=r"whole number|64 TiB"):
            parse_memory(text)


@pytest.mark.parametrize(
    "value",
    ["x" * 10_000, list(range(1000)), {str(i): i for i in range(1000)}, 10**5000, np.zeros((99, 99)), np.zeros((3, 1))],
    ids=short,
)
def test_short_is_short(value: object) -> None:
    assert len(short(value)) < 200
    assert "\n" not in short(value)


def test_short_shows_small_values_as_they_are() -> None:
    assert [short(value) for value in ("a\nb", 5, -(10**50), None, [1, "x"], {"a": 1})] == [
        "'a\\nb'",
        "5",
        "-1" + "0" * 50,
        "None",
        "[1, 'x']",
        "{'a': 1}",
    ]


def test_short_survives_what_is_nested_deeply() -> None:
    nested: list[object] = []
    for _ in range(100_000):
        nested = [nested]
    assert short(nested) == "[[[...]]]"


@pytest.mark.parametrize(
    ("text", "bytes_per_second"),
    [
        ("10Gbit", 1_250_000_000),
        ("10 Gbit/s", 1_250_000_000),
        ("10Gb/s", 1_250_000_000),
        ("10gbps", 1_250_000_000),
        ("1.25GB/s", 1_250_000_000),
        ("800MiB/s", 800 * 2**20),
        ("100Mbit", 12_500_000),
        ("1TiB/s", 2**40),
    ],
)
def test_bandwidth_in_bits_and_bytes(text: str, bytes_per_second: int) -> None:
    assert parse_bandwidth(text) * 2**20 == bytes_per_second


@pytest.mark.parametrize(
    "wrong", ["", "10", "10G", "10Gb", "0Gbit", "-1Gbit", "10Gibit", "1e9Gbit", "x", None, 10, 1.5, b"10Gbit", "10GHz"]
)
def test_what_is_not_a_bandwidth(wrong: object) -> None:
    with pytest.raises(ValueError, match="is not a bandwidth: write it like 10Gbit"):
        parse_bandwidth(wrong)


@pytest.mark.parametrize(
    ("mib", "said"),
    [
        (512, "512 MiB"),
        (1024, "1 GiB"),
        (1792, "1.75 GiB"),
        (8192, "8 GiB"),
        (8140, "8140 MiB"),
        (8191, "8191 MiB"),
        (65536, "64 GiB"),
    ],
)
def test_memory_in_a_sentence_is_exact_and_has_two_decimals_at_most(mib: int, said: str) -> None:
    assert spell_memory(mib) == said


@pytest.mark.parametrize(
    ("text", "share"), [("0.2", Fraction(1, 5)), (" 20% ", Fraction(1, 5)), ("1/200", Fraction(1, 200)), ("2e-1", Fraction(1, 5))]
)
def test_a_share_in_a_text_is_exact(text: str, share: Fraction) -> None:
    assert parse_share(text) == share


@pytest.mark.parametrize("wrong", ["", "%", "x", "1/0", "nan", "inf", "1_0%", "٣%", "1e999999999", "1e-999999999%", "9" * 50])
def test_what_is_no_share_is_refused_at_once(wrong: str) -> None:
    with pytest.raises(ValueError, match="is not a share"):
        parse_share(wrong)
