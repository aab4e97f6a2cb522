from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.insights.test_ledger import TAXONOMY, record
from triage.agreement import cohen_kappa
from triage.domain.taxonomy import Taxonomy
from triage.insights.live_agreement import LiveReport
from triage.insights.study import Roles
from triage.insights.study.checklist import Bars, Evidence, Gates, make_checklist
from triage.labels.annotation_job.status import AnnotatorStatus, JobStatus, PairAgreement, summarise

NOW = datetime(2026, 11, 25, tzinfo=UTC)
SMALL = Bars(least_overlap=4)


def live(gate: float | None) -> LiveReport:
    return LiveReport(computed_at=NOW, taxonomy="llm_inference", window_days=30, window_cases=500, gate=gate, facets=())


def one_facet() -> Taxonomy:
    facets = [f.model_copy(update={"triage": f.id == "category"}) for f in TAXONOMY.facets]
    return TAXONOMY.model_copy(update={"facets": tuple(facets)})


def agreeing(n: int, of: int) -> JobStatus:
    """Two people who agree on `n` of `of` incidents."""
    words = ["a", "b"] * (of // 2)
    other = [("c" if i >= n else word) for i, word in enumerate(words)]
    people = [AnnotatorStatus(annotator=name, assigned=0, done=0, labels=of, saw_model=0) for name in ("ada", "max")]
    pair = PairAgreement(facet="category", annotators=("ada", "max"), kappa=cohen_kappa(words, other))
    return JobStatus(
        annotators=tuple(people), labelled=of, overlap=of, open=0, unconfirmed=0, settled=0, agreement=(pair,)
    )


def corpus(**changes: object) -> Evidence:
    records = [record(f"i{n}", "restart") for n in range(10)]
    start = Evidence(
        one_facet(),
        records,
        agreeing(60, 60),
        [NOW - timedelta(days=3)],
        Gates(2, ("nightly",), 1, NOW),
        live(0.6),
        Roles.load(TAXONOMY),
    )
    return start._replace(**changes)  # type: ignore[arg-type]


def fulfilled(given: Evidence, bars: Bars = SMALL) -> dict[str, bool]:
    return {step.id: step.is_fulfilled for step in make_checklist(given, NOW, bars).steps}


def test_each_step_is_fulfilled_by_what_was_counted() -> None:
    assert fulfilled(corpus()) == {
        "taxonomy_versioned": True,
        "two_annotators": True,
        "kappa": True,
        "detection_recorded": False,
        "times_recorded": False,
        "mitigation_recorded": True,
        "review_cadence": True,
        "gates": True,
        "live_watch": False,
    }


def test_an_empty_installation_fulfils_nothing_and_says_a_command_for_each_step() -> None:
    nothing = corpus(
        records=[], status=summarise([], {}, TAXONOMY), adjudicated=[], gates=Gates(0, (), 0, None), live=live(None)
    )
    found = make_checklist(nothing, NOW)
    assert not found.is_fulfilled
    assert not any(step.is_fulfilled for step in found.steps)
    assert all("triage " in step.next and step.evidence for step in found.steps)
    assert "2511.07424" in found.source


def test_a_kappa_whose_interval_reaches_below_the_bar_is_not_at_it() -> None:
    unsure = agreeing(18, 20)
    assert unsure.agreement[0].kappa.value == pytest.approx(0.83, abs=0.05)
    assert not fulfilled(corpus(status=unsure))["kappa"]
    assert fulfilled(corpus(status=unsure), SMALL._replace(kappa=0.3))["kappa"]


def test_what_was_settled_long_ago_is_no_cadence() -> None:
    assert not fulfilled(corpus(adjudicated=[NOW - timedelta(days=91)]))["review_cadence"]


def test_detection_is_recorded_by_a_time_or_by_a_label_that_tells() -> None:
    def told(label: str) -> bool:
        records = [(i, labels | {"detection": (label,)}) for i, labels in corpus().records]
        return fulfilled(corpus(records=records))["detection_recorded"]

    assert told("automated")
    assert not told("undisclosed")


def test_the_facets_that_tell_of_detection_and_mitigation_are_found_by_their_roles() -> None:
    def steps(*said: str) -> dict[str, bool]:
        records = [(i, {"severity": ("high",), "modality": ("image",)}) for i, _ in corpus().records]
        roles = Roles().given(TAXONOMY, said)
        return fulfilled(corpus(records=records, roles=roles))

    assert not steps()["detection_recorded"]
    assert steps("automated=severity:high")["detection_recorded"]
    assert not steps("automated=severity:high", "undisclosed=severity:high")["detection_recorded"]
    assert steps("hotfix=modality:image")["mitigation_recorded"]


def test_a_label_that_the_version_does_not_have_is_told() -> None:
    incident, labels = record("old", "restart")
    assert not fulfilled(corpus(records=[(incident, labels | {"category": ("gone",)})]))["taxonomy_versioned"]
