from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.labels.annotation_job.conftest import TAXONOMY, assigned
from triage.agreement import cohen_kappa
from triage.domain.annotation import Annotation
from triage.domain.incident import Incident
from triage.labels.annotation_job.status import job_status, summarise
from triage.store import Store


def said(annotator: str, incident_id: str, label: str, facet: str = "category", **fields: object) -> Annotation:
    values = {"incident_id": incident_id, "facet": facet, "labels": (label,), "annotator": annotator}
    return Annotation.model_validate(values | fields)


async def test_the_status_tells_who_is_done_what_is_open_and_how_well_people_agree(store: Store) -> None:
    await store.assignments.add(
        [assigned(name, who, facets=("category",)) for who in ("ada", "grace") for name in ("one", "two", "three")]
    )
    await store.assignments.record_serving("one", "ada", showed_model=True)
    given_ = [
        said("ada", "one", "infrastructure"),
        said("ada", "two", "operational"),
        said("grace", "one", "infrastructure"),
        said("grace", "two", "infrastructure"),
        said("grace", "three", "operational"),
        said("model:x@1", "three", "infrastructure", origin="model"),
    ]
    kept = (await store.record(given_, is_interactive=True)).annotations
    found = await job_status(store, TAXONOMY)

    assert [(a.annotator, a.assigned, a.done, a.labels, a.saw_model) for a in found.annotators] == [
        ("ada", 3, 2, 2, 1),
        ("grace", 3, 3, 3, 0),
    ]
    assert (found.labelled, found.overlap, found.open, found.unconfirmed, found.settled) == (3, 2, 1, 1, 0)
    pair = found.agreement[0]
    assert (pair.facet, pair.annotators, pair.kappa.n, pair.kappa.observed) == ("category", ("ada", "grace"), 2, 0.5)

    settles = tuple(each.id for each in kept if each.incident_id == "two" and each.id)
    await store.record([said("lin", "two", "operational", is_gold=True, settles=settles)])
    after = await job_status(store, TAXONOMY)
    assert (after.open, after.settled, len(after.annotators)) == (0, 1, 2)
    assert after.agreement == found.agreement


async def test_the_status_can_be_of_some_teams(store: Store) -> None:
    await store.incidents.add(Incident(id="payments:one", write_up="Theirs."), TAXONOMY.id, "payments")
    await store.assignments.add([assigned("payments:one", "max"), assigned("one", "ada")])
    await store.record([said("grace", "two", "operational")])

    assert [each.annotator for each in (await job_status(store, TAXONOMY, {"payments"})).annotators] == ["max"]
    assert [each.annotator for each in (await job_status(store, TAXONOMY)).annotators] == ["ada", "grace", "max"]


async def test_nothing_is_told_of_nothing(store: Store) -> None:
    found = await job_status(store, TAXONOMY)
    assert (found.annotators, found.labelled, found.agreement) == ((), 0, ())


labels = st.sampled_from(TAXONOMY.facet("category").ids)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(labels, labels), min_size=1, max_size=20))
def test_kappa_is_that_of_the_labels_given_to_the_same_incidents(pairs: list[tuple[str, str]]) -> None:
    annotations = {
        f"i{n}": [said("ada", f"i{n}", one), said("grace", f"i{n}", other)] for n, (one, other) in enumerate(pairs)
    }
    found = summarise([], annotations, TAXONOMY).agreement[0].kappa
    expected = cohen_kappa([one for one, _ in pairs], [other for _, other in pairs])

    assert (found.n, found.observed) == (len(pairs), expected.observed)
    assert found.value == (None if expected.value is None else pytest.approx(expected.value))
