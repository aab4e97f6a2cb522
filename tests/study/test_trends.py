"""Changes over time: found where there is one, rarely where there is none."""

from __future__ import annotations

import numpy as np

from tests.study.conftest import corpus, record
from triage.study.trends import change_in_counts, change_in_share, trends

YEAR = np.full(24, 30.0)


def test_a_rate_that_triples_is_found_where_it_does() -> None:
    counts = np.array([2.0] * 12 + [6.0] * 12)
    found = change_in_counts(counts, YEAR)
    assert found is not None
    assert found.at == 12
    assert found.p < 0.01


def test_a_share_that_rises_is_found_though_the_number_stays() -> None:
    counts, hits = np.full(24, 5.0), np.array([0.0] * 10 + [3.0] * 14)
    found = change_in_share(hits, counts)
    assert found is not None
    assert found.at == 10
    assert found.p < 0.01


def test_chance_alone_is_called_a_change_as_rarely_as_said() -> None:
    lots = np.random.default_rng(5)
    ps = []
    for seed in range(200):
        found = change_in_counts(lots.poisson(3.0, 24).astype(float), YEAR, shuffles=199, seed=seed)
        ps.append(found.p if found else 1.0)
    # Binomial(200, 0.05) exceeds 18 with a probability below 0.01.
    assert sum(p <= 0.05 for p in ps) <= 18


def test_too_little_is_not_looked_at() -> None:
    assert change_in_counts(np.array([9.0, 9.0, 9.0, 9.0, 9.0]), np.ones(5)) is None
    assert change_in_counts(np.ones(12), np.ones(12)) is None


def test_months_without_an_incident_are_there_too() -> None:
    told = trends(corpus([record(1, {"category": ("operational",)}, days=0), record(2, {}, days=100)]))
    assert [(month.month, len(month.incident_ids)) for month in told[0].months] == [
        ("2024-01", 1),
        ("2024-02", 0),
        ("2024-03", 0),
        ("2024-04", 1),
    ]
