"""A taxonomy and a write-up as a model reads them."""

from __future__ import annotations

import re

from triage.classification import Subject
from triage.taxonomy import Facet, Label, Taxonomy


def definitions(taxonomy: Taxonomy, max_characters: int) -> str:
    """The definitions of all triaged facets, as rich as fits: with examples of use, with deciding rules, or alone.

    The text depends on the taxonomy and the budget alone, so that providers and the local server can cache it.
    """
    texts = ["\n\n".join(_facet(facet, detail) for facet in taxonomy.triaged) for detail in (2, 1, 0)]
    return next((text for text in texts if len(text) <= max_characters), texts[-1])


def numbered(subject: Subject) -> str:
    """The sentences of the write-up, one numbered line each."""
    return "\n".join(f"[{n}] {_fenced(s.text)}" for n, s in enumerate(subject.sentences, start=1))


def plain(subject: Subject) -> str:
    """The sentences of the write-up, one line each."""
    return "\n".join(_fenced(s.text) for s in subject.sentences)


def examples(subject: Subject, max_characters: int = 400) -> str:
    """The neighbours as labelled examples."""
    return (
        "\n".join(
            f"- {_fenced(n.title)}: {_fenced(n.excerpt[:max_characters])} -> "
            + "; ".join(f"{facet}: {', '.join(ids)}" for facet, ids in n.labels.items())
            for n in subject.neighbours
        )
        or "none"
    )


def _fenced(text: str) -> str:
    """`text` on one line, unable to close the fence around it."""
    return re.sub(r"</?\s*write_up\s*>", "(write_up)", " ".join(text.split()), flags=re.IGNORECASE)


def _facet(facet: Facet, detail: int) -> str:
    labels = "\n".join(_label(label, detail) for label in facet.labels)
    return f"{facet.name} ({facet.id}): {facet.question}\n{labels}"


def _label(label: Label, detail: int) -> str:
    text = f"- {label.id}: {label.definition}"
    if detail >= 2:
        text += f" Includes: {'; '.join(label.includes)}. Not: {'; '.join(label.excludes)}."
    if detail >= 1:
        text += f" Rule: {label.deciding_rule}"
    return text
