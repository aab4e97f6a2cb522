"""A draft post-incident summary of one incident in Markdown, made from labels and quotes only."""

from triage.insights.summary.document import read_summary, summary
from triage.insights.summary.material import Material

__all__ = ["Material", "read_summary", "summary"]
