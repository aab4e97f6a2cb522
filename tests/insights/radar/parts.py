"""Incidents for the radar: labelled ones of two kinds, and recent ones of a third that no label fits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np

from tests.parts import HashingEmbedder
from triage.domain.incident import Incident
from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import FacetResult, LabelProbability
from triage.history import Example
from triage.insights.radar import Sighting, Suspect
from triage.insights.radar.findings import Reason
from triage.models.embedding import Vectors

TAXONOMY = Taxonomy.load("llm_inference")
FACET = TAXONOMY.facet("category")
BEGIN = datetime(2026, 1, 20, tzinfo=UTC)

WORDS = {
    "infrastructure": "switch uplink rack network hosts unreachable packets lost router cable",
    "operational": "deployment rollout release configuration rolled back change flag version canary",
    "invoice": "billing quota invoice ledger balance negative credits customers charged twice",
}


def text(kind: str, number: int) -> str:
    """A write-up of this kind: most of its words, begun elsewhere, and a number of its own."""
    words = WORDS[kind].split()
    said = [words[(number + step) % len(words)] for step in range(7)]
    return f"On node {number * 7919} the {' '.join(said[:4])} failed because of {' '.join(said[4:])}."


def vectors(texts: list[str]) -> Vectors:
    """What the hashing embedder makes of the texts."""
    import asyncio

    return asyncio.run(HashingEmbedder().embed(texts))


def labelled(each: int = 15) -> list[Example]:
    """So many labelled incidents of each of two kinds."""
    told = [(label, text(label, n)) for label in ("infrastructure", "operational") for n in range(each)]
    made = vectors([one for _, one in told])
    return [
        Example(f"h{n}", one, vector, {"category": (label,)})
        for n, ((label, one), vector) in enumerate(zip(told, made, strict=True))
    ]


def result(probability: float | None = 0.4, label: str | None = "infrastructure") -> FacetResult:
    """What triage says of the category: a label, or with None an abstention."""
    return FacetResult(
        facet="category",
        labels=(label,) if label else (),
        probability=probability,
        abstention=None if label else "Not sure enough.",
        distribution=(LabelProbability(label=label or "operational", probability=probability or 0.0),),
    )


def suspects(kind: str = "invoice", count: int = 7, first: int = 0) -> list[Suspect]:
    """Recent incidents of a kind, ten days apart, that triage was unsure of."""
    told = [text(kind, n) for n in range(first, first + count)]
    return [
        suspect(f"{kind}-{n}", one, vector, BEGIN + timedelta(days=10 * place))
        for place, (n, one, vector) in enumerate(zip(range(first, first + count), told, vectors(told), strict=True))
    ]


def suspect(name: str, write_up: str, vector: Vectors | None, seen_at: datetime = BEGIN) -> Suspect:
    """One of them."""
    incident = Incident(id=name, title=name.replace("-", " "), write_up=write_up)
    why = (Reason(kind="unlikely", detail="infrastructure has a probability of 40%."),)
    return Suspect(Sighting(incident, seen_at, (), result()), why, None if vector is None else np.asarray(vector))
