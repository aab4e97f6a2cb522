"""Agreement between two labellings of the same incidents: pure functions on labels, results that explain themselves."""

from __future__ import annotations

from triage.agreement.confusion import Confusion, LabelScore
from triage.agreement.interval import Interval
from triage.agreement.kappa import Kappa, cohen_kappa, kappa_of
from triage.agreement.reliability import (
    Bin,
    Coverage,
    accuracy_at,
    calibration_error_by_chance,
    expected_calibration_error,
    reliability,
    risk_coverage,
)
from triage.agreement.sets import LabelAgreement, SetAgreement, compare_sets

__all__ = [
    "Bin",
    "Confusion",
    "Coverage",
    "Interval",
    "Kappa",
    "LabelAgreement",
    "LabelScore",
    "SetAgreement",
    "accuracy_at",
    "calibration_error_by_chance",
    "cohen_kappa",
    "compare_sets",
    "expected_calibration_error",
    "kappa_of",
    "reliability",
    "risk_coverage",
]
