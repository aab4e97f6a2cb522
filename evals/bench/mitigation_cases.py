"""Incidents with the mitigations that were really used, as the pipeline would meet them: cases for `mitigations.py`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from triage.domain.annotation import Labels
from triage.domain.taxonomy import Facet, Label, Taxonomy
from triage.domain.triage_result import FacetResult, LabelProbability, Neighbour
from triage.evaluation import shipped_history
from triage.history import Example
from triage.history.duplicates import is_near_duplicate
from triage.history.retrieval import rank
from triage.models.embedding import Vectors
from triage.models.embedding.onnx import MiniLM
from triage.pipeline.classification.linear_models import Learner
from triage.pipeline.classification.sentences import before_resolution, split
from triage.pipeline.mitigation import kind_facets, named_actions
from triage.redaction import Redactor

FOLDS = 10
NEIGHBOURS = 10
MITIGATIONS = ("mitigation_all", "mitigation_class_rule_derived")
NO_ACTION = ("other", "unknown", "undisclosed")


class Record(NamedTuple):
    """A labelled incident; two with the same `event` tell of the same incident."""

    id: str
    text: str
    labels: Labels
    event: str


class Situation(NamedTuple):
    """One incident as the pipeline meets it, with its labels, and the mitigations that were used in it."""

    taxonomy: Taxonomy
    neighbours: list[Neighbour]
    examples: list[Example]
    decided: dict[str, FacetResult]
    labels: Labels
    used: set[str]


async def situations(
    taxonomy: Taxonomy, records: Sequence[Record], history: Sequence[Record], *, under_way: bool = False
) -> list[Situation]:
    """Each record with known mitigations, and what the history is to it without its event and near-duplicates.

    Its kind is what classifiers teach that were trained on the history without its fold's events. With `under_way`,
    sentences that tell how an incident ended are hidden in the records, not in the history.
    """
    facet = taxonomy.mitigation
    if facet is None:
        return []
    texts, vectors = await _embedded([_without_ending(record.text) if under_way else record.text for record in records])
    past, past_vectors = await _embedded([record.text for record in history])
    folds = np.random.default_rng(0).permutation(len(records)) % FOLDS
    learner, found = Learner(), []
    examples = [Example(r.id, text, v, r.labels) for r, text, v in zip(history, past, past_vectors, strict=True)]
    for fold in range(FOLDS):
        tested = np.flatnonzero(folds == fold).tolist()
        events = {records[n].event for n in tested}
        taught = tuple(example for example, r in zip(examples, history, strict=True) if r.event not in events)
        for n in tested:
            if not (used := set(named_actions(facet, records[n].labels))):
                continue
            others = [
                example
                for example, record in zip(examples, history, strict=True)
                if record.event != records[n].event and not is_near_duplicate(texts[n], example.text)
            ]
            learned = learner.distributions(taxonomy, taught, texts[n], vectors[n])
            decided = {
                kind.id: _result(kind, learned[kind.id]) for kind in kind_facets(taxonomy) if learned.get(kind.id)
            }
            neighbours = _nearest(texts[n], vectors[n], others)
            found.append(Situation(taxonomy, neighbours, others, decided, records[n].labels, used))
    return found


def _without_ending(text: str) -> str:
    return "\n".join(sentence.text for sentence in before_resolution(split(text)))


async def _embedded(texts: Sequence[str]) -> tuple[list[str], Vectors]:
    """The redacted texts, and their vectors."""
    embedder, redactor = MiniLM(), Redactor()
    redacted = [redactor.redact(text).text for text in texts]
    batches = [await embedder.embed(redacted[at : at + 16]) for at in range(0, len(redacted), 16)]
    return redacted, np.concatenate(batches)


def _nearest(text: str, vector: Vectors, others: Sequence[Example]) -> list[Neighbour]:
    candidates = [
        (
            Neighbour(
                incident_id=other.incident_id,
                similarity=float(np.clip(other.vector @ vector, -1, 1)),
                labels=other.labels,
            ),
            other.text,
        )
        for other in others
    ]
    return rank(text, candidates)[:NEIGHBOURS]


def _result(kind: Facet, sources: Mapping[str, Mapping[str, float]]) -> FacetResult:
    """The mean of the sources as a decided facet."""
    shares = {label: float(np.mean([source.get(label, 0.0) for source in sources.values()])) for label in kind.ids}
    ranked = sorted(shares, key=lambda label: -shares[label])
    return FacetResult(
        facet=kind.id,
        labels=tuple(ranked[:1]),
        distribution=tuple(LabelProbability(label=label, probability=min(1.0, shares[label])) for label in ranked),
    )


def shipped() -> list[Record]:
    """The shipped history."""
    return [Record(incident.id, incident.text, labels, incident.url) for incident, labels in shipped_history()]


def read_reference(path: Path) -> list[Record]:
    """Incidents with labels of the taxonomy `llm_inference`."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [
        Record(row["id"], _text(row), {facet: tuple(ids) for facet, ids in row["labels"].items()}, row["url"])
        for row in rows
    ]


def read_study(path: Path) -> tuple[Taxonomy, list[Record]]:
    """The incidents of a file, with a taxonomy made of the labels that stand in it."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    key = next(key for key in MITIGATIONS if any(row["labels"].get(key) for row in rows))
    records = []
    for row in rows:
        found = {"kind": [row["labels"].get("root_cause")], "mitigation": row["labels"].get(key) or []}
        labels = {facet: tuple(_identifier(label) for label in ids if label) for facet, ids in found.items()}
        records.append(Record(row["id"], _text(row), {f: v for f, v in labels.items() if v}, row["id"]))
    facets = tuple(_made(name, sorted({m for r in records for m in r.labels.get(name, ())})) for name in found)
    return (
        Taxonomy(id="made", version="1.0.0", title=path.stem, description=f"Labels of {path.stem}.", facets=facets),
        records,
    )


def _text(row: Mapping[str, str]) -> str:
    return f"{row.get('title') or ''}\n\n{row['text']}"


def _made(facet: str, ids: Sequence[str]) -> Facet:
    """A facet whose labels have their names for definitions."""
    is_mitigation = facet == "mitigation"
    labels = tuple(
        Label(
            id=label,
            name=label.replace("_", " "),
            definition=label,
            includes=(label,),
            excludes=("none",),
            deciding_rule="none",
            example="none",
            undisclosed=label in NO_ACTION,
        )
        for label in ids
    )
    return Facet(
        id=facet,
        name=facet,
        question=facet,
        cardinality="multi" if is_mitigation else "primary_first",
        role="mitigation" if is_mitigation else None,
        labels=labels,
    )


def _identifier(label: str) -> str:
    """The label as the id of a taxonomy's label."""
    return "".join(letter if letter.isalnum() else "_" for letter in label.casefold())
