"""Agreement of labellings of the same incidents, as pure functions on labels.

Start with `agreement_report` for annotations, `cohen_kappa` for two lists of labels, `krippendorff_alpha` for more, and
`read` for what a figure means.
"""

from __future__ import annotations

from triage.agreement.alpha import Alpha, krippendorff_alpha, set_alpha
from triage.agreement.balance import balance_of, kappa_by_label
from triage.agreement.confusion import Confusion, LabelScore
from triage.agreement.distance import jaccard_distance, masi_distance
from triage.agreement.interpretation import Reading, read
from triage.agreement.interval import Interval
from triage.agreement.kappa import Kappa, cohen_kappa, fleiss_kappa, kappa_of
from triage.agreement.ratings import MeanAgreement, mean_agreement
from triage.agreement.reliability import (
    Bin,
    Coverage,
    accuracy_at,
    calibration_error_by_chance,
    expected_calibration_error,
    reliability,
    risk_coverage,
)
from triage.agreement.report import (
    AgreementReport,
    FacetAgreement,
    LabelAlpha,
    ModelAgreement,
    PairAgreement,
    agreement_report,
    alpha_by_label,
    human_ceiling,
    model_beside_people,
    pair_figure,
)
from triage.agreement.sets import SetAgreement, compare_sets

__all__ = [
    "AgreementReport",
    "Alpha",
    "Bin",
    "Confusion",
    "Coverage",
    "FacetAgreement",
    "Interval",
    "Kappa",
    "LabelAlpha",
    "LabelScore",
    "MeanAgreement",
    "ModelAgreement",
    "PairAgreement",
    "Reading",
    "SetAgreement",
    "accuracy_at",
    "agreement_report",
    "alpha_by_label",
    "balance_of",
    "calibration_error_by_chance",
    "cohen_kappa",
    "compare_sets",
    "expected_calibration_error",
    "fleiss_kappa",
    "human_ceiling",
    "jaccard_distance",
    "kappa_by_label",
    "kappa_of",
    "krippendorff_alpha",
    "masi_distance",
    "mean_agreement",
    "model_beside_people",
    "pair_figure",
    "read",
    "reliability",
    "risk_coverage",
    "set_alpha",
]
