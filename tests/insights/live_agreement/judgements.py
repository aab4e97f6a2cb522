"""Judgements made from labels alone."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from triage.domain.taxonomy import Taxonomy
from triage.store import Judgement

TAXONOMY = Taxonomy.load("engine_issues")
FACET = TAXONOMY.facet("issue_type")
MULTI = FACET.model_copy(update={"cardinality": "multi"})
LABELS = FACET.ids[:3]
NOW = datetime(2026, 3, 4, 9, 0, tzinfo=UTC)


def judgement(
    incident: str,
    said: str | Sequence[str],
    model: str | Sequence[str] | None,
    *,
    by: str = "ada",
    days_ago: float = 0,
    saw_model: bool | None = None,
) -> Judgement:
    """What `by` said of an incident; for the model "" is an abstention, and None no triage."""
    labels = (said,) if isinstance(said, str) else tuple(said)
    triaged = None if model is None else (model,) * bool(model) if isinstance(model, str) else tuple(model)
    return Judgement(incident, FACET.id, by, labels, NOW - timedelta(days=days_ago), saw_model, triaged)


@st.composite
def judgements(draw: st.DrawFn, most: int = 40) -> list[Judgement]:
    """Judgements as the store gives them: one of each person on an incident, the newest first."""
    label = st.sampled_from(LABELS)
    keys = st.tuples(st.integers(0, 15), st.sampled_from(["ada", "bo", "cy"]))
    words = st.tuples(label, st.none() | st.just("") | label, st.floats(0, 100), st.sampled_from([True, False, None]))
    given = draw(st.dictionaries(keys, words, max_size=most))
    found = [
        judgement(f"i{n}", said, model, by=by, days_ago=days_ago, saw_model=saw_model)
        for (n, by), (said, model, days_ago, saw_model) in given.items()
    ]
    return sorted(found, key=lambda one: one.given_at, reverse=True)
