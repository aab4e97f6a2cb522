"""Evidence: finds a model's quotes in the write-up."""

from __future__ import annotations

from collections.abc import Iterable

from triage.domain.triage_result import Evidence
from triage.redaction import Redacted


def locate(quotes: Iterable[str], redacted: Redacted) -> tuple[Evidence, ...]:
    """The quotes found in the redacted text, with offsets in the original; others are left out.

    The quotes are of the redacted text, so they can't reveal what was redacted.
    """
    found = []
    for quote in quotes:
        evidence = Evidence.locate(quote, redacted.text)
        if evidence is not None:
            start, end = redacted.original_span(evidence.start, evidence.end)
            found.append(Evidence(start=start, end=end, quote=evidence.quote))
    return tuple(dict.fromkeys(found))
