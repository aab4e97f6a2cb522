"""Which calibrator is used: the one that is named, the newest that fits, or a shipped one."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from triage.app.settings import Settings
from triage.app.wiring import calibrators_folder, find_calibrator
from triage.domain.errors import MisconfiguredService, NotFound
from triage.domain.taxonomy import Taxonomy
from triage.models.embedding.onnx import MiniLM
from triage.pipeline.calibration import Calibrator, Circumstances, FacetCalibration
from triage.pipeline.decision import RULE

SHIPPED = sorted((Path(__file__).parents[2] / "triage" / "calibrators").glob("*.json"))
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

    assert find_calibrator(settings, NOW) == newest


def test_without_one_that_fits_nothing_is_calibrated(settings: Settings) -> None:
    write(settings, "other", now=NOW.model_copy(update={"embedder": "other"}))

    assert find_calibrator(settings, NOW) is None
    assert find_calibrator(settings.model_copy(update={"calibrator": "none"}), NOW) is None


def test_one_that_is_named_must_be_there_and_fit(settings: Settings, tmp_path: Path) -> None:
    made = write(settings, "mine")
    named = settings.model_copy(update={"calibrator": calibrators_folder(settings) / "mine.json"})

    found = find_calibrator(named, NOW.model_copy(update={"model": "other"}))
    assert found == made
    with pytest.raises(MisconfiguredService, match="model was 'none' and is 'other'"):
        found.rules(NOW.model_copy(update={"model": "other"}))
    with pytest.raises(NotFound, match=r"gone\.json"):
        find_calibrator(settings.model_copy(update={"calibrator": tmp_path / "gone.json"}), NOW)


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
