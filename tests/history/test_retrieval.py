from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.parts import HashingEmbedder
from triage.domain.incident import Incident
from triage.domain.triage_result import Neighbour
from triage.history.chroma import ChromaHistory
from triage.history.retrieval import Ranking, bm25, by_likely_label, diverse, rank

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def neighbour(name: str, similarity: float = 0.5, label: str = "", age_days: float | None = None) -> Neighbour:
    return Neighbour(
        incident_id=name,
        similarity=similarity,
        labels={"kind": (label,)} if label else {},
        occurred_at=None if age_days is None else NOW - timedelta(days=age_days),
    )


def test_bm25_counts_a_rare_word_more_than_a_common_one() -> None:
    scores = bm25("etcd quorum", ["etcd lost a node", "quorum was lost", "etcd is slow", "a disk is full"])

    assert scores[1] > scores[0] > scores[3] == 0


def test_bm25_of_a_worked_example() -> None:
    # Two documents of one word each, so that lengths cancel: log(1 + 1.5/1.5) * 1 * 2.2 / 2.2.
    assert bm25("disk", ["disk", "network"])[0] == pytest.approx(0.6931, abs=1e-4)


def test_words_decide_between_equally_similar_incidents() -> None:
    found = rank(
        "redis ran out of connections",
        [(neighbour("power"), "a breaker tripped"), (neighbour("redis"), "redis refused new connections")],
    )

    assert [n.incident_id for n in found] == ["redis", "power"]


def test_a_half_life_prefers_the_recent_of_two_equals_and_is_off_by_default() -> None:
    candidates = [(neighbour("old", age_days=900), "same words"), (neighbour("new", age_days=3), "same words")]

    assert rank("same words", candidates, Ranking(half_life_days=90), NOW)[0].incident_id == "new"
    assert [n.incident_id for n in rank("same words", candidates, now=NOW)] == ["new", "old"]
    assert rank("same", [(neighbour("b"), "x"), (neighbour("a", 0.6), "x")])[0].incident_id == "a"


@given(st.lists(st.floats(-1, 1), max_size=12))
def test_ranking_loses_and_invents_nothing(similarities: list[float]) -> None:
    candidates = [(neighbour(f"n{i}", s), f"text {i}") for i, s in enumerate(similarities)]

    assert sorted(n.incident_id for n in rank("text", candidates)) == sorted(n.incident_id for n, _ in candidates)


def test_diverse_shows_each_kind_before_a_second_of_one() -> None:
    found = diverse([neighbour("a1", label="a"), neighbour("a2", label="a"), neighbour("b1", label="b")], 2, "kind")

    assert [n.incident_id for n in found] == ["a1", "b1"]


def test_neighbours_of_the_likely_kind_move_up() -> None:
    found = by_likely_label([neighbour("a", label="a"), neighbour("b", label="b")], "kind", {"b": 0.9, "a": 0.1})

    assert [n.incident_id for n in found] == ["b", "a"]


async def test_as_of_a_moment_later_and_undated_incidents_are_not_there() -> None:
    embedder = HashingEmbedder()
    texts = {"before": NOW - timedelta(days=1), "after": NOW + timedelta(days=1), "undated": None}
    history = ChromaHistory.open(None, embedder.fingerprint)
    incidents = [
        (Incident(id=name, write_up=f"the gateway timed out, {name}", started_at=started), {})
        for name, started in texts.items()
    ]
    await history.remember(incidents, await embedder.embed([i.text for i, _ in incidents]))
    vector = (await embedder.embed(["the gateway timed out"]))[0]
    found = await history.neighbours("the gateway timed out", vector, 5, as_of=NOW)
    known = await history.examples("the gateway timed out", as_of=NOW)
    history.close()

    assert [n.incident_id for n in found] == ["before"]
    assert [example.incident_id for example in known] == ["before"]
