"""The review queue: incidents that need a person, why, and actions on several of them at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal, NamedTuple
from urllib.parse import urlencode

from fastapi import Form, Query, Response
from pydantic import BaseModel, Field

from triage.domain.errors import InvalidInput, NotFound
from triage.domain.principal import Principal
from triage.domain.taxonomy import DisplayNames, Taxonomy
from triage.labels.annotation_job.assignment import assign_each
from triage.labels.annotation_job.corrections import confirm
from triage.labels.annotation_job.worklist import Item, Kind, TriageLabel
from triage.render.quantities import plural
from triage.server.web.rendering import page_router, remember_annotator
from triage.server.web.template_filters import incident_path
from triage.server.web.visit import AnnotatorVisit, PosterVisit, ReaderVisit, Visit
from triage.store import IncidentQuery

router = page_router()

_PAGE = 25
_MOST_AT_ONCE = 100
_SUGGESTED_OF = 500
_FULL_FACETS = 2
_REASONS_SHOWN = 5


class Tab(NamedTuple):
    """A part of the queue."""

    kind: Kind
    name: str
    description: str


TABS = (
    Tab("new", "New", "Triaged, and labelled by nobody yet."),
    Tab("abstained", "Abstained", "The triage gave no label on some facet, and nobody has labelled that facet since."),
    Tab("disagreed", "Disagreed", "People, or a person and the model, differ on a facet, and nobody has settled it."),
    Tab("degraded", "Degraded", "The latest triage had to do without a part, such as the model."),
    Tab("untriaged", "Failed and waiting", "The triage failed, or is still to come."),
)


class View(BaseModel, frozen=True, str_strip_whitespace=True):
    """The shown part of the queue and its filters, as query parameters. `label` is `FACET:LABEL`."""

    tab: Kind = "new"
    service: str = Field(default="", max_length=200)
    severity: str = Field(default="", max_length=50)
    team: str = Field(default="", max_length=64)
    label: str = Field(default="", max_length=200)
    since: str = Field(default="", max_length=30)
    cursor: str = Field(default="", max_length=100)

    def query(self, **changed: str) -> str:
        """The query string of this view, with some parameters changed; it then starts with the newest incidents."""
        values = self.model_dump() | ({"cursor": ""} if changed else {}) | changed
        return urlencode({name: value for name, value in values.items() if value})

    @property
    def is_narrowed(self) -> bool:
        """True if there are filters."""
        return any((self.service, self.severity, self.team, self.label, self.since))

    def filters(self, principal: Principal) -> IncidentQuery:
        """The filters, limited to what the principal may see. Raises `InvalidInput` for an invalid day."""
        return IncidentQuery(
            teams=(self.team,) if self.team else None,
            service=self.service or None,
            severity=self.severity or None,
            since=_day(self.since),
        ).within(principal.teams)

    def label_filter(self, taxonomy: Taxonomy) -> TriageLabel | None:
        """The label to filter by. Raises `UnknownFacet` or `UnknownLabel`."""
        if not self.label:
            return None
        facet, _, label = self.label.partition(":")
        return TriageLabel(facet, taxonomy.facet(facet).label(label).id)


Viewed = Annotated[View, Query()]
Chosen = Annotated[list[str], Form(alias="incident", max_length=_MOST_AT_ONCE)]


class Labelled(NamedTuple):
    """The triage of a facet. `probability` is None if unknown."""

    facet: str
    label: str
    probability: float | None


class Tag(NamedTuple):
    """Why an incident is in the queue. `path` leads to where it can be resolved."""

    name: str
    kind: Literal["", "good", "bad", "unsure"] = ""
    description: str = ""
    path: str = ""


class Line(NamedTuple):
    """An incident in the queue."""

    item: Item
    tags: tuple[Tag, ...]
    labels: tuple[Labelled, ...]


class Outcome(NamedTuple):
    """The outcome of an action on several incidents."""

    message: str
    details: Sequence[str] = ()


@router.get("/queue")
async def queue(visit: ReaderVisit, view: Viewed) -> Response:
    """Show one part of the queue; for htmx without the filters."""
    return await _show(visit, view)


@router.get("/queue/counts")
async def counts(visit: ReaderVisit, view: Viewed) -> Response:
    """Show how many incidents each part of the queue holds."""
    filters, label, count = (
        view.filters(visit.principal),
        view.label_filter(visit.taxonomy),
        visit.service.worklist.count,
    )
    counted = {tab.kind: await count(tab.kind, filters, label, visit.annotator) for tab in TABS}
    return visit.show("_queue_counts.html", counted=counted)


@router.post("/queue/confirm")
async def confirm_chosen(
    visit: AnnotatorVisit,
    view: Viewed,
    chosen: Chosen = [],  # noqa: B006 - FastAPI copies it
    shown: Annotated[list[str], Form(max_length=_MOST_AT_ONCE)] = [],  # noqa: B006 - as above
    annotator: Annotated[str, Form(max_length=200)] = "",
    is_gold: Annotated[bool, Form()] = False,
) -> Response:
    """Confirm the model's labels of the chosen incidents, as far as the page showed them (`shown`: their runs)."""
    name = visit.required_annotator(annotator)
    ids = await _visible(visit, chosen)
    done = await confirm(visit.service.casebook, visit.store, ids, name, shown=shown, is_gold=is_gold)
    what = f"{plural(done.labels, 'label')} of {plural(done.incidents, 'incident')}"
    gold = ", as gold: they are part of the history" if is_gold and done.incidents else ""
    message = f"{name} confirmed {what}{gold}." if done.incidents else "Nothing was confirmed."
    details = [*_left_out(done.left_out), *_abstained(done.abstained, visit.taxonomy)]
    response = await _show(visit, view, Outcome(message, details))
    remember_annotator(response, name)
    return response


@router.post("/queue/retry")
async def retry_chosen(
    visit: PosterVisit,
    view: Viewed,
    chosen: Chosen = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """Triage those of the chosen incidents again whose triage failed or is degraded."""
    ids = await _visible(visit, chosen)
    again = [incident_id for incident_id in ids if await visit.service.jobs.retry(incident_id)]
    others = dict.fromkeys((key for key in ids if key not in again), "it neither failed nor is its triage degraded")
    message = f"{plural(len(again), 'incident')} will be triaged again." if again else "Nothing is tried again."
    return await _show(visit, view, Outcome(message, _left_out(others)))


@router.post("/queue/assign")
async def assign_chosen(
    visit: AnnotatorVisit,
    view: Viewed,
    chosen: Chosen = [],  # noqa: B006 - FastAPI copies it
    annotators: Annotated[str, Form(max_length=2_000)] = "",
    shows_model: Annotated[bool, Form()] = False,
) -> Response:
    """Assign the chosen incidents to each of the annotators."""
    ids = await _visible(visit, chosen)
    assigned = await assign_each(visit.store, visit.taxonomy, annotators.split(","), ids, shows_model=shows_model)
    message = ", ".join(f"{name} has {plural(n, 'incident')} more to label" for name, n in assigned.added.items())
    return await _show(visit, view, Outcome(f"{message}."))


async def _show(visit: Visit, view: View, outcome: Outcome | None = None) -> Response:
    part = "_" if visit.is_part else ""
    if not visit.principal.may("read"):
        # A key may allow changes without allowing to read.
        return visit.show(f"{part}queue_outcome.html", outcome=outcome)
    page = await visit.service.worklist.page(
        view.tab,
        view.filters(visit.principal),
        label=view.label_filter(visit.taxonomy),
        annotator=visit.annotator,
        limit=_PAGE,
        cursor=view.cursor or None,
    )
    return visit.show(
        f"{part}queue.html",
        view=view,
        tabs=TABS,
        page=page,
        lines=[_line(item, view.tab, visit.taxonomy) for item in page.items],
        headlines=await visit.headlines(item.candidate.incident for item in page.items),
        full=_FULL_FACETS,
        outcome=outcome,
        has_scores=any(_is_uncalibrated(item) for item in page.items),
        in_use=None if part else await visit.store.review_queues.list_filter_values(visit.teams, _SUGGESTED_OF),
    )


async def _visible(visit: Visit, chosen: Sequence[str]) -> list[str]:
    """The chosen incidents. Raises `NotFound` if the principal does not see all of them."""
    if not chosen:
        raise InvalidInput(
            "No incident is chosen: tick some first, or choose one with j and tick it with x.", field="incident"
        )
    ids = list(dict.fromkeys(chosen))
    seen = await visit.visible(ids)
    if missing := [id_ for id_ in ids if id_ not in seen]:
        raise NotFound(f"There is no incident {', '.join(map(repr, missing[:10]))}.", incident_ids=missing)
    return ids


def _line(item: Item, tab: Kind, taxonomy: Taxonomy) -> Line:
    labels, display_names = [], DisplayNames(taxonomy)
    for facet in taxonomy.triaged:
        result = item.triage.facets.get(facet.id) if item.triage is not None else None
        if result is not None and result.labels:
            labels.append(Labelled(facet.name, display_names.labels(facet.id, result.labels), result.probability))
    names = {facet.id: facet.name for facet in taxonomy.facets}
    return Line(item, tuple(_tags(item, tab, names)), tuple(labels))


def _tags(item: Item, tab: Kind, names: Mapping[str, str]) -> list[Tag]:
    incident, reasons = item.candidate.incident, item.reasons
    if item.is_blind:
        path = f"/label/incidents/{incident.id}"
        return [Tag("yours to label blind", "unsure", "Its triage is shown once you have labelled it.", path)]
    tags = []
    if incident.status == "pending":
        tags.append(Tag("in triage", "unsure"))
    if incident.status == "failed":
        is_retried = item.candidate.retry_at is not None
        tags.append(Tag("failed, tried again", "unsure") if is_retried else Tag("failed", "bad"))
    if reasons.is_degraded:
        tags.append(Tag("degraded", "bad", (item.triage and item.triage.degraded_reason) or ""))
    if reasons.abstained:
        tags.append(Tag(f"abstained: {_facet_names(reasons.abstained, names)}", "unsure"))
    if reasons.between_people:
        path = f"/label/adjudicate/incidents/{incident.id}"
        tags.append(Tag(f"people differ: {_facet_names(reasons.between_people, names)}", "bad", "Settle it", path))
    if others := [facet for facet in reasons.against_model if facet not in reasons.between_people]:
        name = f"person and model differ: {_facet_names(others, names)}"
        tags.append(Tag(name, "unsure", "Settle it by a gold label", incident_path(incident.id)))
    if reasons.is_new and tab != "new":
        tags.append(Tag("new"))
    return tags


def _facet_names(facets: Sequence[str], names: Mapping[str, str]) -> str:
    return ", ".join(names[facet] for facet in facets)


def _is_uncalibrated(item: Item) -> bool:
    return item.triage is not None and any(
        result.labels and not result.is_calibrated for result in item.triage.facets.values()
    )


def _left_out(reasons: Mapping[str, str]) -> list[str]:
    lines = [f"{incident_id} was left out: {reason}" for incident_id, reason in reasons.items()]
    more = [f"and {len(lines) - _REASONS_SHOWN} more"] if len(lines) > _REASONS_SHOWN else []
    return [*lines[:_REASONS_SHOWN], *more]


def _abstained(facets: Mapping[str, Sequence[str]], taxonomy: Taxonomy) -> list[str]:
    """How many of the confirmed incidents have facets without a label, and which facets."""
    if not facets:
        return []
    names = DisplayNames(taxonomy)
    missing = ", ".join(map(names.facet, dict.fromkeys(facet for each in facets.values() for facet in each)))
    return [f"The triage abstains in {plural(len(facets), 'incident')} ({missing}): open them to choose those labels."]


def _day(text: str) -> datetime | None:
    if not text:
        return None
    try:
        day = datetime.fromisoformat(text)
        return (day.replace(tzinfo=UTC) if day.tzinfo is None else day).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(f"{text!r} is no day: write it as 2026-03-02.", field="since") from error
