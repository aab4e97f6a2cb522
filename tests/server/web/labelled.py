"""Incidents that a model triaged and people labelled, put straight into a service's store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from triage.app.settings import Settings
from triage.app.wiring.storage import build_cipher
from triage.domain.annotation import Annotation
from triage.domain.incident import Incident
from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import FacetResult, Provenance, Triage
from triage.store import Store

TAXONOMY = Taxonomy.load("llm_inference")
LABELS = TAXONOMY.facet("category").ids


async def label(
    settings: Settings,
    keys: Sequence[str],
    *,
    said: Mapping[str, Sequence[str]],
    model: Sequence[str],
    days_ago: float = 3,
    saw_model: bool | None = None,
    team: str = "default",
    title: str = "Incident {key}",
) -> None:
    """Each of `keys` in turn gets the model's label of `category` and, of each person in `said`, theirs.

    For the model "" is an abstention. Labels are given a few hours after each other, the first `days_ago`.
    """
    store = Store(settings.sql_url, build_cipher(settings))
    try:
        for n, key in enumerate(keys):
            at = datetime.now(UTC) - timedelta(days=days_ago, hours=-n / 20)
            incident = Incident(id=key, title=title.format(key=key), write_up=f"{title.format(key=key)}: it broke.")
            await store.incidents.add(incident, TAXONOMY.id, team)
            found = FacetResult(facet="category", labels=(model[n],) if model[n] else ())
            provenance = Provenance(taxonomy=TAXONOMY.id, taxonomy_version=TAXONOMY.version)
            triage = Triage(incident_id=key, facets={"category": found}, provenance=provenance, created_at=at)
            await store.triages.save(f"made-{key}", triage)
            given = {"incident_id": key, "facet": "category", "created_at": at + timedelta(minutes=9)}
            await store.record(
                [
                    Annotation.model_validate(
                        given | {"labels": (labels[n],), "annotator": name, "saw_model": saw_model}
                    )
                    for name, labels in said.items()
                ]
            )
    finally:
        await store.close()
