"""The calibrator that the settings name, or one that fits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from triage.app.settings import Settings
from triage.app.wiring.models import build_classifier, build_embedder, open_model
from triage.domain.taxonomy import Taxonomy

if TYPE_CHECKING:
    from triage.pipeline.calibration import Calibration, Circumstances


def calibrators_folder(settings: Settings) -> Path:
    """Where `triage calibrate` keeps calibrators."""
    return settings.data_dir / "calibrators"


def find_calibration(settings: Settings, now: Circumstances, *, is_fallback: bool = False) -> Calibration:
    """The calibration that the settings name; with `auto` the newest in the data folder that fits, else a shipped one.

    With `auto`, a warning says if one was fitted for this model and taxonomy but no longer fits. A named one that does
    not fit a fallback model is not used for it. Raises `NotFound` or `MisconfiguredService` if a named one is missing,
    is damaged, or does not fit the first model.
    """
    from triage.pipeline.calibration import UNCALIBRATED, Calibration, Calibrator

    if settings.calibrator == "none":
        return UNCALIBRATED
    if isinstance(settings.calibrator, Path):
        named = Calibrator.read(settings.calibrator)
        return UNCALIBRATED if is_fallback and named.misfit(now) else named.calibration(now)
    outdated: Calibrator | None = None
    shipped = Path(__file__).parents[2] / "calibrators"
    for folder in (calibrators_folder(settings), shipped):
        found = [Calibrator.read(path) for path in sorted(folder.glob("*.json"))]
        found.sort(key=lambda calibrator: calibrator.created_at, reverse=True)
        if fitting := next((calibrator for calibrator in found if not calibrator.misfit(now)), None):
            return fitting.calibration(now)
        outdated = outdated or next((calibrator for calibrator in found if calibrator.is_meant_for(now)), None)
    return Calibration(warning=outdated.misfit(now)) if outdated else UNCALIBRATED


async def examine_calibration(settings: Settings) -> Calibration:
    """The calibration of the first model that the settings name, without starting the model. Raises `TriageError`."""
    from triage.pipeline.pipeline import circumstances

    taxonomy, embedder = Taxonomy.load(settings.taxonomy), build_embedder(settings)
    try:
        async with open_model(settings, taxonomy=taxonomy, is_started=False) as model:
            classifier = build_classifier(settings, model)
            now = circumstances(taxonomy, embedder, classifier, model.name if model else None)
            return find_calibration(settings, now)
    finally:
        await embedder.aclose()
