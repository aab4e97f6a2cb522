"""Incidents of every sort that people look at, written into the store of a running service."""

from __future__ import annotations

from datetime import UTC, datetime

from triage.domain.annotation import Annotation
from triage.domain.incident import Incident
from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import FacetResult, LabelProbability, Provenance, Triage
from triage.server.web.rendering import COOKIE
from triage.store import Pending, Store

from .conftest import Site, in_store

TAXONOMY = Taxonomy.load("llm_inference")
WRITE_UP = (
    "At 09:12 the primary switch in rack 4 failed and the router lost its uplinks. Chat completions timed out for 28 "
    "minutes.\n\nWe moved the traffic to the second zone at 09:40 and replaced the switch the next day."
)
LABELS = {  # of each facet, the child fits its parent
    "category": "infrastructure",
    "failure_mode": "network",
    "detection": "automated",
    "mitigation": "failover",
    "severity": "high",
    "modality": "text_generation",
}


def labels_of(taxonomy: Taxonomy = TAXONOMY) -> dict[str, str]:
    """A label for each facet, which fits its parent's."""
    chosen: dict[str, str] = {}
    for facet in taxonomy.facets:
        offered = facet.children([chosen[facet.parent]]) if facet.parent else list(facet.labels)
        chosen[facet.id] = (
            LABELS.get(facet.id) if LABELS.get(facet.id) in {one.id for one in offered} else offered[0].id
        )
    return chosen


def triage_of(incident_id: str, *, abstains: str = "", degraded: bool = False) -> Triage:
    """A triage that labels every facet but the one on which it abstains."""
    facets = {}
    for n, (facet, label) in enumerate(LABELS.items()):
        probability = 0.93 - 0.11 * n
        facets[facet] = FacetResult(
            facet=facet,
            labels=() if facet == abstains else (label,),
            probability=probability,
            distribution=(LabelProbability(label=label, probability=probability),),
            abstention="Two labels are close." if facet == abstains else None,
        )
    return Triage(
        incident_id=incident_id,
        facets=facets,
        degraded=degraded,
        degraded_reason="The model did not answer; labels come from the history." if degraded else None,
        provenance=Provenance(taxonomy=TAXONOMY.id, taxonomy_version=TAXONOMY.version, model="any-model"),
    )


def fill(service: Site, *names: str, team: str = "default") -> None:
    """One incident for each name, in this order; the first word of it says of which sort it is."""

    async def write(store: Store) -> None:
        for name in names:
            await _add(store, name, team)

    in_store(service, write)


def named(annotator: str) -> dict[str, str]:
    """What a browser sends in which somebody has said their name."""
    return {"cookie": f"{COOKIE}={annotator}"}


async def _add(store: Store, name: str, team: str) -> None:
    sort = name.rpartition(":")[2].partition("-")[0]
    incident = Incident(
        id=name,
        title=f"Uplinks lost ({name})",
        write_up=WRITE_UP,
        service="chat",
        severity="sev2",
        started_at=datetime(2026, 3, 2, 9, 12, tzinfo=UTC),
    )
    await store.incidents.add(incident, TAXONOMY.id, team)
    if sort == "failed":
        await store.attempts.fail(Pending(name, 0), "The model refused the key.", None)
        return
    await store.triages.save(name, triage_of(name, abstains="severity" * (sort == "unsure"), degraded=sort == "worse"))
    said = {"against": {"ada": "operational"}, "apart": {"ada": "operational", "grace": "infrastructure"}}
    await store.record(
        [
            Annotation(incident_id=name, facet="category", labels=(label,), annotator=who, note=f"Says {who}.")
            for who, label in said.get(sort, {}).items()
        ]
    )
