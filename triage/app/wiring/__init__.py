"""The one place that knows which adapters are in use: everything is built here from the settings."""

from __future__ import annotations

from triage.app.wiring.calibrators import calibrators_folder, examine_calibration, find_calibration
from triage.app.wiring.components import Components, open_components
from triage.app.wiring.models import (
    LOCAL_DEADLINE_S,
    LOCAL_WRITE_UP_CHARACTERS,
    build_embedder,
    find_price,
    open_model,
    provider_gate,
)
from triage.app.wiring.storage import (
    build_cipher,
    build_definition_reader,
    build_notifier,
    live_options,
    make_data_folder,
    open_importing,
    open_index,
    open_live,
    open_records,
    open_store,
    prepare_store,
)
from triage.app.wiring.suites import open_subject, suite_settings

__all__ = [
    "LOCAL_DEADLINE_S",
    "LOCAL_WRITE_UP_CHARACTERS",
    "Components",
    "build_cipher",
    "build_definition_reader",
    "build_embedder",
    "build_notifier",
    "calibrators_folder",
    "examine_calibration",
    "find_calibration",
    "find_price",
    "live_options",
    "make_data_folder",
    "open_components",
    "open_importing",
    "open_index",
    "open_live",
    "open_model",
    "open_records",
    "open_store",
    "open_subject",
    "prepare_store",
    "provider_gate",
    "suite_settings",
]
