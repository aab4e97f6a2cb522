from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triage.domain.errors import InvalidInput, NotFound
from triage.domain.incident import Incident
from triage.domain.taxonomy import Taxonomy, UnknownFacet
from triage.labels.annotation_job.assignment import assign, assign_each, distribute
from triage.store import Store

TAXONOMY = Taxonomy.load("llm_inference")
names = st.lists(st.sampled_from("vwxyz"), min_size=1, max_size=5, unique=True)
incident_ids = st.lists(st.text("abcdefgh", min_size=1, max_size=3), max_size=30, unique=True)
seeds = st.integers(0, 1000)


@st.composite
def work(draw: st.DrawFn) -> tuple[list[str], list[str], int, int]:
    annotators = draw(names)
    return draw(incident_ids), annotators, draw(st.integers(1, len(annotators))), draw(seeds)


def by_incident(pairs: list[tuple[str, str]]) -> dict[str, set[str]]:
    found = defaultdict(set)
    for incident_id, annotator in pairs:
        found[incident_id].add(annotator)
    return found


@settings(deadline=None)
@given(work())
def test_every_incident_goes_to_so_many_different_annotators_and_all_have_their_share(
    work: tuple[list[str], list[str], int, int],
) -> None:
    ids, annotators, per_incident, seed = work
    pairs = distribute(ids, annotators, per_incident, seed=seed)

    assert len(pairs) == len(set(pairs)) == len(ids) * per_incident
    assert {key: len(who) for key, who in by_incident(pairs).items()} == dict.fromkeys(ids, per_incident)
    shares = [sum(who == name for _, who in pairs) for name in annotators]
    assert max(shares) - min(shares) <= 1
    assert pairs == distribute(ids[::-1], annotators, per_incident, seed=seed)


@settings(deadline=None)
@given(work(), incident_ids, names, seeds)
def test_adding_later_keeps_what_was_and_adds_only_what_lacks(
    work: tuple[list[str], list[str], int, int], more: list[str], others: list[str], seed: int
) -> None:
    ids, annotators, per_incident, _ = work
    before = by_incident(distribute(ids, annotators, per_incident, seed=seed))
    wanted = min(per_incident + 1, len(others))
    together = list(dict.fromkeys([*ids, *more]))

    added = distribute(together, others, wanted, already=before, seed=seed)

    for key, who in by_incident(added).items():
        assert not who & before[key]
    for key in together:
        have = len(before[key]) + len(by_incident(added)[key])
        assert have == max(len(before[key]), min(wanted, len(before[key] | set(others))))


async def test_names_are_kept_on_one_line_without_what_cannot_be_seen(store: Store) -> None:
    given_ = await assign_each(store, TAXONOMY, [" Ada\n  Lovelace\x00 ", "\u200b", "x" * 200], ["i0"])
    assert set(given_.added) == {"Ada Lovelace", "x" * 200}
    with pytest.raises(InvalidInput, match="longer than 200 characters"):
        await assign(store, TAXONOMY, ["ada", "x" * 201])
    with pytest.raises(InvalidInput, match="belong to models"):
        await assign(store, TAXONOMY, ["\u200bmodel:m"])


def test_everyone_meets_everyone() -> None:
    pairs = distribute([f"i{n}" for n in range(30)], ["a", "b", "c", "d"], 2, seed=1)
    met = Counter(tuple(sorted(who)) for who in by_incident(pairs).values())

    assert len(met) == 6
    assert max(met.values()) - min(met.values()) <= 2


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    store = Store(url)
    for n in range(6):
        await store.incidents.add(Incident(id=f"i{n}", write_up=f"Write-up {n}."), TAXONOMY.id)
    yield store
    await store.close()


async def test_assignments_are_stored_and_a_second_portion_is_of_other_incidents(store: Store) -> None:
    first = await assign(store, TAXONOMY, ["ada", "grace"], limit=2, seed=4)
    second = await assign(store, TAXONOMY, ["ada", "grace"], limit=3, seed=4)
    rest = await assign(store, TAXONOMY, ["ada", "grace"], seed=4)

    assert (first.added, second.added) == ({"ada": 2, "grace": 2}, {"ada": 3, "grace": 3})
    assert (rest.incidents, (await assign(store, TAXONOMY, ["ada", "grace"])).added) == (1, {"ada": 0, "grace": 0})
    of_ada = await store.assignments.list("ada")
    assert sorted(a.incident_id for a in of_ada) == [f"i{n}" for n in range(6)]
    assert of_ada[0].facets == tuple(facet.id for facet in TAXONOMY.facets)


async def test_other_facets_of_an_assigned_incident_go_to_annotators_again(store: Store) -> None:
    await assign(store, TAXONOMY, ["ada"], per_incident=1, facets=["category"], incident_ids=["i1"])
    again = await assign(store, TAXONOMY, ["ada"], per_incident=1, facets=["severity"], incident_ids=["i1"])

    assert again.added == {"ada": 1}
    assert [(a.incident_id, a.facets) for a in await store.assignments.list()] == [("i1", ("category", "severity"))]


async def test_a_third_annotator_can_join_later(store: Store) -> None:
    await assign(store, TAXONOMY, ["ada", "grace"], incident_ids=["i0", "i1"])
    joined = await assign(store, TAXONOMY, ["joan"], per_incident=3, incident_ids=["i0", "i1"])

    assert joined.added == {"joan": 2}
    assert len(await store.assignments.list()) == 6


async def test_what_can_not_be_assigned_is_explained(store: Store) -> None:
    with pytest.raises(InvalidInput, match="some would have 1"):
        await assign(store, TAXONOMY, ["ada", " ada"], per_incident=2)
    with pytest.raises(InvalidInput, match="belong to models"):
        await assign(store, TAXONOMY, ["ada", "model:x@1"])
    with pytest.raises(UnknownFacet):
        await assign(store, TAXONOMY, ["ada", "grace"], facets=["mood"])
    with pytest.raises(NotFound, match="nobody"):
        await assign(store, TAXONOMY, ["ada", "grace"], incident_ids=["i1", "nobody"])
    with pytest.raises(NotFound, match="--from"):
        await assign(store, TAXONOMY, ["ada", "grace"], status="triaged")
    assert await store.assignments.list() == []


async def test_each_of_these_is_given_to_each_of_them_beside_what_they_have(store: Store) -> None:
    await assign_each(store, TAXONOMY, ["ada"], ["i1"], facets=["category"])

    given = await assign_each(store, TAXONOMY, ["ada", " grace"], ["i1", "i2", "i2"], shows_model=True)

    assert given == (2, {"ada": 2, "grace": 2})
    mine = {each.incident_id: each for each in await store.assignments.list("ada")}
    assert set(mine["i1"].facets) == {facet.id for facet in TAXONOMY.facets}
    assert (mine["i1"].shows_model, mine["i2"].shows_model) == (False, True)
    assert await assign_each(store, TAXONOMY, ["ada"], ["i1"]) == (0, {"ada": 0})
    with pytest.raises(NotFound, match="Unknown incidents: none"):
        await assign_each(store, TAXONOMY, ["ada"], ["i1", "none"])
    with pytest.raises(InvalidInput, match="at least one annotator"):
        await assign_each(store, TAXONOMY, [" "], ["i1"])
    with pytest.raises(UnknownFacet):
        await assign_each(store, TAXONOMY, ["ada"], ["i1"], facets=["none"])
