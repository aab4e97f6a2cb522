"""The history: search as you type, by words and meaning, narrowed by labels."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, NamedTuple
from urllib.parse import urlencode

from fastapi import Depends, Query, Request, Response

from triage.domain.annotation import Labels
from triage.domain.principal import Principal, seen_teams
from triage.domain.taxonomy import DisplayNames, Taxonomy
from triage.history import MOST_EXAMPLES
from triage.history.browsing import Browsed, Hit, Mode
from triage.render.quantities import plural
from triage.render.tables import Column, Row, Table
from triage.server.api.access import Reader
from triage.server.api.service import Parts, Service
from triage.server.web.blind import to_label_blind
from triage.server.web.downloads import TableFormat, table_file
from triage.server.web.rendering import is_part, page_router, show
from triage.server.web.visible import visible

router = page_router()

_STEP = 20
_MOST = 200
_MOST_FILE = 5_000


class Choice(NamedTuple):
    """A label that the history can be narrowed by; `n` incidents would be left."""

    id: str
    name: str
    n: int
    is_chosen: bool


class Choices(NamedTuple):
    """The labels of a facet that are there, the most frequent first."""

    id: str
    name: str
    labels: tuple[Choice, ...]


class Told(NamedTuple):
    """The names of a hit's labels: what it was, and what ended it. Labels that tell nothing are left out."""

    kinds: tuple[str, ...]
    ended_by: tuple[str, ...]


class Search(NamedTuple):
    """What is looked for. `chosen` is facet -> labels, of which an incident has at least one in each facet."""

    text: str
    mode: Mode
    chosen: Labels
    k: int

    @property
    def of_all_labels(self) -> Search:
        """The same, narrowed by no label."""
        return self._replace(chosen={})

    def query(self, **changed: object) -> str:
        """The address that asks for this, with some of it changed."""
        values = {"q": self.text, "mode": self.mode if self.mode != "both" else "", "k": self.k} | changed
        said = [(name, value) for name, value in values.items() if value]
        chosen = [(f"facet.{facet}", label) for facet, labels in self.chosen.items() for label in labels]
        return urlencode([*said, *chosen])


def _search(
    request: Request,
    service: Parts,
    q: Annotated[str, Query(max_length=4_000)] = "",
    mode: Mode = "both",
    k: Annotated[int, Query(ge=1, le=_MOST)] = _STEP,
) -> Search:
    facets = {facet.id for facet in service.casebook.taxonomy.facets}
    chosen: dict[str, tuple[str, ...]] = {}
    for name, value in request.query_params.multi_items():
        facet = name.removeprefix("facet.")
        if name.startswith("facet.") and facet in facets and value:
            chosen[facet] = (*chosen.get(facet, ()), value)
    return Search(q, mode, chosen, k)


Wanted = Annotated[Search, Depends(_search)]


@router.get("/history")
async def history(request: Request, service: Parts, who: Reader, wanted: Wanted) -> Response:
    """Show what is found, and by what it can be narrowed; for htmx only that."""
    blind = await to_label_blind(request, service)
    found = await _found(service, who, wanted, wanted.k, blind)
    taxonomy = service.casebook.taxonomy
    return show(
        request,
        "_history_found.html" if is_part(request) else "history.html",
        search=wanted,
        found=found,
        choices=_choices(taxonomy, found, wanted.chosen),
        visible=await visible(service, who, [hit.example.incident_id for hit in found.hits]),
        told=[_told(taxonomy, hit.example.labels) for hit in found.hits],
        more=min(wanted.k + _STEP, _MOST) if found.n > len(found.hits) and wanted.k < _MOST else None,
        is_without_blind=bool(blind),
        is_part_of_it=found.of >= MOST_EXAMPLES,
        headers={"Cache-Control": "no-store"},
    )


@router.get("/history/found.{ending}")
async def history_file(request: Request, service: Parts, who: Reader, wanted: Wanted, ending: TableFormat) -> Response:
    """What is found as a file: up to 5,000 incidents, without their texts."""
    found = await _found(service, who, wanted, _MOST_FILE, await to_label_blind(request, service))
    return table_file(_table(service.casebook.taxonomy, found, wanted), ending)


async def _found(service: Service, who: Principal, wanted: Search, k: int, blind: Collection[str]) -> Browsed:
    """The first `k` incidents of their history, without what they are to label `blind`: here stand its labels."""
    teams = seen_teams(who.teams)
    return await service.casebook.browse(wanted.text, wanted.chosen, k, wanted.mode, teams, blind)


def _choices(taxonomy: Taxonomy, found: Browsed, chosen: Labels) -> list[Choices]:
    choices, names = [], DisplayNames(taxonomy)
    for facet in taxonomy.facets:
        counts = found.counts.get(facet.id, {})
        labels = {*counts, *chosen.get(facet.id, ())}
        listed = [
            Choice(label, names.labels(facet.id, (label,)), counts.get(label, 0), label in chosen.get(facet.id, ()))
            for label in labels
        ]
        listed.sort(key=lambda one: (-one.n, one.name))
        if listed:
            choices.append(Choices(facet.id, facet.name, tuple(listed)))
    return choices


def _told(taxonomy: Taxonomy, labels: Labels) -> Told:
    kinds, ended_by, names = list[str](), list[str](), DisplayNames(taxonomy)
    for facet in taxonomy.facets:
        silent = {label.id for label in facet.labels if label.undisclosed}
        told = [names.labels(facet.id, (one,)) for one in labels.get(facet.id, ()) if one not in silent]
        (ended_by if facet.role == "mitigation" else kinds).extend(told)
    return Told(tuple(kinds), tuple(ended_by))


def _table(taxonomy: Taxonomy, found: Browsed, wanted: Search) -> Table:
    columns = [Column("incident"), Column("title"), Column("began"), Column("TTM, minutes", "minutes")]
    columns += [Column("similarity", "number"), *(Column(facet.id) for facet in taxonomy.facets)]
    what = f"for {wanted.text!r}" if wanted.text else "in all"
    fit = f"{plural(found.n, 'incident')} fit{'s' if found.n == 1 else ''} {what}"
    if found.n > len(found.hits):
        fit += f"; here are the first {len(found.hits):,}"
    return Table(
        "history",
        "Incidents of the history",
        f"{fit}.",
        tuple(columns),
        tuple(_row(taxonomy, hit) for hit in found.hits),
    )


def _row(taxonomy: Taxonomy, hit: Hit) -> Row:
    one = hit.example
    began = one.occurred_at.isoformat() if one.occurred_at else None
    labels = ["; ".join(one.labels.get(facet.id, ())) for facet in taxonomy.facets]
    return Row((one.incident_id, one.title, began, one.ttm_minutes, hit.similarity, *labels), (one.incident_id,))
