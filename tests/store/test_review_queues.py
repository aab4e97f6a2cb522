from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.store.test_store import annotation, incident
from triage.domain.annotation import Assignment
from triage.domain.incident import Incident
from triage.domain.triage_result import FacetResult, Provenance, Triage
from triage.store import IncidentQuery, Pending, Store

ANY = IncidentQuery()


def triage(incident_id: str, *, degraded: bool = False, **labels: tuple[str, ...]) -> Triage:
    facets = {facet: FacetResult(facet=facet, labels=given) for facet, given in labels.items()}
    provenance = Provenance(taxonomy="t", taxonomy_version="1.0.0")
    return Triage(incident_id=incident_id, facets=facets, degraded=degraded, provenance=provenance)


async def fill(store: Store) -> None:
    """One incident of each sort, in the order of the alphabet."""
    for name in ("abstained", "better", "degraded", "failed", "labelled", "new", "waits"):
        await store.incidents.add(incident(name, service=name[0], severity="high"), "t")
    await store.triages.save("abstained", triage("abstained", category=(), severity=("high",)))
    await store.triages.save("better", triage("better", degraded=True, category=("x",)))
    await store.triages.save("better~2", triage("better", category=("y",)))
    await store.triages.save("degraded", triage("degraded", degraded=True, category=("x",)))
    await store.attempts.fail(Pending("failed", 0), "It tripped.", datetime(2030, 1, 1, tzinfo=UTC))
    await store.triages.save("labelled", triage("labelled", category=("x",)))
    await store.triages.save("new", triage("new", category=("x", "y")))
    await store.record([annotation("y", incident_id="labelled"), annotation("z", incident_id="labelled")])
    await store.record([annotation("x", "a rule", incident_id="new", origin="derived")])
    await store.record([], imported={"old": incident("old", service="o")}, taxonomy="t")


async def test_each_pile_holds_what_its_name_says_newest_first(store: Store) -> None:
    await fill(store)

    held = {
        pile: [one.incident.id for one in await store.review_queues.list(pile, ANY, limit=99)]
        for pile in ("new", "degraded", "untriaged", "triaged", "labelled", "all")
    }

    assert held == {
        "new": ["new", "degraded", "better", "abstained"],
        "degraded": ["degraded"],
        "untriaged": ["waits", "failed"],
        "triaged": ["new", "labelled", "degraded", "better", "abstained"],
        "labelled": ["labelled"],
        "all": ["old", "waits", "new", "labelled", "failed", "degraded", "better", "abstained"],
    }
    for pile, ids in held.items():
        assert await store.review_queues.list_ids(pile, ANY) == ids[::-1]
        assert await store.review_queues.count(pile, ANY, 99) == len(ids)
    assert await store.review_queues.count("all", ANY, 3) == 3


async def test_a_candidate_comes_with_what_its_latest_triage_says(store: Store) -> None:
    await fill(store)

    found = {
        one.incident.id: one
        for one in await store.review_queues.list("all", ANY, limit=99, facets=("category", "severity", "no_such"))
    }

    assert found["abstained"].labels == {"category": (), "severity": ("high",)}
    assert (found["better"].labels, found["better"].is_degraded) == ({"category": ("y",)}, False)
    assert (found["degraded"].labels, found["degraded"].is_degraded) == ({"category": ("x",)}, True)
    assert found["new"].labels == {"category": ("x", "y")}
    failed = found["failed"]
    assert (failed.failure, failed.triage_id, failed.labels, failed.is_degraded) == ("It tripped.", None, {}, False)
    assert failed.retry_at == datetime(2030, 1, 1, tzinfo=UTC)
    ids = {one.triage_id: name for name, one in found.items() if one.triage_id is not None}
    documents = await store.triages.find_documents_by_id([*ids, 12345])
    assert {Triage.model_validate_json(text).incident_id for text in documents.values()} == set(ids.values())
    assert Triage.model_validate_json(documents[found["better"].triage_id or 0]).facets["category"].labels == ("y",)


async def test_a_portion_begins_behind_a_place_and_does_not_shift(store: Store) -> None:
    await fill(store)
    first = await store.review_queues.list("triaged", ANY, limit=2)
    await store.incidents.add(incident("later"), "t")
    await store.triages.save("later", triage("later"))

    then = await store.review_queues.list("triaged", ANY, before=first[-1].seq, limit=2)

    assert [one.incident.id for one in (*first, *then)] == ["new", "labelled", "degraded", "better"]


async def test_queues_are_narrowed_like_every_list(store: Store) -> None:
    await fill(store)
    await store.incidents.add(Incident(id="payments:new", write_up="Theirs.", service="p"), "t", "payments")
    await store.triages.save("payments:new", triage("payments:new"))

    async def narrowed(**wanted: object) -> list[str]:
        return await store.review_queues.list_ids("new", IncidentQuery(**wanted))  # type: ignore[arg-type]

    assert await narrowed(service="n") == ["new"]
    assert await narrowed(severity="low") == []
    assert await narrowed(teams=("payments",)) == ["payments:new"]
    assert await narrowed(since=datetime.now(UTC) + timedelta(days=1)) == []
    in_use = await store.review_queues.list_filter_values(None, 4)
    assert (in_use.services, in_use.severities, in_use.teams) == (
        ["l", "n", "p", "w"],
        ["high"],
        ["default", "payments"],
    )
    assert (await store.review_queues.list_filter_values(("payments",), 99)).services == ["p"]


async def test_an_incident_that_failed_or_whose_triage_is_degraded_can_be_tried_again(store: Store) -> None:
    await fill(store)

    again = [name for name in await store.incidents.list_ids() if await store.attempts.request_again(name)]

    assert again == ["degraded", "failed"]
    # The attempt of the failure was counted, that of the degraded triage is used up: both next runs are new ones.
    assert [one for one in await store.attempts.list_pending() if one.id in again] == [
        Pending("degraded", 1),
        Pending("failed", 1),
    ]
    failed = await store.incidents.get("failed")
    assert (failed.failure, failed.retry_at, failed.failures) == (None, None, 0)
    assert not await store.attempts.request_again("degraded")
    await store.triages.save("degraded~2", triage("degraded"))
    assert not await store.attempts.request_again("degraded")


async def test_those_are_found_to_whom_a_facet_was_given_another_label(store: Store) -> None:
    for name in ("agree", "alone", "apart", "differ", "settled"):
        await store.incidents.add(incident(name), "t")
    said = [("agree", "x", "x"), ("differ", "x", "y"), ("settled", "x", "x")]
    await store.record(
        [
            annotation(label, who, incident_id=name, is_gold=False)
            for name, *labels in said
            for who, label in zip(("ada", "grace"), labels, strict=True)
        ]
    )
    await store.record([annotation(label, incident_id="alone") for label in ("x", "y")])
    await store.record(
        [annotation("x", "ada", incident_id="apart"), annotation("y", "g", incident_id="apart", facet="f")]
    )
    await store.record([annotation("z", "lin", incident_id="settled", settles=(1,))])

    assert [name for _, name in await store.annotations.list_labelled(2, differing=True)] == ["settled", "differ"]
    assert [name for _, name in await store.annotations.list_labelled(2)] == ["settled", "differ", "agree"]


async def test_a_cursor_leads_behind_an_incident(store: Store) -> None:
    await fill(store)

    behind = await store.incidents.list(2, await store.incidents.find_cursor("new"))

    assert [one.id for one in behind.incidents] == ["labelled", "failed"]
    assert await store.incidents.find_cursor("none") is None


async def test_who_has_assignments_is_told_by_team(store: Store) -> None:
    await store.incidents.add(incident("a"), "t")
    await store.incidents.add(incident("payments:a"), "t", "payments")
    given = [("a", "grace"), ("a", "ada"), ("payments:a", "lin")]
    await store.assignments.add(
        [Assignment(incident_id=name, annotator=who, facets=("category",)) for name, who in given]
    )

    assert await store.assignments.list_annotators() == ["ada", "grace", "lin"]
    assert await store.assignments.list_annotators(("payments",)) == ["lin"]


async def test_the_annotations_of_one_annotator_can_be_read_alone(store: Store) -> None:
    await store.incidents.add(incident("a"), "t")
    await store.record([annotation("x", "ada"), annotation("y", "grace")])

    assert [one.labels for one in (await store.annotations.list_many(["a"], "grace"))["a"]] == [("y",)]
