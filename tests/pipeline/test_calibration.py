from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from triage.domain.errors import InvalidInput, MisconfiguredService, NotFound
from triage.domain.taxonomy import Taxonomy
from triage.pipeline.calibration import LEAST_CASES, Calibrator, Circumstances, Observation, cross_fit, fit
from triage.pipeline.decision import FacetRule, combine, decide

TAXONOMY = Taxonomy.load("llm_inference")
CATEGORY, MODE, MITIGATION = (TAXONOMY.facet(name) for name in ("category", "failure_mode", "mitigation"))
NOW = Circumstances(taxonomy="llm_inference@1.0.0", prompts=("letters@1.0.0",), model="m", embedder="e")


def observed(count: int, *, knowing: str = "words", seed: int = 0) -> list[Observation]:
    """Cases in which one source is mostly right, and nearly always where it is sure; all others guess."""
    rng = np.random.default_rng(seed)
    cases = []
    for n in range(count):
        gold = str(rng.choice(CATEGORY.ids))
        mode = str(rng.choice([label.id for label in MODE.children([gold])]))
        sources = {}
        for source in ("model", "definitions", "words", "embedding"):
            sure = bool(rng.random() < 0.5)
            guess = (
                gold if source == knowing and rng.random() < (0.97 if sure else 0.6) else str(rng.choice(CATEGORY.ids))
            )
            rest = 0.03 if sure else 0.15
            sources[source] = {label: 1 - 3 * rest if label == guess else rest for label in CATEGORY.ids}
        guess = max(sources[knowing], key=sources[knowing].__getitem__) if knowing in sources else gold
        stated = mode if guess == gold else MODE.children([guess])[0].id
        modes = {"words": {label: 0.5 if label == stated else 0.01 for label in MODE.ids}}
        several = {"model": {"restart": float(rng.random() < 0.5), "rollback": 0.9}}
        cases.append(
            Observation(
                {"category": sources, "failure_mode": modes, "mitigation": several},
                {"category": (gold,), "failure_mode": (mode,), "mitigation": ("restart",)},
                n % 5,
            )
        )
    return cases


def test_the_source_that_knows_is_listened_to() -> None:
    calibration = fit(TAXONOMY, observed(200), 0.8)["category"]

    weights = calibration.weights
    assert weights["words"] > 2 * max(weight for source, weight in weights.items() if source != "words")
    assert calibration.kappa is not None
    assert calibration.kappa_before is not None
    assert (calibration.kappa.value or 0) > (calibration.kappa_before.value or 0)


def test_probabilities_come_closer_to_what_comes_true() -> None:
    calibration = fit(TAXONOMY, observed(400), 0.8)["category"]

    assert calibration.ece is not None
    assert calibration.ece_before is not None
    assert calibration.ece < calibration.ece_before / 3


def test_a_case_is_decided_by_a_rule_that_never_saw_its_fold() -> None:
    cases = observed(100)
    turned = [o._replace(gold={"category": ("operational",)}) if o.fold == 0 else o for o in cases]
    one, other = cross_fit(CATEGORY, cases), cross_fit(CATEGORY, turned)

    assert one is not None
    assert other is not None
    assert np.allclose(one.after[::5], other.after[::5])
    assert not np.allclose(one.after, other.after)


def test_it_abstains_so_that_what_it_says_is_as_right_as_wanted() -> None:
    calibration = fit(TAXONOMY, observed(300), 0.95)["category"]

    assert calibration.precision is not None
    assert calibration.precision >= 0.95
    assert 0 < (calibration.coverage or 0) < 1
    assert calibration.abstain_below > 0


def test_an_unreachable_precision_is_told_by_the_best_that_is_reached() -> None:
    calibration = fit(TAXONOMY, observed(100, knowing="nobody"), 0.99)["category"]

    assert calibration.precision is not None
    assert calibration.precision < 0.99


def test_a_child_facet_is_fitted_under_its_parents_and_labels_of_equal_standing_get_a_threshold() -> None:
    found = fit(TAXONOMY, observed(120), 0.8)

    assert set(found) == {"category", "failure_mode", "mitigation"}
    assert 0 < found["mitigation"].second_label < 1
    # One label is always right and the other never: the biases tell them apart.
    assert found["mitigation"].biases["restart"] > found["mitigation"].biases["rollback"]


def test_too_few_cases_are_refused_with_what_is_needed() -> None:
    with pytest.raises(InvalidInput, match=f"{LEAST_CASES} cases"):
        fit(TAXONOMY, observed(LEAST_CASES - 1), 0.8)


def test_a_calibrator_survives_its_file_and_is_refused_where_it_does_not_fit(tmp_path: Path) -> None:
    made = Calibrator(
        circumstances=NOW, data="suite", data_sha256="0" * 64, cases=60, facets=fit(TAXONOMY, observed(60), 0.8)
    )
    made.write(tmp_path / "new" / "c.json")
    read = Calibrator.read(tmp_path / "new" / "c.json")

    assert read == made
    assert read.calibration(NOW).rules["category"].is_calibrated
    with pytest.raises(MisconfiguredService, match=r"model m \(now other\).*triage calibrate"):
        read.calibration(NOW.model_copy(update={"model": "other"}))


def test_a_missing_or_damaged_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"nowhere\.json"):
        Calibrator.read(tmp_path / "nowhere.json")
    (tmp_path / "bad.json").write_text('{"cases": 1}')
    with pytest.raises(MisconfiguredService, match="is not a calibrator"):
        Calibrator.read(tmp_path / "bad.json")


def test_an_abstention_says_which_labels_are_close_and_what_would_settle_it() -> None:
    rule = FacetRule({"words": 1.0}, abstain_below=0.6, is_calibrated=True)
    words = {"infrastructure": 0.5, "inference_engine": 0.45, "operational": 0.03, "model_configuration": 0.02}
    result = decide(TAXONOMY, {}, [], {"category": {"words": words}}, {"category": rule})["category"]

    assert result.labels == ()
    assert result.is_calibrated
    assert result.abstention is not None
    assert "infrastructure (50%), inference_engine (45%)" in result.abstention
    assert CATEGORY.label("infrastructure").deciding_rule in result.abstention
    assert result.distribution[0].label == "infrastructure"


def test_a_child_of_an_undecided_parent_is_undecided_too() -> None:
    rule = FacetRule({"words": 1.0}, abstain_below=0.99, is_calibrated=True)
    words = dict.fromkeys(CATEGORY.ids, 1 / 4)
    modes = {"words": {label: 1 / len(MODE.ids) for label in MODE.ids}}
    results = decide(TAXONOMY, {}, [], {"category": {"words": words}, "failure_mode": modes}, {"category": rule})

    assert results["failure_mode"].labels == ()
    assert "category is not decided" in (results["failure_mode"].abstention or "")


def test_a_rule_that_counts_on_an_absent_source_is_not_used() -> None:
    rule = FacetRule({"model": 1.0, "words": 1.0}, abstain_below=1.0, is_calibrated=True)
    words = {"infrastructure": 0.9, "operational": 0.1}
    result = decide(TAXONOMY, {}, [], {"category": {"words": words}}, {"category": rule})["category"]

    assert result.labels == ("infrastructure",)
    assert not result.is_calibrated


def test_biases_move_labels() -> None:
    sources = {"words": dict.fromkeys(CATEGORY.ids, 0.25)}
    rule = FacetRule({"words": 1.0}, {"operational": 1.0})

    assert next(iter(combine(CATEGORY, sources, rule))) == "operational"
