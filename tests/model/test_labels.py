"""Strings held compactly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vmplace.model.labels import Labels, Numbered

WORDS = st.lists(st.sampled_from("abc"), max_size=8)


def test_numbered_is_a_sequence() -> None:
    names = Numbered("n", 4)
    assert list(names) == ["n0", "n1", "n2", "n3"]
    assert (names[-1], names[1:3], len(names)) == ("n3", ["n1", "n2"], 4)
    assert "n3" in names
    assert "n4" not in names
    with pytest.raises(IndexError):
        names[4]


@given(WORDS)
def test_labels_are_what_was_written_out(words: list[str]) -> None:
    labels = Labels.of(words)
    assert list(labels) == words
    assert [labels[i] for i in range(len(words))] == words
    assert labels[1::2] == words[1::2]
    assert list(labels.words) == sorted(set(words), key=words.index)
    assert labels.are("b").tolist() == [word == "b" for word in words]
    assert labels.numbered({"a": 7, "b": 5, "c": 6}).tolist() == [{"a": 7, "b": 5, "c": 6}[word] for word in words]


@given(WORDS, WORDS)
def test_labels_are_equal_as_their_entries_are(one: list[str], other: list[str]) -> None:
    assert (Labels.of(one) == Labels.of(other)) == (one == other)
    assert Labels.of(one) != one


@pytest.mark.parametrize("count", [0, 1, 3])
def test_one_word_for_all(count: int) -> None:
    alike = Labels.alike("a", count)
    assert alike == Labels.of(["a"] * count)
    assert alike.code.strides == (0,)
    assert np.array_equal(alike.numbered({"a": 2}), np.full(count, 2))


@given(WORDS, WORDS)
def test_labels_follow_and_are_chosen(one: list[str], other: list[str]) -> None:
    both = Labels.of(one).followed_by(Labels.of(other))
    assert both == Labels.of([*one, *other])
    assert both.words == Labels.of([*one, *other]).words
    rows = np.arange(len(both))[::-2]
    assert both.chosen(rows).words == Labels.of([*one, *other][::-2]).words
    assert list(both.chosen(rows)) == [*one, *other][::-2]


def test_mappings_are_told_apart_by_what_they_hold() -> None:
    entries = [{"a": 1}, {}, {"a": True}, {"a": 1}, {"a": [1]}]
    labels = Labels.of(entries)
    assert list(map(repr, labels)) == list(map(repr, entries))
    assert len(labels.words) == 4
    assert labels == Labels.of([{"a": 1.0}, {}, {"a": True}, {"a": 1}, {"a": [1]}])
    assert Labels.of([{}, {}]).code.strides == (0,)
