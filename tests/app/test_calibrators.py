"""Which calibrator is used: a named one, the newest that fits, or a shipped one; and what is said if none fits."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.fake_openai import FakeOpenAI
from triage.app.settings import Settings
from triage.app.wiring.components import calibrators_folder, examine_calibration, find_calibration
from triage.domain.errors import MisconfiguredService, NotFound
from triage.domain.taxonomy import Taxonomy
from triage.models.embedding.onnx import MiniLM
from triage.pipeline.calibration import UNCALIBRATED, Calibrator, Circumstances, FacetCalibration
from triage.pipeline.classification.prompts import load
from triage.pipeline.decision import RULE

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "triage" / "calibrators").glob("*.json"))
NOW = Circumstances(taxonomy="mine@1.0.0", prompts=(), model="none", embedder="e")
FACET = FacetCalibration(
    n=50, weights={"words": 1.0}, biases={}, abstain_below=0, second_label=0.3, target_precision=0.8
)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for name in [name for name in os.environ if name.startswith("TRIAGE_")]:
        monkeypatch.delenv(name)
    return Settings(data_dir=tmp_path)


def write(settings: Settings, name: str, age_days: int = 0, now: Circumstances = NOW) -> Calibrator:
    made = Calibrator(
        circumstances=now,
        data=name,
        data_sha256="0" * 64,
        cases=50,
        facets={"kind": FACET},
        created_at=datetime(2026, 1, 31, tzinfo=UTC) - timedelta(days=age_days),
    )
    made.write(calibrators_folder(settings) / f"{name}.json")
    return made


def test_the_newest_that_fits_is_used(settings: Settings) -> None:
    write(settings, "a-old", age_days=9)
    newest = write(settings, "b-new")
    write(settings, "c-other-model", now=NOW.model_copy(update={"model": "other"}))

    assert find_calibration(settings, NOW) == newest.calibration(NOW)


def test_without_one_for_this_model_and_taxonomy_nothing_is_calibrated(settings: Settings) -> None:
    write(settings, "model", now=NOW.model_copy(update={"model": "other"}))
    write(settings, "taxonomy", now=NOW.model_copy(update={"taxonomy": "other@1.0.0"}))

    assert find_calibration(settings, NOW) == UNCALIBRATED
    write(settings, "fits")
    assert find_calibration(settings.model_copy(update={"calibrator": "none"}), NOW) == UNCALIBRATED


def test_one_that_no_longer_fits_leaves_a_warning_with_what_differs_and_the_next_step(settings: Settings) -> None:
    before = NOW.model_copy(update={"taxonomy": "mine@0.9.0", "prompts": ("letters@1.0.0", "quote@1.0.0")})
    write(settings, "old", now=before)
    now = NOW.model_copy(update={"prompts": ("letters@1.1.0", "quote@1.0.0")})

    calibration = find_calibration(settings, now)

    assert (calibration.calibrator, calibration.rules) == (None, {})
    assert calibration.warning == (
        "The calibrator old (n = 50, 000000000000), 2026-01-31 does not fit. It was fitted for taxonomy mine@0.9.0 "
        "(now mine@1.0.0); prompts letters@1.0.0, quote@1.0.0 (now letters@1.1.0, quote@1.0.0). Fit a new one with "
        "`triage eval run SUITE` and `triage calibrate RUN`, or set TRIAGE_CALIBRATOR=none to use uncalibrated "
        "probabilities."
    )


async def test_a_prompt_of_ones_own_makes_the_shipped_calibrator_unfit(
    settings: Settings, fake_openai: FakeOpenAI, tmp_path: Path
) -> None:
    (tmp_path / "letters.md").write_bytes((ROOT / "prompts" / "letters.md").read_bytes())
    local = Calibrator.read(next(path for path in SHIPPED if "local" in path.name)).circumstances.model
    named = {"model": local, "base_url": fake_openai.base_url, "answers": "letters"}

    calibrated = await examine_calibration(settings.model_copy(update=named))
    own = await examine_calibration(settings.model_copy(update={**named, "prompts": tmp_path}))

    assert (bool(calibrated.calibrator), calibrated.warning) == (True, None)
    assert own.calibrator is None
    assert "prompts letters@1.0.0, quote@1.0.0 (now letters@1.0.0+" in (own.warning or "")


def test_one_that_is_named_must_be_there_and_fit(settings: Settings, tmp_path: Path) -> None:
    made = write(settings, "mine")
    named = settings.model_copy(update={"calibrator": calibrators_folder(settings) / "mine.json"})
    other = NOW.model_copy(update={"model": "other"})

    assert find_calibration(named, NOW) == made.calibration(NOW)
    assert find_calibration(named, other, is_fallback=True) == UNCALIBRATED
    with pytest.raises(MisconfiguredService, match=r"model none \(now other\)"):
        find_calibration(named, other)
    with pytest.raises(NotFound, match=r"gone\.json"):
        find_calibration(settings.model_copy(update={"calibrator": tmp_path / "gone.json"}), NOW)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_calibrator_fits_what_is_shipped(path: Path) -> None:
    made = Calibrator.read(path)
    taxonomy = Taxonomy.load("llm_inference")

    assert made.circumstances.taxonomy == f"{taxonomy.id}@{taxonomy.version}"
    assert made.circumstances.embedder == MiniLM.fingerprint
    assert made.circumstances.rule == RULE
    assert {"category", "failure_mode"} <= set(made.facets)
    for name, facet in made.facets.items():
        assert set(facet.biases) == set(taxonomy.facet(name).ids)


def test_the_local_model_has_the_rules_of_no_model() -> None:
    """It lowered kappa wherever it was measured (docs/results.md), so it gets weight 0 until a run shows otherwise."""
    none, local = (Calibrator.read(path) for name in ("none", "local") for path in SHIPPED if name in path.name)

    assert local.data_sha256 == none.data_sha256
    for name, facet in none.facets.items():
        assert local.facets[name] == facet.model_copy(update={"weights": {"model": 0.0, **facet.weights}})


def outdated_prompts(path: Path, folder: Path) -> list[str]:
    """For each prompt in `folder` with another version than the calibrator was fitted for: what to do about it."""
    refit = (
        "refit it with `triage eval run evals/suites/llm_incidents.yaml` and "
        f"`triage calibrate RUN --out triage/calibrators/{path.name}`"
    )
    fitted = [prompt.split("@") for prompt in Calibrator.read(path).circumstances.prompts]
    current = {prompt: load(prompt, folder).about.version for prompt, _ in fitted}
    return [
        f"prompts/{prompt}.md has version {current[prompt]}, {path.name} was fitted for {version}: {refit}"
        for prompt, version in fitted
        if version != current[prompt]
    ]


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_calibrator_was_fitted_for_the_shipped_prompts(path: Path) -> None:
    """Raising a prompt's version drops the calibrators that were fitted for it, so refit them in the same change."""
    assert outdated_prompts(path, ROOT / "prompts") == []


def test_raising_a_prompts_version_names_the_file_and_the_command(tmp_path: Path) -> None:
    path = next(path for path in SHIPPED if "local" in path.name)
    for name in ("letters.md", "quote.md"):
        (tmp_path / name).write_bytes((ROOT / "prompts" / name).read_bytes())
    raised = (tmp_path / "quote.md").read_text().replace("version: 1.0.0", "version: 1.0.1")
    (tmp_path / "quote.md").write_text(raised)

    assert outdated_prompts(path, tmp_path) == [
        "prompts/quote.md has version 1.0.1, llm_inference-local.json was fitted for 1.0.0: refit it with "
        "`triage eval run evals/suites/llm_incidents.yaml` and "
        "`triage calibrate RUN --out triage/calibrators/llm_inference-local.json`"
    ]
