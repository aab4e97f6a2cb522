"""Repeat offenders by words and by meaning."""

from __future__ import annotations

import math
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.insights.study.conftest import corpus, record
from triage.insights.study.repeats import (
    RUN,
    SHARED,
    AlikeMeaning,
    AlikeWords,
    find_repeats,
    groups_of,
    lowest_similarity,
)

TEXT = "the switch in the third hall lost its power supply and half of the hosts could not be reached for an hour"
CLOSING = "This incident has been resolved and we are sorry for the trouble that it made for all of our customers"

WORDS = st.lists(st.sampled_from("abcdefgh"), max_size=12).map(" ".join)


def test_texts_that_are_nearly_the_same_make_a_group() -> None:
    texts = [TEXT, "Something else altogether went wrong in another place on that day", TEXT + " again"]
    found = find_repeats(corpus([record(n, {}, days=9 - n, text=text) for n, text in enumerate(texts)]))
    assert [group.incident_ids for group in found.groups] == [("i2", "i0")]
    assert (found.n_groups, found.n_repeated, found.n_compared_by_meaning) == (1, 2, 0)
    assert found.groups[0].first == "2024-01-08"


def test_numbers_make_no_difference() -> None:
    texts = [f"At 1{n}:0{n} UTC {n * 7} of the hosts in hall {n} went away" for n in range(3)]
    assert groups_of(3, [AlikeWords(texts)]) == [[0, 1, 2]]


def test_what_every_write_up_ends_with_makes_none_a_repeat() -> None:
    own = [
        f"Component {chr(97 + n)}{chr(98 + n)} of the {chr(99 + n)}x line broke its {chr(100 + n)}y" for n in range(20)
    ]
    assert groups_of(20, [AlikeWords([f"{text}. {CLOSING}." for text in own])]) == []


def test_nobody_is_in_a_group_for_being_alike_to_one_who_is_alike_to_its_head() -> None:
    angles = np.array([0.0, 0.4, 0.8, 2.5])
    vectors = {f"i{n}": np.array([np.cos(a), np.sin(a)], dtype=np.float32) for n, a in enumerate(angles)}
    made = corpus([record(n, {"severity": ("low",)}, text=f"{n} " * 9 + "xyz"[n % 3] * n) for n in range(4)])
    found = find_repeats(made, vectors, similarity=0.9)
    # The middle one is alike to both; these two are not alike to one another.
    assert [(group.head, group.incident_ids) for group in found.groups] == [("i1", ("i0", "i1", "i2"))]
    assert found.groups[0].labels == {"severity": "low"}
    assert found.groups[0].lowest_similarity == pytest.approx(np.cos(0.8))
    chain = np.array([[np.cos(a), np.sin(a)] for a in (0.0, 0.4, 0.8, 1.2)], dtype=np.float32)
    assert groups_of(4, [AlikeMeaning(4, range(4), chain, 0.9)]) == [[1, 0, 2]]


def test_embeddings_of_some_leave_the_others_to_their_words() -> None:
    made = corpus([record(n, {}, text=TEXT if n < 2 else f"other {'xyz'[n - 2]} thing") for n in range(5)])
    same = np.array([1.0, 0.0], dtype=np.float32)
    found = find_repeats(made, {"i3": same, "i4": same})
    assert [group.incident_ids for group in found.groups] == [("i0", "i1"), ("i3", "i4")]
    assert found.n_compared_by_meaning == 2


@settings(deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=8))
def test_what_is_alike_is_what_a_comparison_of_each_pair_says(texts: list[str]) -> None:
    found = AlikeWords(texts)
    assert [found.of(place).tolist() for place in range(len(texts))] == by_pairs(texts)


def test_runs_that_stand_in_many_texts_are_counted_like_the_others() -> None:
    lots = np.random.default_rng(2)
    sentences = [" ".join(lots.choice(list("abcdefghijk"), size=6)) for _ in range(4)]
    texts = [
        ". ".join([*lots.choice(sentences, size=3), " ".join(lots.choice(list("uvwxyz"), size=5))]) for _ in range(150)
    ]
    found = AlikeWords(texts)
    expected = by_pairs(texts)
    assert sum(map(len, expected)) > 0
    assert [found.of(place).tolist() for place in range(len(texts))] == expected


def test_the_lowest_similarity_is_that_of_the_two_that_are_least_alike() -> None:
    vectors = np.random.default_rng(0).normal(size=(1100, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    assert lowest_similarity(vectors) == pytest.approx(float((vectors @ vectors.T).min()), abs=1e-6)


def by_pairs(texts: list[str]) -> list[list[int]]:
    """For each text the places of those alike to it, each pair compared for itself."""
    runs = [_runs(text) for text in texts]
    times = Counter(run for each in runs for run in each)
    weight = {run: math.log1p(len(texts) / n) - math.log(2) + 0.01 for run, n in times.items()}

    def total(some: set[tuple[str, ...]]) -> float:
        return math.fsum(weight[run] for run in some)

    def are_alike(mine: set[tuple[str, ...]], theirs: set[tuple[str, ...]]) -> bool:
        return bool(mine and theirs) and total(mine & theirs) >= SHARED * max(total(mine), total(theirs)) - 1e-9

    return [
        [place for place, theirs in enumerate(runs) if place != own and are_alike(mine, theirs)]
        for own, mine in enumerate(runs)
    ]


def _runs(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", re.sub(r"\d+", "0", text.casefold()))
    if len(words) < RUN:
        return {tuple(words)} if words else set()
    return {tuple(words[n : n + RUN]) for n in range(len(words) - RUN + 1)}
