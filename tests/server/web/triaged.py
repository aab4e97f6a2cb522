"""A triaged incident whose every part is known, for the tests of its page."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from triage.domain.incident import Incident
from triage.domain.triage_result import (
    Contrast,
    ContrastedIncident,
    Evidence,
    FacetResult,
    KindCount,
    LabelProbability,
    Neighbour,
    Precedent,
    Provenance,
    Step,
    Suggestion,
    Supporter,
    Triage,
)
from triage.store import Pending, Store

from .conftest import Site, in_store

BEGAN = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
TITLE = "Packets lost in one zone"
WRITE_UP = (
    "The switch of one zone dropped packets at nine. We drained the zone and replaced the switch. <b>All & well</b>."
)
LIKE_IT = "openai-2024-04-10-control-plane"
"""An incident of the shipped history."""


def incident(name: str, **fields: Any) -> Incident:
    values = {
        "id": name,
        "title": TITLE,
        "write_up": WRITE_UP,
        "service": "router",
        "severity": "SEV-2",
        "source": "status page",
        "started_at": BEGAN,
        "detected_at": BEGAN + timedelta(minutes=6),
        "mitigated_at": BEGAN + timedelta(minutes=75),
    }
    return Incident.model_validate(values | fields)


def result(facet: str, *labels: str, quotes: tuple[str, ...] = (), text: str = "", **fields: Any) -> FacetResult:
    distribution = tuple(LabelProbability(label=label, probability=0.8 / (n + 1)) for n, label in enumerate(labels))
    located = tuple(each for quote in quotes if (each := Evidence.locate(quote, text)))
    values = {"facet": facet, "labels": labels[:1], "probability": 0.8, "distribution": distribution}
    return FacetResult.model_validate(values | {"evidence": located} | fields)


def triage(of: Incident, **fields: Any) -> Triage:
    """All that a triage can hold: overlapping evidence, an abstention, calibrated and not, neighbours, suggestions."""
    text = of.text
    facets = [
        result("category", "infrastructure", "operational", quotes=("The switch of one zone",), text=text),
        result("failure_mode", "network", quotes=("switch of one zone dropped packets",), text=text),
        result("detection", "undisclosed", is_calibrated=True),
        result("mitigation", "hardware_replacement", quotes=("replaced the switch",), text=text),
        result(
            "severity",
            "medium",
            "high",
            labels=(),
            abstention="Close: medium (80%), high (40%). To settle it: count the users.",
        ),
        result("modality", "several", quotes=("Packets lost",), text=text, rationale="It hit every model."),
    ]
    neighbours = (
        Neighbour(
            incident_id=LIKE_IT,
            title="A large share of requests fails",
            url="https://status.example.org/1",
            excerpt="Packets were lost <i>everywhere</i>.",
            similarity=0.91,
            is_near_duplicate=True,
            labels={
                "category": ("infrastructure",),
                "failure_mode": ("compute_allocation",),
                "severity": ("high",),
                "mitigation": ("throttling",),
            },
            occurred_at=BEGAN - timedelta(days=40),
            ttm_minutes=163,
        ),
        Neighbour(
            incident_id="long-gone", title="Not kept any more", similarity=0.5, labels={"category": ("operational",)}
        ),
    )
    suggestions = (
        Suggestion(
            mitigation="throttling",
            score=0.6,
            support=3,
            considered=7,
            ended=1,
            incidents=(LIKE_IT,),
            supporters=(Supporter(incident_id=LIKE_IT, title="A large share of requests fails"),),
            steps=(Step(text="Traffic was limited <first>.", incident_id=LIKE_IT),),
            median_ttm_minutes=90,
            ttm_interquartile_range_minutes=(45, 130),
            ttm_count=3,
            ttm_until="resolution",
            of_kind=KindCount(facet="failure_mode", label="network", used=11, known=40),
        ),
        Suggestion(mitigation="rollback", definition="Go back to what ran before.", score=0, is_general_advice=True),
    )
    values: dict[str, Any] = {
        "incident_id": of.id,
        "facets": {each.facet: each for each in facets},
        "neighbours": neighbours,
        "contrast": Contrast(
            facet="category",
            different=ContrastedIncident(
                incident_id="long-gone",
                title="Not kept any more",
                similarity=0.5,
                label="operational",
                sentence="We erred.",
            ),
            evidence=Evidence.locate("replaced the switch", text),
        ),
        "precedent": Precedent(
            incident_id=LIKE_IT,
            title="A large share of requests fails",
            similarity=0.91,
            is_near_duplicate=True,
            mitigations=("throttling",),
            sentence="Traffic was limited <first>.",
            ttm_minutes=163,
            ttm_until="resolution",
        ),
        "suggestions": suggestions,
        "degraded": True,
        "degraded_reason": "The model did not answer within 20 s.",
        "provenance": Provenance(
            taxonomy="llm_inference",
            taxonomy_version="1.0.0",
            model="small-model",
            prompts=("classify@3",),
            redactions={"email": 2},
            prompt_tokens=1234,
            completion_tokens=56,
            cost=0.0123,
            history_size=455,
            withheld_sentences=1,
            seconds={"classify": 1.5},
        ),
    }
    return Triage.model_validate(values | fields)


def keep(service: Site, name: str, team: str = "default", **fields: Any) -> str:
    """Store an incident with its triage; returns its id. `fields` are those of the triage."""
    made = incident(name)

    async def store_it(store: Store) -> None:
        await store.incidents.add(made, "llm_inference", team)
        await store.triages.save(name, triage(made, **fields))

    in_store(service, store_it)
    return name


def keep_failed(service: Site, name: str, retry_at: datetime | None = None) -> str:
    """Store an incident whose triage failed."""

    async def store_it(store: Store) -> None:
        await store.incidents.add(incident(name), "llm_inference")
        await store.attempts.fail(Pending(name, 0), "The embedder's endpoint refused the key <x>.", retry_at)

    in_store(service, store_it)
    return name
