"""The adoption checklist: which steps of the method an installation has taken, with the evidence for each."""

from triage.insights.checklist.measuring import gates_in, measure_adoption
from triage.insights.checklist.steps import DEFAULT_BARS, SOURCE, Bars, Checklist, Corpus, Gates, Step, checklist
from triage.insights.checklist.table import checklist_table

__all__ = [
    "DEFAULT_BARS",
    "SOURCE",
    "Bars",
    "Checklist",
    "Corpus",
    "Gates",
    "Step",
    "checklist",
    "checklist_table",
    "gates_in",
    "measure_adoption",
]
