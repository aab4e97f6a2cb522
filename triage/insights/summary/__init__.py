"""The draft of a post-incident summary: what is known of one incident, as Markdown, from labels and quotes alone."""

from triage.insights.summary.document import read_summary, summary
from triage.insights.summary.material import Material

__all__ = ["Material", "read_summary", "summary"]
