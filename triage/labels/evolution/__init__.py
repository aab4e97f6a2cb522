"""Taxonomy evolution: the differences between two versions, and what they mean for existing labels."""

from __future__ import annotations

from triage.labels.evolution.agreement_changes import AgreementChange, agreement_changes
from triage.labels.evolution.comparison import Change, Comparison, compare
from triage.labels.evolution.migration import Migration, migrate, preview
from triage.labels.evolution.plan import Plan, propose
from triage.labels.evolution.relabelling import Relabelling, rank

__all__ = [
    "AgreementChange",
    "Change",
    "Comparison",
    "Migration",
    "Plan",
    "Relabelling",
    "agreement_changes",
    "compare",
    "migrate",
    "preview",
    "propose",
    "rank",
]
