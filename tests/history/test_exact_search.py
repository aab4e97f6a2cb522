"""A history in memory finds what an index of the same incidents finds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tests.parts import DIMENSION, HashingEmbedder
from triage.domain.incident import Incident
from triage.history.chroma import ChromaHistory
from triage.history.exact_search import ExactSearch
from triage.history.retrieval import DEFAULT_RANKING

START = datetime(2026, 1, 1, tzinfo=UTC)
WORDS = ("router", "cache", "power", "release", "disk", "queue", "switch", "token", "shard", "tenant")


def text(n: int) -> str:
    """Some words in an order of their own."""
    return " ".join(WORDS[(n * n + n * step) % 10] + ("" if step % 3 else str(n % 4)) for step in range(3 + n % 9))


@pytest.mark.parametrize("half_life_days", [None, 30.0])
async def test_the_neighbours_are_those_of_the_index(half_life_days: float | None) -> None:
    ranking, embedder = DEFAULT_RANKING._replace(half_life_days=half_life_days), HashingEmbedder()
    history = ChromaHistory.open(None, embedder.fingerprint, ranking)
    incidents = [
        Incident(id=f"i{n:03}", title=f"No. {n}", write_up=text(n), started_at=START + timedelta(days=n))
        for n in range(60)
    ]
    vectors = await embedder.embed([incident.text for incident in incidents])
    await history.remember([(each, {"category": (f"c{n % 3}",)}) for n, each in enumerate(incidents)], vectors)
    held = ExactSearch(await history.examples(""), ranking)

    for n in range(5):
        asked = f"No. {n}\n\n{text(n)} unlike"
        vector = (await embedder.embed([asked]))[0]
        found = await history.neighbours(asked, vector, 7, exclude={"i003"})
        same = held.neighbours(asked, vector, 7, {"i003"})
        assert [one.incident_id for one in same] == [one.incident_id for one in found]
        for one, other in zip(same, found, strict=True):
            assert one.similarity == pytest.approx(other.similarity, abs=1e-5)
            assert one.model_copy(update={"similarity": 0}) == other.model_copy(update={"similarity": 0})
    history.close()


def test_an_empty_history_finds_nothing() -> None:
    assert ExactSearch([]).neighbours("anything", np.ones(DIMENSION, dtype=np.float32), 5) == []
