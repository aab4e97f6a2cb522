"""Which incidents fit no label, and why."""

from __future__ import annotations

import numpy as np
import pytest

from tests.insights.radar.parts import BEGIN, FACET, result
from triage.domain.incident import Incident
from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import FacetResult
from triage.insights.radar import Sighting
from triage.insights.radar.findings import reasons, usual_nearest

SERVICE = Taxonomy.load("cloud_reports").facet("service_category")


def seen(**fields: object) -> Sighting:
    return Sighting(Incident(id="a", write_up="It failed."), BEGIN)._replace(**fields)


def kinds(sighting: Sighting, usual: float | None = None) -> list[str]:
    return [reason.kind for reason in reasons(FACET, sighting, 0.6, usual)]


def test_an_abstention_an_unlikely_label_and_a_place_far_from_all_others_are_reasons() -> None:
    assert kinds(seen(result=result(0.3, None))) == ["abstained"]
    assert kinds(seen(result=result(0.59))) == ["unlikely"]
    assert kinds(seen(result=result(0.6))) == []
    assert kinds(seen(result=result(0.9), nearest=0.3), usual=0.4) == ["far"]
    assert kinds(seen(result=result(0.2, None), nearest=0.3), usual=0.4) == ["abstained", "far"]
    assert kinds(seen(nearest=0.4), usual=0.4) == []


def test_the_reason_says_its_figures_and_whether_they_are_calibrated() -> None:
    unsure, far = reasons(FACET, seen(result=result(0.31), nearest=0.25), 0.6, 0.4)
    assert unsure.detail == "infrastructure has a probability of 31%, not calibrated: below 60%."
    assert "0.25" in far.detail
    assert "0.40" in far.detail
    sure_of_it = result(0.31).model_copy(update={"is_calibrated": True})
    assert "not calibrated" not in reasons(FACET, seen(result=sure_of_it), 0.6, None)[0].detail


@pytest.mark.parametrize(
    ("probability", "told"), [(0.42, "42%: below 70%"), (0.698, "69.8%: below 70.0%"), (0.6996, "69.96%: below 70.00%")]
)
def test_a_probability_just_below_what_is_asked_for_is_told_apart_from_it(probability: float, told: str) -> None:
    sure_of_it = result(probability).model_copy(update={"is_calibrated": True})
    (reason,) = reasons(FACET, seen(result=sure_of_it), 0.7, None)
    assert reason.detail == f"infrastructure has a probability of {told}."


def test_a_gold_label_fits_whatever_triage_says_unless_it_is_marked_as_residual() -> None:
    assert kinds(seen(labels=("operational",), result=result(0.1), nearest=0.0), usual=0.4) == []
    (reason,) = reasons(SERVICE, seen(labels=("others",)), 0.6, None)
    assert (reason.kind, "(gold)" in reason.detail) == ("residual", True)
    said = FacetResult(facet="service_category", labels=("others",), probability=0.9)
    assert [one.kind for one in reasons(SERVICE, seen(result=said), 0.6, None)] == ["residual"]


def test_a_write_up_that_does_not_tell_makes_no_new_label() -> None:
    facet = Taxonomy.load("llm_inference").facet("detection")
    silent = next(label.id for label in facet.labels if label.undisclosed)
    unsure = FacetResult(facet="detection", labels=(silent,), probability=0.2)
    assert reasons(facet, seen(result=unsure, nearest=0.0), 0.6, 0.4) == ()
    assert reasons(facet, seen(labels=(silent,)), 0.6, 0.4) == ()


def test_the_mark_changes_neither_fingerprint_nor_dumps() -> None:
    taxonomy = Taxonomy.load("cloud_reports")
    assert [label.id for facet in taxonomy.facets for label in facet.labels if label.residual] == ["others"] * 3
    assert "residual" not in taxonomy.model_dump_json()


def test_what_is_usual_needs_enough_incidents_and_leaves_out_the_incident_itself() -> None:
    lots = np.random.default_rng(0).normal(size=(40, 8)).astype(np.float32)
    unit = lots / np.linalg.norm(lots, axis=1, keepdims=True)
    usual = usual_nearest(unit, 0.05)

    assert usual is not None
    assert usual < 0.99
    assert usual == pytest.approx(np.quantile(np.sort(unit @ unit.T, axis=1)[:, -2], 0.05), abs=1e-6)
    assert usual_nearest(unit[:19], 0.05) is None
    assert usual_nearest(np.zeros((0, 0), dtype=np.float32), 0.05) is None
