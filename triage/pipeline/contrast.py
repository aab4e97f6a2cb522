"""The contrast: the nearest incident of the same kind and of another, with the sentences that separate them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from triage.domain.triage_result import Contrast, ContrastedIncident, FacetResult
from triage.history import Example
from triage.models.embedding import Vectors
from triage.pipeline.classification.likeness import DefinitionReader, Likeness
from triage.pipeline.classification.sentences import Sentence


class Contrasted(NamedTuple):
    """A contrast, and the sentence of the new write-up that supports its label rather than the other one."""

    contrast: Contrast
    sentence: Sentence | None


async def contrast(
    result: FacetResult, vector: Vectors, examples: Sequence[Example], likeness: Likeness, reader: DefinitionReader
) -> Contrasted | None:
    """What separates the new incident from the nearest one with another label of the facet.

    `vector` (shape (dimension,)) and `likeness` are of the redacted new incident. If the facet abstains, its likeliest
    label is contrasted. None if no label was considered, or the history has no other label.
    """
    label = next(iter(result.labels), None) or next((each.label for each in result.distribution), None)
    nearest = sorted(
        (
            (float(np.clip(example.vector @ vector, -1, 1)), example)
            for example in examples
            if result.facet in example.labels
        ),
        key=lambda pair: (-pair[0], pair[1].incident_id),
    )
    same = next((pair for pair in nearest if label in pair[1].labels[result.facet]), None)
    other = next((pair for pair in nearest if label not in pair[1].labels[result.facet]), None)
    if label is None or other is None:
        return None
    rival = other[1].labels[result.facet][0]
    its_likeness = await reader.read_example(other[1], examples)
    there = its_likeness.separating(result.facet, rival, label)
    return Contrasted(
        Contrast(
            facet=result.facet,
            same=_incident(*same, label, "") if same else None,
            different=_incident(*other, rival, there.text if there else ""),
        ),
        likeness.separating(result.facet, label, rival),
    )


def _incident(similarity: float, example: Example, label: str, sentence: str) -> ContrastedIncident:
    return ContrastedIncident(
        incident_id=example.incident_id,
        title=example.title,
        url=example.url,
        similarity=similarity,
        label=label,
        sentence=sentence,
    )
