"""What is read of a redacted write-up: its sentences without orders, and the text that is embedded and learned from."""

from __future__ import annotations

from typing import NamedTuple

from triage.domain.taxonomy import Taxonomy
from triage.pipeline.classification.instructions import without_instructions
from triage.pipeline.classification.sentences import Sentence, before_resolution, split


class Reading(NamedTuple):
    """The sentences that are read, how many were withheld, and the text that they make.

    `is_whole` says that nothing was left out: the text is then the redacted write-up as it is.
    """

    sentences: list[Sentence]
    withheld: int
    text: str
    is_whole: bool


def read(text: str, taxonomy: Taxonomy, *, before_its_end: bool = False) -> Reading:
    """Read a redacted write-up; with `before_its_end` without the sentences that tell how the incident ended."""
    sentences, withheld = without_instructions(split(text), taxonomy)
    if before_its_end:
        sentences = before_resolution(sentences)
    # An order names labels: it must not draw in neighbours, nor count as words of the incident.
    is_whole = not withheld and not before_its_end
    return Reading(
        sentences, withheld, text if is_whole else "\n".join(sentence.text for sentence in sentences), is_whole
    )
