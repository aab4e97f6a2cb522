"""A small taxonomy, data files in the published formats with texts of our own, and a triage to examine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from triage.domain.incident import Incident
from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import Evidence, FacetResult, LabelProbability, Provenance, Triage
from triage.evaluation import Case, Suite
from triage.observability.progress import Progress

TAXONOMY = """
id: small
version: 1.0.0
title: Small
description: For tests
facets:
  - id: cause
    name: Cause
    question: What was the cause?
    cardinality: single
    labels:
      - id: power
        name: Power
        aliases: [POWER LOSS]
        <<: &words {definition: d, includes: [i], excludes: [e], deciding_rule: r, example: x}
      - {id: network, name: Network, <<: *words}
      - {id: code, name: Code, <<: *words}
  - id: symptom
    name: Symptom
    question: What was seen?
    cardinality: multi
    labels:
      - {id: errors, name: Errors, aliases: [ERROR], <<: *words}
      - {id: delay, name: Delay, <<: *words}
"""

PLACES = ("Oslo", "Lima", "Pune", "Kyiv", "Bonn", "Cork", "Riga", "Doha", "Baku", "Nice", "Graz", "Gent")


def vllm_row(number: int, cause: str | None, text: str | None = None) -> dict[str, Any]:
    return {
        "id": f"vllm-{number}",
        "source": "vllm_issue_type",
        "url": f"https://example.org/{number}",
        "title": f"Case {number}",
        "text": text or f"In {PLACES[number % 12]} the {cause or 'unknown'} part of hall {number} stopped.",
        "created_at": "2024-11-05T11:34:17+00:00",
        "resolved_at": "2024-11-06T03:45:11+00:00",
        "labels": {"engine": "vllm", "cause": cause, "symptom": ["ERROR", "delay"] if number % 2 else ["delay"]},
        "label_origin": "human",
    }


class KeywordTriage:
    """Answers with the cause whose name stands in the text, and remembers what it was asked."""

    def __init__(self, taxonomy: Taxonomy, *, fails_on: Collection[str] = ()) -> None:
        self.taxonomy = taxonomy
        self.fails_on = fails_on
        self.asked: list[str] = []
        self.as_of: dict[str, datetime | None] = {}
        self.excluded: dict[str, set[str]] = {}
        self.history: list[str] = []
        self.prepared = 0
        self.at_once = self.most_at_once = 0

    async def prepare(self, cases: Sequence[Case], progress: Progress) -> None:
        self.prepared += 1
        self.history = [case.id for case in cases]
        progress("history", len(cases), len(cases))

    async def run(
        self,
        incident: Incident,
        *,
        exclude: Collection[str] = (),
        duplicates: bool = True,
        as_of: datetime | None = None,
    ) -> Triage:
        assert not duplicates
        self.asked.append(incident.id)
        self.as_of[incident.id] = as_of
        self.excluded[incident.id] = set(exclude)
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        # Later cases finish first, so that order is not a matter of luck.
        await asyncio.sleep(0.02 / (1 + len(self.asked)))
        self.at_once -= 1
        if incident.id in self.fails_on:
            raise TimeoutError("no answer in 60 s")
        cause = next((label for label in ("power", "network", "code") if label in incident.write_up), None)
        found = Evidence.locate(cause, incident.text) if cause else None
        facets = {
            "cause": FacetResult(
                facet="cause",
                labels=(cause,) if cause else (),
                distribution=(LabelProbability(label=cause or "code", probability=0.8),),
                evidence=(found,) if found else (),
                abstention=None if cause else "no label is likely enough",
            ),
            "symptom": FacetResult(facet="symptom", labels=("delay",)),
        }
        provenance = Provenance(taxonomy="small", taxonomy_version="1.0.0", prompt_tokens=10, model_calls=1)
        degraded = incident.id.endswith("-3")
        return Triage(
            incident_id=incident.id,
            facets=facets,
            provenance=provenance,
            degraded=degraded,
            degraded_reason="the model did not answer" if degraded else None,
        )


@pytest.fixture
def small(tmp_path: Path) -> Taxonomy:
    path = tmp_path / "small.yaml"
    path.write_text(TAXONOMY)
    return Taxonomy.load(path)


@pytest.fixture(scope="session")
def small_taxonomy(tmp_path_factory: pytest.TempPathFactory) -> Taxonomy:
    """The same for tests that hypothesis runs often."""
    path = tmp_path_factory.mktemp("taxonomy") / "small.yaml"
    path.write_text(TAXONOMY)
    return Taxonomy.load(path)


@pytest.fixture
def write_jsonl(tmp_path: Path) -> Callable[..., Path]:
    def write(*rows: dict[str, Any] | str, name: str = "data.jsonl") -> Path:
        path = tmp_path / name
        path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
        return path

    return write


@pytest.fixture
def write_suite(tmp_path: Path, small: Taxonomy) -> Callable[..., Suite]:
    def write(**more: Any) -> Suite:
        content = {
            "name": "small",
            "description": "A suite for tests",
            "taxonomy": "small.yaml",
            "adapter": "vllm",
            "data": "data.jsonl",
            "facets": ["cause"],
        }
        path = tmp_path / "suite.yaml"
        path.write_text(yaml.safe_dump(content | more))
        return Suite.load(path)

    return write
