"""A visit: a request for a page with its principal and annotator, and what pages look up for them.

@router.get("/things")
async def things(visit: ReaderVisit) -> Response:
    return visit.show("things.html", things=await visit.store.things.list(visit.teams))
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Annotated, Any

from fastapi import Depends, Request, Response

from triage.domain.annotation import NOT_TOLD
from triage.domain.errors import InvalidInput, TriageError
from triage.domain.principal import Principal
from triage.domain.taxonomy import DisplayNames
from triage.evaluation.run_cache import RunCache
from triage.labels.annotation_job.corrections import Corrections
from triage.render.tables import Table
from triage.server.api.access import missing_scope, requires
from triage.server.api.parameters import IncidentInPath
from triage.server.api.service import Parts, Service
from triage.server.web.figure_cache import FigureCache
from triage.server.web.rendering import PageOptions, annotator_of, cleaned_name, go_to, is_part, show
from triage.server.web.template_filters import incident_path
from triage.store import Listed

LISTED = 100
"""The most incidents that a page lists behind a figure."""

_OF_MODELS = "model:"


class YoursToLabelBlind(TriageError):
    """The page would show an annotator the labels of an incident that they have yet to label blind."""

    status = 403
    title = "This incident is yours to label blind"


class Visit:
    """A request for a page by `principal`. `teams` limits what they see; None means all. `runs` are the eval runs."""

    def __init__(self, request: Request, service: Service, principal: Principal) -> None:
        self.request, self.service, self.principal = request, service, principal
        self.store, self.taxonomy, self.teams = service.store, service.casebook.taxonomy, principal.teams
        self.is_part = is_part(request)
        self.options: PageOptions = request.app.state.page_options
        self.runs: RunCache = request.app.state.run_cache
        self.figures: FigureCache = request.app.state.figure_cache

    @property
    def annotator(self) -> str:
        """The annotator's name, empty if unknown."""
        return annotator_of(self.request)

    def required_annotator(self, typed: str = "") -> str:
        """The name `typed` on the page, else `annotator`. Raises `InvalidInput` if it is empty or a model's."""
        name = cleaned_name(typed) or self.annotator
        if not name:
            raise InvalidInput("Say who labels: type your name, or a name for yourself.", field="annotator")
        if name.startswith(_OF_MODELS):
            raise InvalidInput(
                f"Names that begin with {_OF_MODELS!r} are those of models: choose another.", field="annotator"
            )
        # So that the response to this request shows the name before the cookie is set.
        self.request.state.annotator = name
        return name

    @property
    def corrections(self) -> Corrections:
        """Corrections of labels on the pages of incidents."""
        return Corrections(self.service.casebook, self.store)

    def show(
        self, template: str, /, *, status: int = 200, headers: Mapping[str, str] | None = None, **context: Any
    ) -> Response:
        """A page or a part of one, from a template that gets `context`, the taxonomy and the `names` of its labels."""
        shared = {"taxonomy": self.taxonomy, "names": DisplayNames(self.taxonomy), "not_told": NOT_TOLD}
        return show(self.request, template, status=status, headers=headers, **(shared | context))

    def go_to(self, path: str) -> Response:
        """Redirect the browser to another page of this service."""
        return go_to(self.request, path)

    async def visible(self, incident_ids: Iterable[str]) -> frozenset[str]:
        """Those of the incidents that exist and that the principal may open.

        A principal limited to teams can't open the shared history, though lists and figures include it.
        """
        teams = await self.store.incidents.find_teams(set(incident_ids))
        return frozenset(incident_id for incident_id, team in teams.items() if self.principal.sees(team))

    async def visible_in(self, *tables: Table) -> frozenset[str]:
        """The incidents listed behind the rows of tables that the principal may open."""
        rows = (row for table in tables for row in table.rows)
        return await self.visible(id_ for row in rows for id_ in row.incident_ids[:LISTED])

    async def headlines(self, listed: Iterable[Listed]) -> dict[str, str]:
        """Incident id -> headline, for the incidents without a title."""
        untitled = await self.store.incidents.find_many([incident.id for incident in listed if not incident.title])
        return {incident_id: stored.incident.headline for incident_id, stored in untitled.items()}

    async def to_label_blind(self, incident_ids: Collection[str] | None = None) -> Collection[str]:
        """Those of the incidents (None: all) that the annotator has yet to label blind."""
        return await self.service.labelling.waiting(self.annotator, incident_ids, blind=True) if self.annotator else ()

    async def is_withheld(self, incident_id: str, *, see: bool) -> bool:
        """True if the annotator has yet to label the incident blind.

        With `see` they want to see the triage now: this is recorded, and the result is False.
        """
        if incident_id not in await self.to_label_blind([incident_id]):
            return False
        if see:
            await self.corrections.show(incident_id, self.annotator)
        return not see


def _visit(allowed: Any) -> Any:
    def visit(request: Request, service: Parts, principal: Principal = allowed) -> Visit:
        return Visit(request, service, principal)

    return Depends(visit)


ReaderVisit = Annotated[Visit, _visit(requires("read"))]
PosterVisit = Annotated[Visit, _visit(requires("triage"))]
AnnotatorVisit = Annotated[Visit, _visit(requires("annotate"))]
AdministratorVisit = Annotated[Visit, _visit(requires("admin"))]
OverseerVisit = Annotated[Visit, _visit(requires("read", all_teams=True))]
"""By a reader whose key is not limited to teams."""


async def _require_seen(request: Request, service: Parts, incident_id: IncidentInPath, see: bool = False) -> None:
    principal: Principal = request.state.principal
    if not principal.may("read"):
        raise missing_scope(principal, "read")
    if await Visit(request, service, principal).is_withheld(incident_id, see=see):
        raise YoursToLabelBlind(
            f"What the triage and others say of {incident_id!r} is shown once you have labelled it, at /label. If you "
            f"need it now, see it at {incident_path(incident_id)}?see=true: what you label then counts as given with "
            "the triage before you.",
            incident_id=incident_id,
        )


REVEALS_LABELS: Any = Depends(_require_seen)
"""The dependency, after `requires`, of routes that reveal the triage or labels of the incident in the path.

Raises `Forbidden` without scope `read`, and `YoursToLabelBlind`.
"""
