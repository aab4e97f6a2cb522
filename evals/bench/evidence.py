"""Whether the sentence shown as evidence is the one that people or models name as the cause, and the fit of its choice.

    python evals/bench/evidence.py --data cloud_reports_azure.dev.jsonl llm_reference.dev.jsonl

In the Azure reviews (ICPE 2026 study) the labelled `root_cause_text` was copied from the report by the study's authors;
in the reference set `evidence` was copied from the write-up by two annotators that are large language models. A
sentence is a hit if over half of the shorter one's words stand in the other. The labels are the gold ones. Beside what
is shipped: weights fitted on the other fifths, the first sentence, and a sentence drawn at random. Then hits by score.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize

from triage.agreement.proportion import Proportion
from triage.domain.errors import TriageError
from triage.domain.taxonomy import Taxonomy
from triage.evaluation import shipped_history
from triage.history import Example
from triage.models.embedding import Vectors
from triage.models.embedding.onnx import MiniLM
from triage.pipeline.classification.likeness import EVIDENCE_WEIGHTS, DefinitionReader, EvidenceWeights, Likeness
from triage.pipeline.classification.sentences import split
from triage.redaction import Redactor

PARTS = 5
RIDGE = 1.0
BINS = (-np.inf, 1.0, 2.0, 3.0, 4.0, 5.0, np.inf)
NONE = EvidenceWeights(*[0.0] * len(EvidenceWeights._fields))
FITTED = ("likeness", "cue", "words", "section", "ending", "boilerplate", "scrap", "log")


class Case(NamedTuple):
    """One facet of one incident: what is known of each sentence (columns in the order of FITTED), and the hits."""

    incident: str
    facet: str
    features: Vectors
    hits: np.ndarray[Any, np.dtype[np.bool_]]
    is_shown: bool


def is_hit(sentence: str, cause: str) -> bool:
    """Whether over half of the shorter one's words stand in the other."""
    one, other = (set(re.findall(r"\w+", text.casefold())) for text in (sentence, cause))
    return len(one & other) > min(len(one), len(other)) / 2 and min(len(one), len(other)) >= 4


def causes_of(row: Mapping[str, Any]) -> list[str]:
    """The sentences that are named as the cause; empty where it is not told."""
    if "annotators" in row:
        return [said["evidence"] for said in row["annotators"].values() if said["evidence"] and row["cause_told"]]
    cause = str(row["labels"].get("root_cause_text") or "")
    return [] if cause.upper() in ("", "UNKNOWN") else [cause]


def case_of(row: Mapping[str, Any], facet: str, label: str, likeness: Likeness) -> Case:
    """The features and hits of one incident's sentences."""
    columns = [likeness.scores(facet, label, NONE._replace(**{name: 1.0})) for name in FITTED]
    hits = [any(is_hit(sentence.text, cause) for cause in causes_of(row)) for sentence in likeness.sentences]
    return Case(row["id"], facet, np.stack(columns, 1), np.array(hits), likeness.evidence(facet, label) is not None)


async def cases_of(rows: Sequence[Mapping[str, Any]]) -> list[Case]:
    """The cases of one set, with the facets that name the kind of incident."""
    is_reference = "annotators" in rows[0]
    taxonomy = Taxonomy.load("llm_inference" if is_reference else "cloud_reports")
    reader, redactor = DefinitionReader(MiniLM(), taxonomy), Redactor()
    texts = {row["id"]: redactor.redact("\n".join(filter(None, (row.get("title"), row["text"])))).text for row in rows}
    shipped = {incident.id: incident.text for incident, _ in shipped_history()} if is_reference else texts
    cases = []
    for row in filter(causes_of, rows):
        others = [Example(key, text, np.zeros(1), {}) for key, text in shipped.items() if key != row["id"]]
        likeness = await reader.read(split(texts[row["id"]]), others)
        for facet in ("category", "failure_mode") if is_reference else ("root_cause",):
            given = row["labels"].get(facet)
            try:
                label = taxonomy.facet(facet).label(given[0] if isinstance(given, list) else given or "").id
            except TriageError:
                continue
            cases.append(case_of(row, facet, label, likeness))
    return cases


def scores_of(case: Case, weights: Vectors) -> Vectors:
    """The score of each sentence; minus infinity where it can't be shown."""
    can_show = np.isfinite(case.features).all(axis=1)
    scores: Vectors = np.where(can_show, np.where(can_show[:, None], case.features, 0.0) @ weights, -np.inf)
    return scores


def is_best_a_hit(case: Case, weights: Vectors) -> bool:
    return bool(case.hits[np.argmax(scores_of(case, weights))])


def fit(cases: Sequence[Case]) -> Vectors:
    """The weights under which the hits are likely among their incident's sentences (conditional logit, ridge)."""
    usable = []
    for case in cases:
        can_show = np.isfinite(case.features).all(axis=1)
        features, hits = case.features[can_show], case.hits[can_show]
        if hits.any() and not hits.all():
            usable.append((features, hits))

    def loss(weights: Vectors) -> tuple[float, Vectors]:
        total, slope = RIDGE * float(weights @ weights) / 2, RIDGE * weights
        for features, hits in usable:
            scores = features @ weights
            shares = np.exp(scores - scores.max())
            shares /= shares.sum()
            among = np.where(hits, shares, 0.0) / shares[hits].sum()
            total -= float(np.log(shares[hits].sum()))
            slope = slope - (among - shares) @ features
        return total, slope

    found: Vectors = minimize(loss, np.zeros(len(FITTED)), jac=True, method="L-BFGS-B").x
    return found


def cross_fitted(cases: Sequence[Case]) -> list[bool]:
    """Whether each case's best sentence is a hit, by weights fitted on the incidents of the other fifths."""
    incidents = sorted({case.incident for case in cases})
    part_of = dict(zip(incidents, np.random.default_rng(0).permutation(len(incidents)) % PARTS, strict=True))
    fitted = [fit([case for case in cases if part_of[case.incident] != part]) for part in range(PARTS)]
    return [is_best_a_hit(case, fitted[part_of[case.incident]]) for case in cases]


def share(hits: Sequence[bool]) -> str:
    found = Proportion(hits=sum(hits), n=len(hits))
    low, high = found.interval or (0.0, 0.0)
    return f"{np.mean(hits):.2f} [{low:.2f}, {high:.2f}] (n={len(hits)})"


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, nargs="+")
    sets = [map(json.loads, path.read_text(encoding="utf-8").splitlines()) for path in parser.parse_args().data]
    cases = [case for rows in sets for case in await cases_of(list(rows))]
    shipped = np.array([getattr(EVIDENCE_WEIGHTS, name) for name in FITTED])
    fold_hits = cross_fitted(cases)
    print("| facet | best sentence | cross-fitted | shown | first sentence | any sentence |\n" + "| --- " * 6 + "|")
    for facet in dict.fromkeys(case.facet for case in cases):
        places = [place for place, case in enumerate(cases) if case.facet == facet]
        mine = [cases[place] for place in places]
        columns = (
            share([is_best_a_hit(case, shipped) for case in mine]),
            share([fold_hits[place] for place in places]),
            share([is_best_a_hit(case, shipped) for case in mine if case.is_shown]),
            f"{np.mean([case.hits[0] for case in mine]):.2f}",
            f"{np.mean([case.hits.mean() for case in mine]):.2f}",
        )
        print(f"| {facet} | " + " | ".join(columns) + " |")
    print("\nFitted on all:", dict(zip(FITTED, fit(cases).round(2).tolist(), strict=True)))
    best = np.array([scores_of(case, shipped).max() for case in cases])
    for low, high in itertools.pairwise(BINS):
        hits = [is_best_a_hit(case, shipped) for case, score in zip(cases, best, strict=True) if low <= score < high]
        if hits:
            print(f"best score from {low} to {high}: {share(hits)}")


if __name__ == "__main__":
    asyncio.run(main())
