"""Assignment of incidents to annotators: a fixed number of annotators per incident, with equal shares."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from triage.domain.annotation import LONGEST_NAME, Assignment, clean_name
from triage.domain.enums import Status
from triage.domain.errors import InvalidInput, NotFound
from triage.domain.taxonomy import Taxonomy
from triage.store import Store


def distribute(
    incident_ids: Sequence[str],
    annotators: Sequence[str],
    per_incident: int,
    *,
    already: Mapping[str, Collection[str]] | None = None,
    seed: int = 0,
) -> list[tuple[str, str]]:
    """Pairs of incident and annotator to add, so that each incident has `per_incident` different annotators.

    `already` maps incidents to the annotators they have; these stay and count. Each incident goes to the annotators
    with the fewest incidents, and among them to those who share the fewest with its other annotators; ties are broken
    at random by `seed`. Starting from nothing, shares differ by at most one incident. Each annotator's incidents come
    in random order, so whoever stops early has labelled a random sample.

    >>> sorted(distribute(["a", "b", "c"], ["x", "y"], 1, seed=3))
    [('a', 'y'), ('b', 'x'), ('c', 'y')]
    """
    known = {key: set((already or {}).get(key, ())) for key in incident_ids}
    shares = Counter(name for names in (already or {}).values() for name in names)
    met = Counter(pair for names in (already or {}).values() for pair in itertools.combinations(sorted(names), 2))
    random_order = random.Random(seed)  # noqa: S311 - not used for security
    order = sorted(known)
    random_order.shuffle(order)
    added: list[tuple[str, str]] = []
    for incident_id in order:
        names = known[incident_id]
        free = [name for name in annotators if name not in names]
        random_order.shuffle(free)
        while free and len(names) < per_incident:
            chosen = min(free, key=lambda name: (shares[name], sum(met[_pair(name, other)] for other in names)))
            met.update(_pair(chosen, other) for other in names)
            shares[chosen] += 1
            names.add(chosen)
            free.remove(chosen)
            added.append((incident_id, chosen))
    return added


def _pair(first: str, second: str) -> tuple[str, str]:
    return (first, second) if first < second else (second, first)


class Assigned(NamedTuple):
    """The number of incidents that got a new annotator, and the number of new incidents per annotator."""

    incidents: int
    added: dict[str, int]


async def assign(
    store: Store,
    taxonomy: Taxonomy,
    annotators: Sequence[str],
    *,
    per_incident: int = 2,
    facets: Sequence[str] = (),
    incident_ids: Sequence[str] | None = None,
    status: Status | None = None,
    limit: int | None = None,
    seed: int = 0,
    shows_model: bool = False,
) -> Assigned:
    """Assign incidents that lack annotators: those named, or all stored ones (with `status`, those in that state).

    With `limit`, a random sample of that size is assigned. No facets means all of the taxonomy. Earlier assignments
    stay. Raises `InvalidInput` for invalid annotators or facets, and `NotFound` for an unknown incident or if there is
    none.
    """
    names = _annotators(annotators)
    facet_ids = _facets(taxonomy, facets)
    ids = await store.incidents.list_ids(status) if incident_ids is None else list(dict.fromkeys(incident_ids))
    if incident_ids is not None:
        await _check_known(store, ids)
    if not ids:
        raise NotFound(
            "There are no incidents to assign. Name a file of write-ups with --from, or import or post some.",
            status=status,
        )
    already: dict[str, set[str]] = {}
    for assignment in await store.assignments.list():
        if set(facet_ids) <= set(assignment.facets):
            already.setdefault(assignment.incident_id, set()).add(assignment.annotator)
    lacking = [key for key in ids if len(already.get(key, ())) < per_incident]
    most = min((len(already.get(key, set()) | set(names)) for key in lacking), default=per_incident)
    if most < per_incident:
        raise InvalidInput(
            f"Each incident needs {per_incident} different annotators, but some would have {most}. Name more "
            "annotators, or lower --per-incident.",
            field="annotators",
        )
    if limit is not None and limit < len(lacking):
        lacking = random.Random(seed).sample(sorted(lacking), limit)  # noqa: S311 - as above
    pairs = distribute(lacking, names, per_incident, already=already, seed=seed)
    return await _add(store, pairs, names, facet_ids, shows_model=shows_model)


async def assign_each(
    store: Store,
    taxonomy: Taxonomy,
    annotators: Sequence[str],
    incident_ids: Sequence[str],
    *,
    facets: Sequence[str] = (),
    shows_model: bool = False,
) -> Assigned:
    """Assign every one of these incidents to every one of these annotators. Existing assignments stay.

    No facets means all of the taxonomy. Raises what `assign` raises.
    """
    names = _annotators(annotators)
    facet_ids = _facets(taxonomy, facets)
    ids = list(dict.fromkeys(incident_ids))
    await _check_known(store, ids)
    pairs = []
    for name in names:
        mine = {each.incident_id: each.facets for each in await store.assignments.list(name)}
        pairs += [(key, name) for key in ids if not set(facet_ids) <= set(mine.get(key, ()))]
    return await _add(store, pairs, names, facet_ids, shows_model=shows_model)


async def _add(
    store: Store, pairs: Sequence[tuple[str, str]], names: Sequence[str], facets: tuple[str, ...], *, shows_model: bool
) -> Assigned:
    await store.assignments.add(
        [Assignment(incident_id=key, annotator=name, facets=facets, shows_model=shows_model) for key, name in pairs]
    )
    return Assigned(len({key for key, _ in pairs}), {name: sum(by == name for _, by in pairs) for name in names})


async def _check_known(store: Store, incident_ids: Sequence[str]) -> None:
    if missing := set(incident_ids) - set(await store.incidents.find_teams(incident_ids)):
        raise NotFound(
            f"Unknown incidents: {', '.join(sorted(missing)[:10])}. Import or post them first.",
            incident_ids=sorted(missing),
        )


def _facets(taxonomy: Taxonomy, facets: Sequence[str]) -> tuple[str, ...]:
    for facet in facets:
        taxonomy.facet(facet)
    return tuple(facet.id for facet in taxonomy.facets if not facets or facet.id in facets)


def _annotators(names: Sequence[str]) -> list[str]:
    known = [name for name in dict.fromkeys(map(clean_name, names)) if name]
    if not known:
        raise InvalidInput("Name at least one annotator.", field="annotators")
    if any(name.startswith("model:") for name in known):
        raise InvalidInput(
            "Names that start with 'model:' belong to models. Assign incidents to people.", field="annotators"
        )
    if long := next((name for name in known if len(name) > LONGEST_NAME), None):
        raise InvalidInput(f"The name {long[:20]!r}… is longer than {LONGEST_NAME} characters.", field="annotators")
    return known
