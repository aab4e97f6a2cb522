from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.parts import HashingEmbedder
from triage.domain.annotation import Assignment
from triage.domain.incident import Incident
from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import FacetResult, Provenance, Triage
from triage.history.casebook import Casebook
from triage.history.chroma import ChromaHistory
from triage.labels.annotation_job.labelling import Labelling
from triage.redaction import Redactor
from triage.store import Store

TAXONOMY = Taxonomy.load("llm_inference")
FACETS = ("category", "failure_mode", "mitigation")


@pytest.fixture
async def store(store: Store) -> Store:
    """A store with three incidents, of which the model has labelled each."""
    for name in ("one", "two", "three"):
        await store.incidents.add(
            Incident(id=name, title=f"Incident {name}", write_up=f"Write-up {name}."), TAXONOMY.id
        )
        facets = {"category": FacetResult(facet="category", labels=("operational",))}
        provenance = Provenance(taxonomy=TAXONOMY.id, taxonomy_version=TAXONOMY.version)
        await store.triages.save(name, Triage(incident_id=name, facets=facets, provenance=provenance))
    return store


@pytest.fixture
def casebook(store: Store) -> Iterator[Casebook]:
    history = ChromaHistory.open(None, HashingEmbedder.fingerprint)
    yield Casebook(store, history, Redactor(), HashingEmbedder(), TAXONOMY)
    history.close()


@pytest.fixture
def labelling(store: Store) -> Labelling:
    return Labelling(store, TAXONOMY)


def assigned(incident_id: str, annotator: str = "ada", **fields: object) -> Assignment:
    values = {"incident_id": incident_id, "annotator": annotator, "facets": FACETS}
    return Assignment.model_validate(values | fields)
