"""Who labels which incident: every incident goes to as many different annotators as wanted, and all get as many."""

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
    """Pairs of incident and annotator to be added so that each incident has `per_incident` different annotators.

    `already` are the annotators that incidents have; they keep them, and these count. Each incident goes to those who
    have least so far, and of those to the pair that met least often; chance decides the rest, the same with the same
    seed. From nothing the annotators' shares differ by one incident at most. An annotator's incidents come in an order
    of chance, so that whoever stops early has labelled a random part.

    >>> sorted(distribute(["a", "b", "c"], ["x", "y"], 1, seed=3))
    [('a', 'y'), ('b', 'x'), ('c', 'y')]
    """
    known = {key: set((already or {}).get(key, ())) for key in incident_ids}
    shares = Counter(name for names in (already or {}).values() for name in names)
    met = Counter(pair for names in (already or {}).values() for pair in itertools.combinations(sorted(names), 2))
    chance = random.Random(seed)  # noqa: S311 - nobody gains by guessing it
    order = sorted(known)
    chance.shuffle(order)
    added: list[tuple[str, str]] = []
    for incident_id in order:
        names = known[incident_id]
        free = [name for name in annotators if name not in names]
        chance.shuffle(free)
        while free and len(names) < per_incident:
            chosen = min(free, key=lambda name: (shares[name], sum(met[_pair(name, other)] for other in names)))
            met.update(_pair(chosen, other) for other in names)
            shares[chosen] += 1
            names.add(chosen)
            free.remove(chosen)
            added.append((incident_id, chosen))
    return added


def _pair(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one < other else (other, one)


class Assigned(NamedTuple):
    """What an assignment added: how many incidents it reached, and annotator -> how many of them they got."""

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
    """Assign incidents that lack annotators: those named, or all that are stored (with `status`, those in that state).

    With `limit` so many of them, drawn with the seed. No facets means all of the taxonomy. Earlier assignments stay.
    Raises `InvalidInput` for annotators or facets that can't be, and `NotFound` for an incident that is not stored or
    where there is none.
    """
    names = _annotators(annotators)
    wanted = _facets(taxonomy, facets)
    ids = await store.incidents.list_ids(status) if incident_ids is None else list(dict.fromkeys(incident_ids))
    if incident_ids is not None:
        await _check_known(store, ids)
    if not ids:
        raise NotFound(
            "There is no incident to assign. Name a file of write-ups with --from, or import or post some.",
            status=status,
        )
    already: dict[str, set[str]] = {}
    for assignment in await store.assignments.list():
        if set(wanted) <= set(assignment.facets):
            already.setdefault(assignment.incident_id, set()).add(assignment.annotator)
    lacking = [key for key in ids if len(already.get(key, ())) < per_incident]
    most = min((len(already.get(key, set()) | set(names)) for key in lacking), default=per_incident)
    if most < per_incident:
        raise InvalidInput(
            f"{per_incident} different annotators per incident are wanted, but some incidents would have {most}: name "
            "more annotators, or lower --per-incident.",
            field="annotators",
        )
    if limit is not None and limit < len(lacking):
        lacking = random.Random(seed).sample(sorted(lacking), limit)  # noqa: S311 - as above
    pairs = distribute(lacking, names, per_incident, already=already, seed=seed)
    await store.assignments.add(
        [Assignment(incident_id=key, annotator=name, facets=wanted, shows_model=shows_model) for key, name in pairs]
    )
    return Assigned(len({key for key, _ in pairs}), {name: sum(by == name for _, by in pairs) for name in names})


async def assign_each(
    store: Store,
    taxonomy: Taxonomy,
    annotators: Sequence[str],
    incident_ids: Sequence[str],
    *,
    facets: Sequence[str] = (),
    shows_model: bool = False,
) -> Assigned:
    """Assign each of these incidents to each of these annotators; what they have already stays as it is.

    No facets means all of the taxonomy. Raises as `assign` does.
    """
    names = _annotators(annotators)
    wanted = _facets(taxonomy, facets)
    ids = list(dict.fromkeys(incident_ids))
    await _check_known(store, ids)
    new = []
    for name in names:
        mine = {each.incident_id: each.facets for each in await store.assignments.list(name)}
        new += [
            Assignment(incident_id=key, annotator=name, facets=wanted, shows_model=shows_model)
            for key in ids
            if not set(wanted) <= set(mine.get(key, ()))
        ]
    await store.assignments.add(new)
    return Assigned(
        len({each.incident_id for each in new}), {name: sum(each.annotator == name for each in new) for name in names}
    )


async def _check_known(store: Store, incident_ids: Sequence[str]) -> None:
    if missing := set(incident_ids) - set(await store.incidents.find_teams(incident_ids)):
        raise NotFound(
            f"There is no incident {', '.join(sorted(missing)[:10])}: import or post it first.",
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
        raise InvalidInput("A name that begins with 'model:' is a model's; assign to people.", field="annotators")
    if long := next((name for name in known if len(name) > LONGEST_NAME), None):
        raise InvalidInput(f"The name {long[:20]!r}… is longer than {LONGEST_NAME} characters.", field="annotators")
    return known
