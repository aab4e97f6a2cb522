"""Repeat offenders by words and by meaning."""

from __future__ import annotations

import numpy as np

from tests.study.conftest import corpus, record
from triage.study.repeats import find_repeats

TEXT = "the switch in the third hall lost its power supply and half of the hosts could not be reached for an hour"


def test_texts_that_are_nearly_the_same_make_a_group() -> None:
    texts = [TEXT, "Something else altogether went wrong in another place on that day", TEXT + " again"]
    found = find_repeats(corpus([record(n, {}, days=9 - n, text=text) for n, text in enumerate(texts)]))
    assert [group.incident_ids for group in found.groups] == [("i2", "i0")]
    assert found.groups[0].first == "2024-01-08"


def test_embeddings_link_what_words_do_not_and_links_chain() -> None:
    made = corpus([record(n, {"severity": ("low",)}, text=f"{n} " * 9) for n in range(4)])
    angles = np.array([0.0, 0.4, 0.8, 2.5])
    vectors = {f"i{n}": np.array([np.cos(a), np.sin(a)], dtype=np.float32) for n, a in enumerate(angles)}
    found = find_repeats(made, vectors, similarity=0.9)
    assert [group.incident_ids for group in found.groups] == [("i0", "i1", "i2")]
    assert found.groups[0].labels == {"severity": "low"}
    assert found.groups[0].lowest_similarity == np.float32(np.cos(0.8))
    assert find_repeats(made).groups == ()
