from __future__ import annotations

import pytest

from triage.domain.annotation import Labels
from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import Neighbour
from triage.server.web.incident import compare_neighbour

TAXONOMY = Taxonomy.load("llm_inference")
HERE: Labels = {"category": ("infrastructure", "operational"), "modality": ("several",)}


def neighbour(**labels: tuple[str, ...]) -> Neighbour:
    return Neighbour(incident_id="old", similarity=0.8, labels=labels)


@pytest.mark.parametrize(
    ("there", "verdict"),
    [
        (("infrastructure",), "same"),
        (("operational", "infrastructure"), "partly"),
        (("inference_engine",), "different"),
    ],
)
def test_a_facet_with_a_primary_label_is_the_same_if_that_is(there: tuple[str, ...], verdict: str) -> None:
    found = compare_neighbour(TAXONOMY, HERE, neighbour(category=there))

    assert [(each.facet.id, each.verdict) for each in found.facets] == [("category", verdict)]


def test_what_the_incident_itself_has_no_label_for_is_open() -> None:
    found = compare_neighbour(TAXONOMY, HERE, neighbour(severity=("high",), modality=("image",)))

    assert [(each.facet.id, each.verdict) for each in found.facets] == [("severity", "open"), ("modality", "different")]


def test_what_ended_it_is_told_and_not_compared() -> None:
    found = compare_neighbour(
        TAXONOMY, HERE | {"mitigation": ("restart",)}, neighbour(mitigation=("rollback", "restart"))
    )

    assert found.facets == ()
    assert found.mitigations == ("rollback", "restart")
    assert compare_neighbour(TAXONOMY, HERE, neighbour(mitigation=("undisclosed",))).mitigations == ()


def test_a_taxonomy_without_mitigations_has_nothing_that_ended_it() -> None:
    plain = TAXONOMY.model_copy(
        update={"facets": tuple(facet for facet in TAXONOMY.facets if facet.role != "mitigation")}
    )

    assert compare_neighbour(plain, HERE, neighbour(mitigation=("rollback",))).mitigations == ()
