"""Text and figures for people."""

import pytest

from vmplace.model.text import lasting


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "1 s"), (0.2, "1 s"), (12.6, "13 s"), (119, "119 s"), (120, "2 min"), (3600, "60 min"), (7200, "2 h"), (9000, "2.5 h")],
)
def test_a_time_in_words(seconds: float, said: str) -> None:
    assert lasting(seconds) == said
