from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from triage.history import Example
from triage.history.browsing import CLOSEST, browse, excerpt

TEXTS = st.text(alphabet=" \n.abcdeé-<>&", max_size=700)


def example(
    name: str, text: str, *, day: int | None = None, at: tuple[float, float] = (1, 0), **labels: str
) -> Example:
    vector = np.array(at, dtype=np.float32) / np.linalg.norm(at)
    occurred_at = None if day is None else datetime(2026, 1, day, tzinfo=UTC)
    return Example(name, text, vector, {facet: (label,) for facet, label in labels.items()}, occurred_at=occurred_at)


SWITCH = example("switch", "The switch failed.", day=3, kind="network", place="core")
DISK = example("disk", "The disk was full.", day=5, at=(0, 1), kind="storage", place="core")
CABLE = example("cable", "A cable was cut.", at=(0, 1), kind="network", place="edge")
ALL = (SWITCH, DISK, CABLE)


def ids(found: object) -> list[str]:
    return [hit.example.incident_id for hit in found.hits]  # type: ignore[attr-defined]


def test_without_a_search_all_are_there_newest_first_and_those_of_unknown_time_last() -> None:
    found = browse(ALL)
    assert ids(found) == ["disk", "switch", "cable"]
    assert (found.n, found.of) == (3, 3)
    assert found.counts == {"kind": {"network": 2, "storage": 1}, "place": {"core": 2, "edge": 1}}


def test_labels_of_a_facet_are_alternatives_and_facets_are_conditions() -> None:
    found = browse(ALL, chosen={"kind": ("network", "storage"), "place": ("core",)})
    assert ids(found) == ["disk", "switch"]
    # What would be there with one more label: of the own facet beside the chosen ones, of others on top of them.
    assert found.counts == {"kind": {"network": 1, "storage": 1}, "place": {"core": 2, "edge": 1}}
    narrowed = browse(ALL, chosen={"kind": ("storage",), "place": ("edge",)})
    assert (ids(narrowed), narrowed.n) == ([], 0)
    assert narrowed.counts == {"kind": {"network": 1}, "place": {"core": 1}}


def test_what_is_to_be_left_out_is_neither_found_nor_counted() -> None:
    everything, found = browse(ALL), browse(ALL, without={"disk"})
    assert ids(found) == [one for one in ids(everything) if one != "disk"]
    assert (found.n, found.of) == (everything.n - 1, everything.of)
    assert sum(found.counts["kind"].values()) == sum(everything.counts["kind"].values()) - 1
    assert "disk" not in ids(browse(ALL, "disk", np.array([0.0, 1.0], dtype=np.float32), without={"disk"}))


def test_by_words_only_what_holds_one_is_found() -> None:
    found = browse(ALL, "switch or cable", mode="words")
    assert ids(found) == ["cable", "switch"]
    assert found.hits[0].similarity is None
    assert browse(ALL, "the", mode="words").n == 0


def test_by_meaning_the_closest_are_found_whatever_their_words() -> None:
    many = [example(f"{n:03}", "words", at=(n + 1, 100)) for n in range(CLOSEST + 20)]
    found = browse(many, "anything", np.array([1.0, 0.0], dtype=np.float32), mode="meaning", k=3)
    assert found.n == CLOSEST
    assert ids(found) == ["069", "068", "067"]


def test_words_and_meaning_together_put_first_what_both_speak_for() -> None:
    found = browse(ALL, "disk", np.array([0.0, 1.0], dtype=np.float32))
    assert ids(found)[0] == "disk"
    assert ids(found)[1] == "cable"


@given(TEXTS, st.sampled_from(["", "abc", "ab", "é"]))
def test_an_excerpt_is_a_stretch_of_the_text_with_its_words_told_apart(text: str, word: str) -> None:
    pieces = excerpt(text, frozenset({word} if word else ()))
    joined = "".join(piece.text for piece in pieces)
    assert joined.removeprefix("… ").removesuffix(" …") in text
    assert len(joined) <= 284
    assert all(piece.text.casefold() == word for piece in pieces if piece.is_match)


def test_an_excerpt_is_around_the_first_word_that_is_searched_for() -> None:
    pieces = excerpt("filler " * 60 + "the Needle here " + "more " * 80, frozenset({"needle"}))
    assert [piece.text for piece in pieces if piece.is_match] == ["Needle"]
    assert (pieces[0].text, pieces[-1].text) == ("… ", " …")
    assert not any(piece.text.endswith(("mor", "mo", "m")) for piece in pieces)
