"""Evaluation: suites of labelled incidents, resumable runs of them, and reports that lead back to single cases."""

from __future__ import annotations

from triage.evaluation.datasets import Case, Dataset, load_dataset, shipped_history
from triage.evaluation.journal import CaseRecord
from triage.evaluation.reports.terminal import print_report
from triage.evaluation.runner import run_suite
from triage.evaluation.runs import Run, RunIdentity, RunMismatch, default_folder
from triage.evaluation.suites import Suite
from triage.evaluation.summary import summarise, write_summary

__all__ = [
    "Case",
    "CaseRecord",
    "Dataset",
    "Run",
    "RunIdentity",
    "RunMismatch",
    "Suite",
    "default_folder",
    "load_dataset",
    "print_report",
    "run_suite",
    "shipped_history",
    "summarise",
    "write_summary",
]
