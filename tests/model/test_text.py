"""Text and figures for people."""

import pytest

from vmplace.model.text import fails, lasting, readable


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "1 s"), (0.2, "1 s"), (12.6, "13 s"), (119, "119 s"), (120, "2 min"), (3600, "60 min"), (7200, "2 h"), (9000, "2.5 h")],
)
def test_a_time_in_words(seconds: float, said: str) -> None:
    assert lasting(seconds) == said


@pytest.mark.parametrize(
    ("mib", "text"),
    [
        (0, "0 MiB"),
        (768, "768 MiB"),
        (-5, "-5 MiB"),
        (1024, "1 GiB"),
        (1792, "1.75 GiB"),
        (1025, "1 GiB"),
        (-2048, "-2 GiB"),
        (16_463_002, "15.7 TiB"),
    ],
)
def test_memory_is_readable(mib, text):
    assert readable(mib) == text


def test_a_failure_has_its_verb() -> None:
    assert (fails("n1"), fails("n1+n2")) == ("n1 fails", "n1+n2 fail")
