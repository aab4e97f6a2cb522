"""How a taxonomy changes: what is different between two versions, and what that means for labels already given."""

from __future__ import annotations

from triage.evolution.before_after import AgreementChange, agreement_changes
from triage.evolution.comparison import Change, Comparison, compare
from triage.evolution.migration import Migration, Withdrawn, migrate, preview
from triage.evolution.plan import FacetStep, InvalidPlan, LabelStep, OutdatedPlan, Plan, UnconfirmedPlan, propose
from triage.evolution.relabelling import Relabelling, rank

__all__ = [
    "AgreementChange",
    "Change",
    "Comparison",
    "FacetStep",
    "InvalidPlan",
    "LabelStep",
    "Migration",
    "OutdatedPlan",
    "Plan",
    "Relabelling",
    "UnconfirmedPlan",
    "Withdrawn",
    "agreement_changes",
    "compare",
    "migrate",
    "preview",
    "propose",
    "rank",
]
