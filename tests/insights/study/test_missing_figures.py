"""What a corpus can't tell is said, with what to do about it."""

from __future__ import annotations

from datetime import timedelta

from tests.insights.study.conftest import BEGIN, TAXONOMY, by_lot, corpus, record
from triage.domain.annotation import Annotation
from triage.domain.taxonomy import Taxonomy
from triage.insights.study import Corpus, Roles, StudyOptions, make_study

QUICK = StudyOptions(draws=99, resamples=50)
ROLES = Roles.load(TAXONOMY)


def told(made: Corpus, roles: Roles = ROLES, options: StudyOptions = QUICK) -> dict[str, str]:
    """Figure -> why it is missing."""
    return {one.figure: one.why for one in make_study(made, roles, options).missing}


def test_a_corpus_without_anything_misses_everything() -> None:
    found = make_study(
        corpus([record(1, {})._replace(incident=record(1, {}).incident.model_copy(update={"started_at": None}))]),
        ROLES,
        QUICK,
    )
    figures = {one.figure for one in found.missing}
    assert {
        "shares of category",
        "shares of failure mode",
        "shares of severity",
        "how incidents were detected, and detection gaps",
        "mitigations, hotfixes, and what automation would save",
        "time to detect",
        "time to mitigate",
        "incidents by month, and changes",
        "repeats told in other words",
        "agreement of the labels",
    } <= figures
    assert all(one.how for one in found.missing)


def test_a_taxonomy_without_roles_says_how_to_give_them() -> None:
    reports = Taxonomy.load("cloud_reports")
    made = Corpus("a corpus", reports, (record(1, {"root_cause": ("deploy",)}),), "given by people")
    found = {one.figure: one.how for one in make_study(made, Roles(), QUICK).missing}
    assert "--role automated=FACET:LABEL" in found["how incidents were detected, and detection gaps"]
    assert "role: mitigation" in found["mitigations, hotfixes, and what automation would save"]


def test_the_fields_that_are_missing_are_counted() -> None:
    found = told(corpus([record(n, {}) for n in range(3)]))
    assert found["time to detect"] == "of 3 incidents 3 have started_at, 0 have detected_at"
    assert found["changes over time"] == "there are 3 incidents with a known start in 1 months"


def test_incidents_without_an_end_ask_until_when_they_were_seen_going_on() -> None:
    made = corpus([record(n, {}, ttm=9 if n < 6 else None) for n in range(9)])
    assert told(made)["time to mitigate of incidents without an end"].startswith("3 have started_at and no end")
    until = QUICK._replace(observed_until=BEGIN + timedelta(days=2))
    assert "time to mitigate of incidents without an end" not in told(made, options=until)


def test_what_is_there_is_not_missed() -> None:
    made = by_lot(3, 120)
    annotations = [
        Annotation(incident_id=one.id, facet="category", labels=one.labels["category"], annotator=who)
        for who in ("ada", "bob")
        for one in made.records
        if "category" in one.labels
    ]
    found = told(made._replace(annotations=tuple(annotations)))
    assert "agreement of the labels" not in found
    assert "shares of category" not in found
    assert "what automation would save" not in found
