"""Corpora for the study: made by hand, by lot, and the shipped one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from triage.domain.annotation import Labels
from triage.domain.incident import Incident
from triage.domain.taxonomy import Taxonomy
from triage.evaluation import shipped_history
from triage.insights.study import Corpus, Record

TAXONOMY = Taxonomy.load("llm_inference")
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)


def record(
    number: int, labels: Labels, *, days: float = 0, ttd: float | None = None, ttm: float | None = None, text: str = ""
) -> Record:
    """An incident that began so many days after `BEGIN`; times in minutes."""
    started = BEGIN + timedelta(days=days)
    incident = Incident(
        id=f"i{number}",
        title=f"Title {number}",
        write_up=text or f"Write-up of number {number}",
        started_at=started,
        detected_at=None if ttd is None else started + timedelta(minutes=ttd),
        mitigated_at=None if ttm is None else started + timedelta(minutes=ttm),
    )
    return Record(incident, labels)


def corpus(records: Sequence[Record]) -> Corpus:
    """A corpus of these records."""
    return Corpus("a corpus", TAXONOMY, tuple(records), "given by people")


def by_lot(seed: int, count: int) -> Corpus:
    """Incidents with labels and times by lot, some without."""
    lots = np.random.default_rng(seed)
    made = []
    for number in range(count):
        labels: Labels = {}
        child = TAXONOMY.facet("failure_mode").labels[int(lots.integers(22))]
        if lots.random() < 0.9 and child.parent:
            labels |= {"category": (child.parent,), "failure_mode": (child.id,)}
        for name in ("detection", "severity", "modality", "mitigation"):
            ids = TAXONOMY.facet(name).ids
            if lots.random() < 0.8:
                labels[name] = (str(lots.choice(ids)),)
        ttm = float(lots.integers(1, 500)) if lots.random() < 0.7 else None
        made.append(record(number, labels, days=float(lots.integers(400)), ttm=ttm))
    return corpus(made)


@pytest.fixture(scope="session")
def shipped() -> Corpus:
    """The shipped history."""
    return Corpus("the shipped history", TAXONOMY, tuple(Record(*one) for one in shipped_history()), "derived")
