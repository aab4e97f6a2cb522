"""Series by month: which there are, and that a corpus in which nothing changes is said to change as rarely as told."""

from __future__ import annotations

import numpy as np
import pytest

from tests.insights.study.conftest import TAXONOMY, corpus, record
from triage.domain.taxonomy import Taxonomy
from triage.insights.study.corpus import Corpus, Record
from triage.insights.study.trends import LEVEL, trends


def even(seed: int, count: int, *, before: float = 0.5) -> list[Record]:
    """Incidents on days by lot in two years; engine ones with probability `before` in the first, half in the second."""
    lots = np.random.default_rng(seed)
    made = []
    for number in range(count):
        day = float(lots.integers(730))
        is_engine = lots.random() < (before if day < 365 else 0.5)
        labels = {"category": ("inference_engine",), "failure_mode": ("crash",)} if is_engine else {}
        made.append(record(number, labels or {"category": ("infrastructure",), "failure_mode": ("node",)}, days=day))
    return made


def test_each_label_has_its_number_and_its_share() -> None:
    told = trends(corpus(even(1, 300, before=0.1)))
    by_name = {one.what: one for one in told}
    assert list(by_name) == ["all incidents", "infrastructure", "inference_engine", "crash", "node"]
    engine = by_name["inference_engine"]
    assert by_name["all incidents"].share is None
    assert engine.number is not None
    assert engine.share is not None
    assert [change.month for change in engine.share.changes] == ["2025-01"]
    (change,) = engine.share.changes
    assert change.before == pytest.approx(0.1, abs=0.05)
    assert change.after == pytest.approx(0.5, abs=0.1)
    assert [(level.first, level.last) for level in engine.share.levels] == [
        ("2024-01", "2024-12"),
        ("2025-01", "2025-12"),
    ]
    assert sum(month.n for month in engine.months) == engine.n
    assert all(month.n == len(month.incident_ids) <= month.of for month in engine.months)


def test_the_level_of_a_number_is_incidents_a_month() -> None:
    told = trends(corpus([record(n, {}, days=n * 5.0) for n in range(73)]))
    assert told[0].number is not None
    assert told[0].number.levels[0].value == pytest.approx(73 / 12, abs=0.1)


def test_a_corpus_in_which_nothing_changes_is_said_to_change_as_rarely_as_said() -> None:
    said = 0
    for seed in range(60):
        told = trends(corpus(even(seed, 120)), seed=seed)
        courses = [course for one in told for course in (one.number, one.share) if course]
        assert len(courses) == 9
        said += any(course.changes for course in courses)
    # Binomial(60, 0.05) exceeds 8 with a probability below 0.01.
    assert LEVEL == 0.05
    assert said <= 8


def test_those_that_do_not_tell_are_in_no_share() -> None:
    records = [record(n, {"detection": ("automated" if n % 2 else "undisclosed",)}, days=n * 9.0) for n in range(60)]
    detection = TAXONOMY.model_copy(update={"facets": (TAXONOMY.facet("detection"),)})
    told = trends(Corpus("a corpus", detection, tuple(records), "given by people"))
    assert [one.what for one in told] == ["all incidents", "automated"]
    assert [(month.n, month.of) for month in told[1].months][:2] == [(2, 2), (1, 1)]


def test_the_first_labelled_facet_is_followed_where_none_refines_another() -> None:
    reports = Taxonomy.load("cloud_reports")
    records = [record(n, {"service_category": ("network",)}, days=n) for n in range(9)]
    told = trends(Corpus("a corpus", reports, tuple(records), "given by people"))
    assert [(one.facet, one.what) for one in told[1:]] == [("service_category", "network")]


def test_months_without_an_incident_are_there_too() -> None:
    told = trends(corpus([record(1, {"category": ("operational",)}, days=0), record(2, {}, days=100)]))
    assert [(month.month, month.n) for month in told[0].months] == [
        ("2024-01", 1),
        ("2024-02", 0),
        ("2024-03", 0),
        ("2024-04", 1),
    ]
