"""Whether a write-up says enough for a category; below that, it gets none, and triage says what to add."""

from __future__ import annotations

import re
from collections.abc import Mapping

from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import FacetResult
from triage.pipeline.classification.cues import cues_of, has_cue
from triage.pipeline.mitigation import kind_facets

TOO_LITTLE = "Too little to tell: say what failed, what was seen, and what changed."

# Fitted by evals/bench/sufficiency.py, see docs/results.md: with fewer different words, the category found is right no
# more often than the most frequent one, unless one of them is a cue.
_LEAST_WORDS = 10
_LEAST_WORDS_WITH_CUE = 3
_READ_CHARACTERS = 2_000
# Scripts without spaces count two characters as a word.
_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_UNSPACED}]{{2}}|[^\W\d_{_UNSPACED}]{{3,}}")


def is_too_little(text: str, taxonomy: Taxonomy) -> bool:
    """True if `text` is too short to tell the kind of incident.

    The threshold for texts without cues is used where the taxonomy's labels have cues.
    """
    cues = [cues for facet in kind_facets(taxonomy) if (cues := cues_of(taxonomy, facet))]
    has_none = bool(cues) and not any(has_cue(each, text[:_READ_CHARACTERS]) for each in cues)
    return count_words(text) < (_LEAST_WORDS if has_none else _LEAST_WORDS_WITH_CUE)


def count_words(text: str) -> int:
    """The number of different words of three letters or more at the beginning of `text`."""
    return len({word.casefold() for word in _WORD.findall(text[:_READ_CHARACTERS])})


def without_kind(facets: Mapping[str, FacetResult], taxonomy: Taxonomy) -> dict[str, FacetResult]:
    """The results without labels for what kind of incident it is: `TOO_LITTLE` is why."""
    withheld = {"labels": (), "probability": None, "distribution": (), "abstention": TOO_LITTLE}
    kinds = {facet.id for facet in kind_facets(taxonomy)}
    return {facet: result.model_copy(update=withheld) if facet in kinds else result for facet, result in facets.items()}
