from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.domain.incident import Incident
from triage.domain.taxonomy import Taxonomy, UnknownFacet, UnknownLabel
from triage.insights.ledger import Kind, Ledger, NoMitigationFacet, Record, ledger

TAXONOMY = Taxonomy.load("llm_inference")
START = datetime(2026, 3, 2, tzinfo=UTC)


def record(name: str, *mitigations: str, minutes: float | None = 30, severity: str = "", mode: str = "crash") -> Record:
    end = None if minutes is None else START + timedelta(minutes=minutes)
    incident = Incident(id=name, write_up="It failed.", started_at=START, mitigated_at=end, severity=severity)
    labels = {"category": ("inference_engine",), "failure_mode": (mode,)}
    return incident, labels | ({"mitigation": mitigations} if mitigations else {})


def of(records: list[Record], least: int = 3, **kind: str) -> Ledger:
    return ledger(TAXONOMY, records, Kind.of(TAXONOMY, {facet: [label] for facet, label in kind.items()}), least)


def primary_first() -> Taxonomy:
    facets = [
        facet.model_copy(update={"cardinality": "primary_first"}) if facet.role == "mitigation" else facet
        for facet in TAXONOMY.facets
    ]
    return TAXONOMY.model_copy(update={"facets": tuple(facets)})


def test_only_what_ended_it_alone_and_with_a_known_end_counts_as_ended() -> None:
    found = of(
        [
            record("a", "restart", minutes=10),
            record("b", "restart", minutes=30),
            record("c", "restart", "hotfix", minutes=80),
            record("d", "restart", minutes=None),
            record("e", "undisclosed"),
            record("f"),
        ]
    )

    restart = found.entries[0]
    assert (found.matched, found.untold) == (6, ("e", "f"))
    assert (restart.mitigation, str(restart.tried)) == ("restart", "4 of 4 [51%, 100%]")
    assert restart.ended is not None
    assert (restart.ended.hits, restart.ended.n) == (2, 3)
    assert restart.times is not None
    assert (restart.times.median, restart.times.low_quartile, restart.times.high_quartile) == (30, 20, 55)
    assert (restart.ended_alone, restart.ended_with_others, restart.end_unknown) == (("a", "b"), ("c",), ("d",))


def test_figures_of_few_incidents_are_withheld_and_said_why() -> None:
    found = of([record("a", "restart"), record("b", "restart", minutes=None)], least=3)

    assert found.withheld == "only 2 incidents of this kind name a mitigation, and figures need 3"
    entry = found.entries[0]
    assert (entry.ended, entry.times, entry.tried.low) == (None, None, None)
    assert entry.withheld == "only 1 of the 2 incidents have a known end, and figures need 3"
    assert entry.incidents == ("a", "b")


def test_the_order_of_labels_is_told_only_where_it_means_something() -> None:
    records = [record("a", "restart", "hotfix"), record("b", "restart"), record("c", "restart"), record("d", "hotfix")]
    unordered = of(records)
    ordered = ledger(primary_first(), records, Kind({}), 3)

    assert [entry.first for entry in unordered.entries] == [None, None]
    assert "means nothing" in unordered.order
    restart = ordered.entries[0].first
    assert restart is not None
    assert (restart.named, restart.followed_by, restart.incidents) == (3, {"hotfix": 1}, ("a", "b", "c"))
    assert restart.sufficed is not None
    assert (restart.sufficed.hits, restart.sufficed.n) == (2, 3)
    assert "annotator's judgement" in ordered.order


def test_a_kind_is_any_of_its_labels_in_each_facet_and_the_incidents_own_severity() -> None:
    records = [record("a", "restart", severity="SEV1"), record("b", "restart", mode="timeout", severity="sev2")]

    assert of(records, failure_mode="crash").matched == 1
    assert ledger(TAXONOMY, records, Kind.of(TAXONOMY, {"failure_mode": ["crash", "timeout"]})).matched == 2
    assert ledger(TAXONOMY, records, Kind.of(TAXONOMY, {}, "sev1 ")).matched == 1


def test_what_the_taxonomy_does_not_have_is_refused() -> None:
    with pytest.raises(UnknownFacet):
        Kind.of(TAXONOMY, {"colour": ["red"]})
    with pytest.raises(UnknownLabel):
        Kind.of(TAXONOMY, {"category": ["red"]})
    with pytest.raises(NoMitigationFacet, match="role `mitigation`"):
        ledger(Taxonomy.load("cloud_faults"), [], Kind({}))


@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(["restart", "hotfix", "rollback", "undisclosed"]), unique=True),
            st.none() | st.integers(0, 500),
        )
    )
)
def test_every_figure_is_the_count_of_the_incidents_behind_it(drawn: list[tuple[list[str], int | None]]) -> None:
    found = of([record(f"i{n}", *named, minutes=minutes) for n, (named, minutes) in enumerate(drawn)], least=1)

    assert len(found.untold) + (found.entries[0].tried.n if found.entries else 0) == found.matched
    for entry in found.entries:
        assert len(set(entry.incidents)) == len(entry.incidents) == entry.tried.hits
        if entry.ended is not None and entry.times is not None:
            assert entry.ended.hits == len(entry.ended_alone)
            assert entry.ended.n == entry.times.n == len(entry.ended_alone) + len(entry.ended_with_others)
