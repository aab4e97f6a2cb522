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
from triage.evaluation.runs import Run
from triage.history import Example
from triage.history.duplicates import is_near_duplicate
from triage.history.retrieval import rank
from triage.models.embedding.onnx import MiniLM
from triage.pipeline.calibration import Observation, cross_fit
from triage.pipeline.classification.linear_models import Learner
from triage.pipeline.decision import combine, vote
from triage.redaction import Redactor

NEIGHBOURS = 10
MITIGATIONS = ("mitigation_all", "mitigation_class_rule_derived")
NO_ACTION = ("other", "unknown", "undisclosed")

Decided = dict[str, FacetResult]


class Situation(NamedTuple):
    """One incident as the pipeline meets it, and the mitigations that were used in it."""

    taxonomy: Taxonomy
    neighbours: list[Neighbour]
    examples: list[Example]
    decided: dict[str, FacetResult]
    used: set[str]


async def situations(
    taxonomy: Taxonomy, records: Sequence[tuple[str, str, Labels]], runs: Sequence[Run] = ()
) -> list[Situation]:
    """Each (id, text, labels) with known mitigations, what the others are to it, and of which kind it is held to be.

    That is what a run decided, cross-fitted, where one knows the incidents, else what the history teaches.
    """
    embedder, redactor = MiniLM(), Redactor()
    texts = [redactor.redact(text).text for _, text, _ in records]
    vectors = np.concatenate([await embedder.embed(texts[at : at + 16]) for at in range(0, len(texts), 16)])
    decided = {case: kinds for run in runs for case, kinds in of_run(taxonomy, run).items()}
    learner, found = Learner(), []
    for n, (case_id, _, labels) in enumerate(records):
        used = set(actions(taxonomy, labels))
        if not used:
            continue
        others = [i for i in range(len(records)) if i != n and not is_near_duplicate(texts[n], texts[i])]
        candidates = [
            (
                Neighbour(
                    incident_id=records[i][0],
                    similarity=float(np.clip(vectors[i] @ vectors[n], -1, 1)),
                    labels=records[i][2],
                ),
                texts[i],
            )
            for i in others
        ]
        neighbours = rank(texts[n], candidates)[:NEIGHBOURS]
        examples = [Example(records[i][0], texts[i], vectors[i], records[i][2]) for i in others]
        if case_id not in decided:
            learned = learner.distributions(taxonomy, examples, texts[n], vectors[n])
            decided[case_id] = of_history(taxonomy, neighbours, learned)
        found.append(Situation(taxonomy, neighbours, examples, decided[case_id], used))
    return found


def of_run(taxonomy: Taxonomy, run: Run) -> dict[str, Decided]:
    """Case -> the kinds that the run decided, each case by a calibrator that was fitted without it.

    A facet of the run is a kind of the taxonomy's where it has the same id, or all of its labels.
    """
    suite = run.suite.narrow(Taxonomy.load(run.suite.taxonomy))
    records = [r for r in run.records if r.status == "done"]
    found: dict[str, Decided] = {}
    for kind in kinds(taxonomy):
        facet = next((f for f in suite.triaged if f.id == kind.id or set(kind.ids) <= set(f.ids)), None)
        cross = facet and cross_fit(facet, [Observation(r.sources, r.gold, r.fold) for r in records])
        if not facet or not cross:
            continue
        for n, row in zip(cross.cases.tolist(), cross.after.tolist(), strict=True):
            shares = dict(zip(cross.labels, row, strict=True))
            found.setdefault(records[n].case_id, {})[kind.id] = result(kind, shares)
    return found


def of_history(
    taxonomy: Taxonomy, neighbours: Sequence[Neighbour], learned: Mapping[str, Mapping[str, Mapping[str, float]]]
) -> Decided:
    """The kinds that the classifiers trained on the others and the neighbours' vote give, without a model."""
    decided = {}
    for kind in kinds(taxonomy):
        votes = vote(kind, neighbours)
        shares = combine(kind, {**learned.get(kind.id, {}), **({"neighbours": votes} if votes else {})})
        if shares:
            decided[kind.id] = result(kind, shares)
    return decided


def result(kind: Facet, shares: Mapping[str, float]) -> FacetResult:
    """The likeliest label with the distribution."""
    ranked = sorted(shares, key=lambda label: -shares[label])
    return FacetResult(
        facet=kind.id,
        labels=tuple(ranked[:1]),
        distribution=tuple(LabelProbability(label=label, probability=shares[label]) for label in ranked),
    )


def kinds(taxonomy: Taxonomy) -> list[Facet]:
    """The facets that mitigations may depend on: the first triaged one and the one that refines it."""
    first = taxonomy.triaged[0]
    return [first, *(facet for facet in taxonomy.triaged if facet.parent == first.id)]


def actions(taxonomy: Taxonomy, labels: Labels) -> list[str]:
    """The mitigations among `labels` that say what was done."""
    facet = taxonomy.mitigation
    known = {label.id for label in facet.labels if not label.undisclosed} if facet else set()
    return [m for m in dict.fromkeys(labels.get(facet.id, ()) if facet else ()) if m in known]


def read(path: Path) -> tuple[Taxonomy, list[tuple[str, str, Labels]]]:
    """The incidents of a file, with a taxonomy made of the labels that stand in it."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    key = next(key for key in MITIGATIONS if any(row["labels"].get(key) for row in rows))
    records = []
    for row in rows:
        found = {"kind": [row["labels"].get("root_cause")], "mitigation": row["labels"].get(key) or []}
        labels = {facet: tuple(identifier(label) for label in ids if label) for facet, ids in found.items()}
        records.append(
            (row["id"], f"{row.get('title') or ''}\n\n{row['text']}", {f: v for f, v in labels.items() if v})
        )
    facets = [made_facet(facet, sorted({m for _, _, ls in records for m in ls.get(facet, ())})) for facet in found]
    return (
        Taxonomy(id="made", version="1.0.0", title=path.stem, description=f"Labels of {path.stem}.", facets=facets),
        records,
    )


def made_facet(facet: str, ids: Sequence[str]) -> Facet:
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


def identifier(label: str) -> str:
    """The label as the id of a taxonomy's label."""
    return "".join(letter if letter.isalnum() else "_" for letter in label.casefold())
