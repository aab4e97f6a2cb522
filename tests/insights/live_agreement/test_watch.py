"""Live agreement over a real store: windows, alerts, and when there are none."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from triage.domain.annotation import Annotation
from triage.domain.incident import Incident
from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import FacetResult, Provenance, Triage
from triage.insights.live_agreement import LiveAgreement, LiveOptions, LiveReport
from triage.insights.live_agreement.watch import LiveFacet, live_facet
from triage.store import Judgement, Store

TAXONOMY = Taxonomy.load("engine_issues")
FACET = TAXONOMY.facet("issue_type")
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SURE = LiveOptions(gate=0.6)


async def incident(
    store: Store, key: str, label: str, person: str | None = None, *, days_ago: float = 1, team: str = "default"
) -> None:
    at = NOW - timedelta(days=days_ago)
    await store.incidents.add(Incident(id=key, write_up=f"Write-up of {key}."), TAXONOMY.id, team)
    result = FacetResult(facet="issue_type", labels=(label,))
    provenance = Provenance(taxonomy=TAXONOMY.id, taxonomy_version=TAXONOMY.version)
    triage = Triage(incident_id=key, facets={"issue_type": result}, provenance=provenance, created_at=at)
    await store.triages.save(key, triage)
    if person is not None:
        given = Annotation(
            incident_id=key,
            facet="issue_type",
            labels=(person,),
            annotator="ada",
            created_at=at + timedelta(minutes=1),
        )
        await store.record([given])


def judgement(label: str, *, triaged: str, saw_model: bool | None) -> Judgement:
    return Judgement("i", "issue_type", "ada", (label,), NOW, saw_model, (triaged,))


async def measured(store: Store, options: LiveOptions = SURE) -> LiveFacet:
    return (await LiveAgreement(store, TAXONOMY, options).measure(NOW)).facets[0]


async def test_a_model_that_people_keep_correcting_is_an_alert(store: Store) -> None:
    for n in range(40):
        await incident(store, f"i{n}", "bug" if n % 2 else "usage", "usage" if n % 3 else "bug")
    found = await measured(store)

    assert found.state == "below"
    assert found.kappa.n == 40
    assert found.coverage.hits == found.coverage.n == 40
    assert len(found.alerts) == 1
    assert "wholly below the gate of 0.60" in found.alerts[0]
    assert (await measured(store, LiveOptions())).alerts == ()


async def test_few_cases_are_never_an_alert(store: Store) -> None:
    for n in range(29):
        await incident(store, f"i{n}", "bug" if n % 2 else "usage", "usage" if n % 2 else "bug")
        await incident(store, f"old{n}", "performance", days_ago=40)
    found = await measured(store)

    assert found.kappa.value == pytest.approx(-1, abs=0.05)
    assert found.state == "too few"
    assert found.drift.p is not None
    assert found.drift.p < 0.01
    assert found.alerts == ()


async def test_an_interval_on_both_sides_of_the_gate_is_unsure_and_no_alert(store: Store) -> None:
    for n in range(40):
        label = "bug" if n % 2 else "usage"
        await incident(store, f"i{n}", label, label if n % 5 else "performance")

    assert (await measured(store, LiveOptions(gate=0.65))).state == "unsure"
    assert (await measured(store, LiveOptions(gate=0.3))).state == "above"


async def test_labels_that_shift_are_an_alert_and_the_window_forgets_them(store: Store) -> None:
    for n in range(40):
        await incident(store, f"old{n}", "bug" if n % 4 else "usage", days_ago=40)
        await incident(store, f"new{n}", "bug" if n % 4 == 0 else "usage", days_ago=2)
    found = await measured(store, LiveOptions())

    assert (found.drift.recent, found.drift.reference) == (40, 40)
    assert found.drift.risen == ("usage", 0.25, 0.75)
    assert len(found.alerts) == 1
    assert "usage went up from 25% to 75%" in found.alerts[0]
    assert found.coverage.hits == 0
    assert (await measured(store, LiveOptions(days=365))).drift.undefined == "the reference period has no label"


async def test_the_window_holds_the_newest_cases_and_the_reference_those_before(store: Store) -> None:
    for n in range(30):
        await incident(store, f"i{n:02}", "bug" if n < 20 else "usage", "bug", days_ago=20 - n / 2)
    found = await measured(store, LiveOptions(cases=10))

    assert found.kappa.n == 10
    assert found.kappa.observed == 0.0
    assert (found.drift.recent, found.drift.reference) == (10, 10)
    assert found.drift.risen == ("usage", 0.0, 1.0)


def test_people_who_had_not_seen_the_model_are_told_apart() -> None:
    judged = [
        judgement(
            "bug" if n % 2 else "usage",
            triaged="bug" if n % 2 or n % 3 == 1 else "usage",
            saw_model=[True, False, None][n % 3],
        )
        for n in range(30)
    ]
    found = live_facet(FACET, judged, [], [], LiveOptions())

    assert found.kappa.n == 30
    assert found.unseen.n == 10
    assert found.kappa.observed == pytest.approx(25 / 30)
    assert found.unseen.observed == pytest.approx(0.5)


def test_labels_of_equal_standing_are_measured_label_by_label(tmp_path: Path) -> None:
    facet = FACET.model_copy(update={"cardinality": "multi"})
    judged = [
        Judgement(f"i{n}", "issue_type", "ada", labels, NOW, None, labels if n % 4 else ())
        for n, labels in enumerate([("bug",), ("bug", "usage"), ("usage",), ("performance",)] * 10)
    ]
    found = live_facet(facet, judged, [], [], LiveOptions(gate=0.95))

    assert found.kappa.value is not None
    assert found.kappa.interval is not None
    assert found.kappa.interval.low < found.kappa.value < found.kappa.interval.high < 0.95
    assert found.state == "below"
    assert found.abstained == 10


async def test_a_report_is_of_the_teams_that_are_asked_for(store: Store) -> None:
    for n in range(6):
        await incident(store, f"i{n}", "bug", "bug" if n % 2 else "usage", team="one" if n < 2 else "two")
    live = LiveAgreement(store, TAXONOMY, LiveOptions(days=36_500))

    found = {
        teams: (await live.report(teams)).facets[0] for teams in (None, frozenset({"one"}), frozenset({"one", "two"}))
    }
    assert [(one.kappa.n, one.coverage.n) for one in found.values()] == [(6, 6), (2, 2), (6, 6)]


async def test_a_report_is_kept_for_a_while(store: Store) -> None:
    kept, fresh = (LiveAgreement(store, TAXONOMY, LiveOptions(refresh_s=seconds)) for seconds in (60, 0))
    before = await kept.report(), await fresh.report()
    await incident(store, "new", "bug", "bug", days_ago=(NOW - datetime.now(UTC)).total_seconds() / 86_400 + 0.1)

    assert await kept.report() is before[0]
    assert (await fresh.report()).facets[0].coverage.n == 1
    assert LiveReport.model_validate_json(before[1].model_dump_json()) == before[1]
