"""Evidence: which of a model's quotes really stand in the write-up, and where."""

from __future__ import annotations

from collections.abc import Iterable

from triage.domain.triage_result import Evidence
from triage.redaction import Redacted


def locate(quotes: Iterable[str], redacted: Redacted) -> tuple[Evidence, ...]:
    """The quotes found in the redacted text, with offsets in the original; a quote that is not there is left out.

    The words shown are the redacted ones: what was taken out does not come back through a quote.
    """
    found = []
    for quote in quotes:
        evidence = Evidence.locate(quote, redacted.text)
        if evidence is not None:
            start, end = redacted.original_span(evidence.start, evidence.end)
            found.append(Evidence(start=start, end=end, quote=evidence.quote))
    return tuple(dict.fromkeys(found))
