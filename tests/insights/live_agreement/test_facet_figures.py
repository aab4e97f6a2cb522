"""The closer look over a real store: windows, people, teams, and what is kept."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings

from triage.agreement import pair_figure
from triage.agreement.proportion import Proportion
from triage.domain.annotation import Annotation
from triage.domain.errors import NotFound
from triage.domain.incident import Incident
from triage.domain.taxonomy import UnknownFacet
from triage.domain.triage_result import FacetResult, Provenance, Triage
from triage.insights.live_agreement import LiveAgreement, LiveFigures, LiveOptions, Selection
from triage.insights.live_agreement.facet_figures import facet_overview
from triage.insights.live_agreement.judgements import ratings_of
from triage.insights.live_agreement.tables import judgements_table, overview_table, tables_of
from triage.insights.live_agreement.watch import live_facet
from triage.render.tables import as_csv, as_json
from triage.store import Judgement, Store

from .judgements import FACET, MULTI, TAXONOMY, judgements

NOW = datetime.now(UTC)


def figures(store: Store, **options: float) -> LiveFigures:
    chosen = LiveOptions(**{"refresh_s": 0.0} | options)  # type: ignore[arg-type]
    return LiveFigures(store, TAXONOMY, LiveAgreement(store, TAXONOMY, chosen), chosen)


async def incident(
    store: Store, key: str, model: str | None, said: dict[str, str], *, days_ago: float = 1, **more: object
) -> None:
    at = NOW - timedelta(days=days_ago)
    team = str(more.pop("team", "default"))
    await store.incidents.add(Incident(id=key, title=f"Title of {key}", write_up="It broke."), TAXONOMY.id, team)
    if model is not None:
        result = FacetResult(facet=FACET.id, labels=(model,))
        provenance = Provenance(taxonomy=TAXONOMY.id, taxonomy_version=TAXONOMY.version)
        made = Triage(incident_id=key, facets={FACET.id: result}, provenance=provenance, created_at=at)
        await store.triages.save(key, made)
    given = [
        Annotation.model_validate(
            {"incident_id": key, "facet": FACET.id, "labels": (label,), "annotator": name}
            | {"created_at": at + timedelta(minutes=1)}
            | more
        )
        for name, label in said.items()
    ]
    await store.record(given)


async def filled(store: Store, keys: Sequence[str], **more: object) -> None:
    """Incidents on which ada and bo differ now and then, and the model from both."""
    for n, key in enumerate(keys):
        label = ("bug", "usage", "performance")[n % 3]
        said = {"ada": label, "bo": label if n % 4 else "bug"}
        await incident(store, key, label if n % 5 else "usage", said, **more)  # type: ignore[arg-type]


@settings(deadline=None, max_examples=40)
@given(judgements())
def test_kappa_is_that_of_the_watch_on_the_same_labels(judged: list[Judgement]) -> None:
    for facet in (FACET, MULTI):
        with_model = Selection().with_model(judged)
        found = facet_overview(facet, judged, Selection(), Proportion(hits=0, n=0))
        watched = live_facet(facet, with_model, [], [], LiveOptions())
        assert (found.kappa, found.unseen, found.abstained) == (watched.kappa, watched.unseen, watched.abstained)


@settings(deadline=None, max_examples=40)
@given(judgements())
def test_two_people_set_the_ceiling_with_their_own_figure(judged: list[Judgement]) -> None:
    two = [one for one in judged if one.annotator != "cy"]
    found = facet_overview(FACET, two, Selection(), Proportion(hits=0, n=0))
    ratings = ratings_of(two)
    if len(ratings.annotators) == 3:
        figure = pair_figure(FACET, ratings.both(0, 1))
        assert (found.people.value, found.people.interval, found.people.n) == (figure.value, figure.interval, figure.n)
    else:
        assert found.people.value is None


async def test_the_model_stands_beside_the_ceiling_with_coverage_gate_and_drift(store: Store) -> None:
    await filled(store, [f"i{n}" for n in range(40)])
    await incident(store, "alone", "bug", {})
    overview = await figures(store, gate=0.2).overview(Selection())
    (one,) = overview.facets

    assert (one.kappa.n, one.people.n, one.annotators) == (80, 40, 2)
    assert one.kappa.value is not None
    assert one.people.value is not None
    assert one.coverage == Proportion(hits=40, n=41)
    assert one.alpha is not None
    assert one.watch is not None
    assert one.watch.state == "above"
    assert not overview.is_empty
    table = overview_table(overview)
    assert table.rows[0].cells[:2] == (FACET.id, one.kappa.value)
    assert json.loads(json.dumps(as_json(table)))["rows"][0]["cells"]["labelled"] == 40


async def test_one_facet_is_told_in_full(store: Store) -> None:
    await filled(store, [f"i{n}" for n in range(40)])
    found = await figures(store).facet(Selection(), FACET.id, "week")

    assert found.confusion is not None
    assert found.confusion.n == 80
    assert [(one.first, one.second) for one in found.pairs] == [("ada", "bo")]
    assert [one.name for one in found.people] == ["ada", "bo"]
    assert {one.label for one in found.labels} == {"bug", "usage", "performance"}
    assert all(one.people is not None for one in found.labels)
    assert found.periods[0].model.n == 80
    assert found.explanation.startswith("The model agrees with people at 0.")
    for table in tables_of(found, "week"):
        assert len(as_csv(table).splitlines()) == 1 + len(table.rows) > 1
    with pytest.raises(UnknownFacet):
        await figures(store).facet(Selection(), "colour", "week")


async def test_window_person_and_what_was_seen_narrow_what_counts(store: Store) -> None:
    await filled(store, [f"new{n}" for n in range(12)], saw_model=False)
    await filled(store, [f"old{n}" for n in range(12)], days_ago=60, saw_model=True)
    found = figures(store)

    async def counted(**chosen: object) -> tuple[int, int, int]:
        (one,) = (await found.overview(Selection(**chosen))).facets  # type: ignore[arg-type]
        return one.kappa.n, one.people.n, one.coverage.n

    assert await counted() == (48, 24, 24)
    assert await counted(days=30) == (24, 12, 12)
    assert await counted(days=None) == (48, 24, 24)
    assert await counted(unseen=True) == (24, 12, 24)
    assert await counted(annotator="ada") == (24, 24, 24)
    of_ada = await found.facet(Selection(annotator="ada"), FACET.id, "month")
    assert [one.name for one in of_ada.people] == ["ada"]
    assert [(one.first, one.second) for one in of_ada.pairs] == [("ada", "bo")]


async def test_who_labelled_nothing_lately_is_told_of_and_who_never_did_is_refused(store: Store) -> None:
    await filled(store, [f"new{n}" for n in range(3)])
    await incident(store, "old", "bug", {"cy": "bug"}, days_ago=60)
    await incident(store, "other", "bug", {"eve": "bug"}, team="two")
    found = figures(store, refresh_s=60)

    lately = await found.facet(Selection(30, "cy"), FACET.id, "month")
    assert lately.explanation == ""
    assert lately.overview.kappa.n == 0
    assert lately.overview.people.undefined == "cy labelled nothing here"
    one = frozenset({"default"})
    for selection in (Selection(30, "nobody"), Selection(30, "eve", teams=one)):
        with pytest.raises(NotFound, match="has labelled nothing"):
            await found.overview(selection)
        assert not found.is_at_hand(selection)
    assert found.is_at_hand(Selection(30, "cy"))


async def test_teams_see_their_own_labels_alone(store: Store) -> None:
    await filled(store, [f"one{n}" for n in range(12)], team="one")
    await filled(store, [f"two{n}" for n in range(6)], team="two")
    await incident(store, "cy", "bug", {"cy": "bug"}, team="two")
    found, mine = figures(store, refresh_s=60), Selection(teams=frozenset({"one"}))

    assert [one.kappa.n for one in (await found.overview(mine)).facets] == [24]
    assert {one.incident_id for one in await found.judgements(mine, FACET.id)} == {f"one{n}" for n in range(12)}
    assert [one.kappa.n for one in (await found.overview(Selection())).facets] == [37]
    assert await found.annotators(frozenset({"one"})) == ["ada", "bo"]
    assert await found.annotators(None) == ["ada", "bo", "cy"]
    nothing = await found.overview(Selection(teams=frozenset()))
    assert nothing.is_empty
    assert nothing.facets[0].coverage.n == 0


async def test_what_was_read_is_kept_for_a_while_and_only_the_latest_windows(store: Store) -> None:
    await filled(store, ["a"])
    kept, fresh = figures(store, refresh_s=60), figures(store)
    selection = Selection()
    before = await kept.overview(selection)
    assert kept.is_at_hand(selection)
    assert not fresh.is_at_hand(selection)
    await filled(store, ["b"])

    assert await kept.overview(selection) is before
    assert await kept.facet(selection, FACET.id, "week") is await kept.facet(selection, FACET.id, "week")
    assert (await fresh.overview(selection)).facets[0].kappa.n == 4
    for days in range(1, 9):
        await kept.overview(Selection(days=days))
    assert not kept.is_at_hand(selection)


async def test_the_judgements_behind_a_count_are_a_table_with_their_incidents(store: Store) -> None:
    await incident(store, "here", "bug", {"=cmd": "usage"}, saw_model=True)
    await incident(store, "gone", "bug", {"bo": "usage"})
    found = figures(store)
    judged = await found.judgements(Selection(), FACET.id)
    table = judgements_table(FACET, judged, await store.incidents.find_listed(["here"]))

    cells = {row.incident_ids[0]: row.cells for row in table.rows}
    assert cells["here"][1] == "Title of here"
    assert cells["here"][3:] == ("=cmd", "usage", "bug", "yes")
    assert cells["gone"][1] == ""
    assert "'=cmd" in as_csv(table)
    with pytest.raises(UnknownFacet):
        await found.judgements(Selection(), "colour")
