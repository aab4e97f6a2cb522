"""A taxonomy and a write-up as text for a prompt."""

from __future__ import annotations

import re

from triage.domain.taxonomy import Facet, Label, Taxonomy
from triage.pipeline.classification import Subject


def definitions(taxonomy: Taxonomy) -> str:
    """The definitions of all triaged facets, with inclusions, exclusions and deciding rules.

    The text depends only on the taxonomy, so that providers can cache it.
    """
    return "\n\n".join(map(_facet, taxonomy.triaged))


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
    """`text` on one line, without tags that close the fence around it."""
    return re.sub(r"</?\s*write_up\s*>", "(write_up)", " ".join(text.split()), flags=re.IGNORECASE)


def _facet(facet: Facet) -> str:
    labels = "\n".join(map(_label, facet.labels))
    return f"{facet.name} ({facet.id}): {facet.question}\n{labels}"


def _label(label: Label) -> str:
    return (
        f"- {label.id}: {label.definition} Includes: {'; '.join(label.includes)}. Not: {'; '.join(label.excludes)}. "
        f"Rule: {label.deciding_rule}"
    )
