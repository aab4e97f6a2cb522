"""A run with everything that is hard to show: thirty labels, hostile texts, failures, abstentions, several labels."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import yaml

from triage.domain.incident import Incident
from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import Evidence, FacetResult, LabelProbability, Neighbour, Provenance, Triage
from triage.evaluation import Case, Run, Suite, run_suite
from triage.evaluation.reports import Report, report_of
from triage.evaluation.reports.html import read_cases
from triage.observability.progress import Progress

SECRET = "sk-proj-4fT9qL2mX7vB1nC8zR5wY3kD6hJ0pS"  # made up, in the shape of a key
HOSTILE = (
    "<script>alert(1)</script> took the fleet down",
    """He said "it's <b>fine</b>" & left""",
    "انقطاع في الخدمة \u202e reversed",
    "x" * 400,
    "</textarea></style><svg onload=alert(1)>",
    "{{ 7 * 7 }} {% raw %}",
)
WORDS = {"definition": "d", "includes": ["i"], "excludes": ["e"], "deciding_rule": "r", "example": "x"}


class Shown(NamedTuple):
    """A run with all that a page is made of."""

    run: Run
    report: Report
    taxonomy: Taxonomy
    cases: dict[str, Case]


def _label(id_: str, name: str, parent: str | None = None) -> dict[str, Any]:
    return {"id": id_, "name": name, **WORDS} | ({"parent": parent} if parent else {})


def _taxonomy(folder: Path) -> Taxonomy:
    causes = [_label(f"cause_{n}", f"Cause number {n}") for n in range(28)]
    causes += [_label("long", "Donaudampfschifffahrtsgesellschaftskapitaen" * 2), _label("markup", "<b>Bold & bad</b>")]
    parts = [_label(f"part_{n}", f"Part {n}", f"cause_{n % 4}") for n in range(8)]
    content = {
        "id": "wild",
        "version": "1.0.0",
        "title": "Wild",
        "description": "For tests",
        "facets": [
            {"id": "cause", "name": "Cause", "question": "Why?", "cardinality": "single", "labels": causes},
            {
                "id": "part",
                "name": "Part",
                "question": "Where?",
                "cardinality": "primary_first",
                "parent": "cause",
                "labels": parts,
            },
            {
                "id": "symptom",
                "name": "Symptom",
                "question": "What was seen?",
                "cardinality": "multi",
                "labels": [_label("errors", "Errors"), _label("delay", "Delay"), _label("silence", "Silence")],
            },
        ],
    }
    path = folder / "wild.yaml"
    path.write_text(yaml.safe_dump(content))
    return Taxonomy.load(path)


def _rows(taxonomy: Taxonomy, count: int) -> list[dict[str, Any]]:
    causes, parts = taxonomy.facet("cause").ids, taxonomy.facet("part").ids
    return [
        {
            "id": f"case-{n}",
            "source": "vllm_issue_type",
            "url": f"https://example.org/{n}",
            "title": f"{HOSTILE[n % len(HOSTILE)]} {n}",
            "text": f"Ask jane@example.org of key {SECRET}. The switch in hall {n} broke. {HOSTILE[n % len(HOSTILE)]}",
            "created_at": "2024-11-05T11:34:17+00:00",
            "labels": {
                "cause": causes[n % len(causes)],
                "part": [parts[n % 8], parts[(n + 1) % 8]] if n % 5 else None,
                "symptom": ["errors", "delay"][: 1 + n % 2],
            },
            "label_origin": "human",
        }
        for n in range(count)
    ]


class SeededTriage:
    """Answers by lot, the same for the same id and seed, and right now and then."""

    def __init__(self, taxonomy: Taxonomy, cases: Sequence[Case], seed: int, *, fails: bool = False) -> None:
        self._taxonomy = taxonomy
        self._gold = {case.id: case.gold for case in cases}
        self._seed = seed
        self._fails = fails

    async def prepare(self, cases: Sequence[Case], progress: Progress) -> None: ...

    async def run(
        self,
        incident: Incident,
        *,
        exclude: Collection[str] = (),
        duplicates: bool = True,
        as_of: datetime | None = None,
    ) -> Triage:
        number = int(incident.id.partition("-")[2])
        if self._fails or number % 13 == 7:
            raise TimeoutError(f"no answer in 60 s <i>for</i> {incident.id}")
        lots = np.random.default_rng((self._seed, number))
        found = Evidence.locate("switch in hall", incident.text)
        others = [key for key in self._gold if key != incident.id][:3]
        return Triage(
            incident_id=incident.id,
            facets={
                facet.id: self._answer(facet.id, incident.id, lots, found)
                for facet in self._taxonomy.facets
                if number % 11 or facet.id != "part"
            },
            neighbours=tuple(
                Neighbour(incident_id=key, similarity=0.9 - n / 10, is_near_duplicate=n == 0, labels=self._gold[key])
                for n, key in enumerate(others)
            ),
            degraded=number % 9 == 2,
            degraded_reason="the model <did> not answer" if number % 9 == 2 else None,
            provenance=Provenance(
                taxonomy="wild",
                taxonomy_version="1.0.0",
                model="a model",
                prompts=("letters@1.0.0",),
                embedder="an embedder",
                prompt_tokens=100,
                model_calls=1,
                seconds={"retrieve": 0.5},
            ),
        )

    def _answer(self, facet_id: str, case_id: str, lots: np.random.Generator, found: Evidence | None) -> FacetResult:
        facet = self._taxonomy.facet(facet_id)
        gold = self._gold[case_id].get(facet_id, (facet.ids[0],))
        picked = gold[0] if lots.random() < 0.5 else str(lots.choice(facet.ids))
        if lots.random() < 0.1:
            return FacetResult(facet=facet_id, labels=(), abstention="no label is likely enough")
        sure = round(float(lots.uniform(0.4, 0.99)), 3)
        rest = next(label for label in facet.ids if label != picked)
        distribution = {picked: sure, rest: round(1 - sure, 3)}
        return FacetResult(
            facet=facet_id,
            labels=(picked,),
            probability=sure,
            distribution=tuple(LabelProbability(label=key, probability=value) for key, value in distribution.items()),
            evidence=(found,) if found else (),
            sources={"model": {picked: 0.7, rest: 0.3}, "words": {rest: 0.9}, "prior": {picked: 0.5}},
        )


def show(folder: Path, *, count: int = 40, fails: bool = False, base: Run | None = None, seed: int = 1) -> Shown:
    """Run the wild suite below `folder` and report it."""
    folder.mkdir(parents=True, exist_ok=True)
    taxonomy = _taxonomy(folder)
    data = folder / "data.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in _rows(taxonomy, count)))
    (folder / "suite.yaml").write_text(
        yaml.safe_dump(
            {
                "name": "wild",
                "description": "Everything that is <hard> to show",
                "taxonomy": "wild.yaml",
                "adapter": "vllm",
                "data": "data.jsonl",
                "facets": ["cause", "part", "symptom"],
                "metrics": [
                    "kappa.cause",
                    "accuracy.part",
                    "jaccard.symptom",
                    "latency.p95",
                    "calls.total",
                    "cost.total",
                ],
                "gates": ["accuracy.cause.point >= 0.01", "kappa.cause >= 0.999", "accuracy.part >= 0.5"],
            }
        )
    )
    suite = Suite.load(folder / "suite.yaml")
    loaded = suite.load_data(taxonomy)
    subject = SeededTriage(taxonomy, loaded.cases, seed, fails=fails)
    run = asyncio.run(run_suite(suite, loaded, taxonomy, subject, folder / "run", settings={"seed": seed}))
    cases = read_cases(run, taxonomy)
    assert cases is not None
    return Shown(run, report_of(run, taxonomy, base), taxonomy, cases)


@pytest.fixture(scope="session")
def wild(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """The wild run against a base with other answers."""
    base = show(tmp_path_factory.mktemp("base"), seed=2)
    return show(tmp_path_factory.mktemp("wild"), base=base.run)
