"""Agreement between two labellings of the same incidents: pure functions on labels, results that explain themselves."""

from __future__ import annotations

from triage.agreement.confusion import Confusion, LabelScore
from triage.agreement.interval import Interval
from triage.agreement.kappa import Kappa, cohen_kappa, kappa_of
from triage.agreement.sets import LabelAgreement, SetAgreement, compare_sets

__all__ = [
    "Confusion",
    "Interval",
    "Kappa",
    "LabelAgreement",
    "LabelScore",
    "SetAgreement",
    "cohen_kappa",
    "compare_sets",
    "kappa_of",
]
