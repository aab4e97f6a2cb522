"""The history: search as you type by words and meaning, filtered by labels."""

from __future__ import annotations

from typing import Annotated, NamedTuple
from urllib.parse import urlencode

from fastapi import Depends, Query, Request, Response

from triage.domain.annotation import Labels
from triage.domain.principal import seen_teams
from triage.domain.taxonomy import DisplayNames, Facet, Taxonomy
from triage.history import MOST_EXAMPLES
from triage.history.browsing import Browsed, Hit, Mode
from triage.render.quantities import plural
from triage.render.tables import Column, Row, Table, columns_of
from triage.server.api.service import Parts
from triage.server.web.downloads import TableFormat, table_file
from triage.server.web.rendering import page_router
from triage.server.web.visit import ReaderVisit, Visit

router = page_router()

_STEP = 20
_MOST = 200
_MOST_FILE = 5_000


class LabelFilter(NamedTuple):
    """A label to filter by, which `n` of the found incidents have."""

    id: str
    name: str
    n: int
    is_chosen: bool


class Search(NamedTuple):
    """A search for up to `k` incidents. They have at least one of the `chosen` labels in each of its facets."""

    text: str
    mode: Mode
    chosen: Labels
    k: int

    @property
    def of_all_labels(self) -> Search:
        """The same search without label filters."""
        return self._replace(chosen={})

    def query(self, **changed: object) -> str:
        """The query string of this search, with some parameters changed."""
        values = {"q": self.text, "mode": self.mode if self.mode != "both" else "", "k": self.k} | changed
        chosen = [(f"facet.{facet}", label) for facet, labels in self.chosen.items() for label in labels]
        return urlencode([*((name, value) for name, value in values.items() if value), *chosen])


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


Searched = Annotated[Search, Depends(_search)]


@router.get("/history")
async def history(visit: ReaderVisit, search: Searched) -> Response:
    """Show the found incidents and the label filters; for htmx without the search form."""
    browsed, is_without_blind = await _browse(visit, search, search.k)
    return visit.show(
        "_history_found.html" if visit.is_part else "history.html",
        search=search,
        found=browsed,
        filters=_filters(visit.taxonomy, browsed, search.chosen),
        visible=await visit.visible(hit.example.incident_id for hit in browsed.hits),
        labels=[_label_names(visit.taxonomy, hit.example.labels) for hit in browsed.hits],
        more=min(search.k + _STEP, _MOST) if browsed.n > len(browsed.hits) and search.k < _MOST else None,
        is_without_blind=is_without_blind,
        is_cut=browsed.of >= MOST_EXAMPLES,
    )


@router.get("/history/found.{extension}")
async def history_file(visit: ReaderVisit, search: Searched, extension: TableFormat) -> Response:
    """Send up to 5,000 found incidents as a file, without their texts."""
    browsed, _ = await _browse(visit, search, _MOST_FILE)
    return table_file(_table(visit.taxonomy, browsed, search), extension)


async def _browse(visit: Visit, search: Search, k: int) -> tuple[Browsed, bool]:
    """The first `k` incidents of the visible history, and whether any are left out because their labels are blind."""
    blind, teams = await visit.to_label_blind(), seen_teams(visit.teams)
    browsed = await visit.service.casebook.browse(search.text, search.chosen, k, search.mode, teams, blind)
    return browsed, bool(blind)


def _filters(taxonomy: Taxonomy, browsed: Browsed, chosen: Labels) -> list[tuple[Facet, list[LabelFilter]]]:
    """Facets with the labels to filter by, most frequent first."""
    filters, names = [], DisplayNames(taxonomy)
    for facet in taxonomy.facets:
        counts, ticked = browsed.counts.get(facet.id, {}), chosen.get(facet.id, ())
        listed = [
            LabelFilter(label, names.labels(facet.id, (label,)), counts.get(label, 0), label in ticked)
            for label in {*counts, *ticked}
        ]
        if listed:
            filters.append((facet, sorted(listed, key=lambda label: (-label.n, label.name))))
    return filters


def _label_names(taxonomy: Taxonomy, labels: Labels) -> tuple[list[str], list[str]]:
    """The names of an incident's disclosed labels: of its kind, and of what ended it."""
    kinds, ended_by, names = list[str](), list[str](), DisplayNames(taxonomy)
    for facet in taxonomy.facets:
        undisclosed = {label.id for label in facet.labels if label.undisclosed}
        disclosed = [label for label in labels.get(facet.id, ()) if label not in undisclosed]
        listed = ended_by if facet.role == "mitigation" else kinds
        listed.extend(names.labels(facet.id, (label,)) for label in disclosed)
    return kinds, ended_by


def _table(taxonomy: Taxonomy, browsed: Browsed, search: Search) -> Table:
    columns = columns_of("incident | title | began | TTM, minutes:minutes | similarity:number")
    what = f"for {search.text!r}" if search.text else "in all"
    fit = f"{plural(browsed.n, 'incident')} fit{'s' if browsed.n == 1 else ''} {what}"
    if browsed.n > len(browsed.hits):
        fit += f"; here are the first {len(browsed.hits):,}"
    return Table(
        "history",
        "Incidents of the history",
        f"{fit}.",
        (*columns, *(Column(facet.id) for facet in taxonomy.facets)),
        tuple(_row(taxonomy, hit) for hit in browsed.hits),
    )


def _row(taxonomy: Taxonomy, hit: Hit) -> Row:
    example = hit.example
    began = example.occurred_at.isoformat() if example.occurred_at else None
    labels = ["; ".join(example.labels.get(facet.id, ())) for facet in taxonomy.facets]
    cells = (example.incident_id, example.title, began, example.ttm_minutes, hit.similarity, *labels)
    return Row(cells, (example.incident_id,))
