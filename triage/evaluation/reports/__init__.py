"""Reports of a run, for the terminal, as HTML, Markdown, JUnit XML, tables and charts."""

from __future__ import annotations

from triage.evaluation.reports.report import Report, report_of, report_on

__all__ = ["Report", "report_of", "report_on"]
