"""Evidence: the sentences that show labels, and the quotes of a model that are in the write-up."""

from __future__ import annotations

from collections.abc import Iterable

from triage.domain.triage_result import Evidence, FacetResult
from triage.pipeline.classification.likeness import Likeness
from triage.pipeline.decision import close_labels
from triage.redaction import Redacted


def locate(quotes: Iterable[str], redacted: Redacted, label: str | None = None) -> tuple[Evidence, ...]:
    """The quotes found in the redacted text, with offsets in the original; others are left out.

    The quotes are of the redacted text, so they can't reveal what was redacted.
    """
    found = []
    for quote in quotes:
        evidence = Evidence.locate(quote, redacted.text)
        if evidence is not None:
            start, end = redacted.original_span(evidence.start, evidence.end)
            found.append(Evidence(start=start, end=end, quote=evidence.quote, label=label))
    return tuple(dict.fromkeys(found))


def show(result: FacetResult, likeness: Likeness, redacted: Redacted) -> tuple[Evidence, ...]:
    """The sentence that shows each label of the facet; each close label where it abstains.

    A label that no sentence shows has none.
    """
    labels = result.labels or close_labels({each.label: each.probability for each in result.distribution})
    shown = [(label, likeness.evidence(result.facet, label)) for label in labels]
    return tuple(each for label, sentence in shown if sentence for each in locate([sentence.text], redacted, label))
