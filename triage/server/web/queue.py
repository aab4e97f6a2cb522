"""The queue: what people are to look at, why, and what can be done to many incidents at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal, NamedTuple
from urllib.parse import urlencode

from fastapi import Depends, Form, Query, Request, Response

from triage.domain.errors import InvalidInput, NotFound
from triage.domain.principal import Principal
from triage.domain.taxonomy import DisplayNames, Taxonomy
from triage.labels.annotation_job.assignment import assign_each
from triage.labels.annotation_job.confirming import confirm
from triage.labels.annotation_job.worklist import Item, Kind, Said
from triage.render.quantities import plural
from triage.server.api.access import Annotator, Poster, Reader
from triage.server.api.service import Parts, Service
from triage.server.web.annotator import annotator_of, remember_annotator, required_annotator
from triage.server.web.headlines import headlines
from triage.server.web.rendering import is_part, page_router, show
from triage.server.web.visible import visible
from triage.server.web.words import incident_path
from triage.store import Wanted

router = page_router()

_PAGE = 25
_MOST_AT_ONCE = 100
_SUGGESTED_OF = 500
_FULL_FACETS = 2
_REASONS_TOLD = 5


class Tab(NamedTuple):
    """A part of the queue, with what is in it."""

    kind: Kind
    name: str
    told: str


TABS = (
    Tab("new", "New", "Triaged, and labelled by nobody yet."),
    Tab("abstained", "Abstained", "The triage gave no label on some facet, and nobody has labelled that facet since."),
    Tab("disagreed", "Disagreed", "People, or a person and the model, differ on a facet, and nobody has settled it."),
    Tab("degraded", "Degraded", "The latest triage had to do without a part, such as the model."),
    Tab("untriaged", "Failed and waiting", "The triage failed, or is still to come."),
)


class View(NamedTuple):
    """What of the queue is shown. `label` is `FACET:LABEL`."""

    tab: Kind = "new"
    service: str = ""
    severity: str = ""
    team: str = ""
    label: str = ""
    since: str = ""
    cursor: str = ""

    def query(self, **changed: str) -> str:
        """The address that shows this, with some of it changed. Other incidents begin with the newest ones."""
        values = self._asdict() | ({"cursor": ""} if changed else {}) | changed
        return urlencode({name: value for name, value in values.items() if value})

    @property
    def is_narrowed(self) -> bool:
        """True if it does not hold all that a tab has."""
        return any((self.service, self.severity, self.team, self.label, self.since))

    def wanted(self, who: Principal) -> Wanted:
        """The incidents that are wanted, of those that `who` may see. Raises `InvalidInput` for a day that is none."""
        return Wanted(
            teams=(self.team,) if self.team else None,
            service=self.service or None,
            severity=self.severity or None,
            since=_day(self.since),
        ).within(who.teams)

    def said(self, taxonomy: Taxonomy) -> Said | None:
        """The label that is wanted. Raises `UnknownFacet` or `UnknownLabel`."""
        if not self.label:
            return None
        facet, _, label = self.label.partition(":")
        return Said(facet, taxonomy.facet(facet).label(label).id)


def _view(
    tab: Kind = "new",
    service: Annotated[str, Query(max_length=200)] = "",
    severity: Annotated[str, Query(max_length=50)] = "",
    team: Annotated[str, Query(max_length=64)] = "",
    label: Annotated[str, Query(max_length=200)] = "",
    since: Annotated[str, Query(max_length=30)] = "",
    cursor: Annotated[str, Query(max_length=100)] = "",
) -> View:
    return View(tab, service.strip(), severity.strip(), team.strip(), label, since.strip(), cursor)


Viewed = Annotated[View, Depends(_view)]
Chosen = Annotated[list[str], Form(alias="incident", max_length=_MOST_AT_ONCE)]


class Labelled(NamedTuple):
    """What the triage says of a facet. `probability` is None where it is not known."""

    facet: str
    label: str
    probability: float | None


class Tag(NamedTuple):
    """Why an incident is here, in short; `told` in full, and `path` where something can be done about it."""

    name: str
    kind: Literal["", "good", "bad", "unsure"] = ""
    told: str = ""
    path: str = ""


class Line(NamedTuple):
    """An incident of the queue as it is shown."""

    item: Item
    tags: tuple[Tag, ...]
    labels: tuple[Labelled, ...]


class Outcome(NamedTuple):
    """What came of something that was done to many incidents at once."""

    told: str
    details: Sequence[str] = ()


@router.get("/queue")
async def queue(request: Request, service: Parts, who: Reader, view: Viewed) -> Response:
    """Show one part of the queue; for htmx without the filters around it."""
    return await _shown(request, service, who, view)


@router.get("/queue/counts")
async def counts(request: Request, service: Parts, who: Reader, view: Viewed) -> Response:
    """How many incidents each part of the queue holds."""
    taxonomy = service.casebook.taxonomy
    wanted, said = view.wanted(who), view.said(taxonomy)
    annotator = annotator_of(request)
    counted = {tab.kind: await service.worklist.count(tab.kind, wanted, said, annotator) for tab in TABS}
    return show(request, "_queue_counts.html", counted=counted, headers={"Cache-Control": "no-store"})


@router.post("/queue/confirm")
async def confirm_chosen(
    request: Request,
    service: Parts,
    who: Annotator,
    view: Viewed,
    chosen: Chosen = [],  # noqa: B006 - FastAPI copies it
    annotator: Annotated[str, Form(max_length=200)] = "",
    is_gold: Annotated[bool, Form()] = False,
) -> Response:
    """Make the model's labels of the chosen incidents those of the annotator."""
    name = required_annotator(request, annotator)
    ids = await _visible(service, who, chosen)
    done = await confirm(service.casebook, service.store, ids, name, is_gold=is_gold)
    what = f"{plural(done.labels, 'label')} of {plural(done.incidents, 'incident')}"
    gold = ", as gold: they are part of the history" if is_gold and done.incidents else ""
    told = f"{name} confirmed {what}{gold}." if done.incidents else "Nothing was confirmed."
    response = await _shown(request, service, who, view, Outcome(told, _left_out(done.left_out)))
    remember_annotator(response, name)
    return response


@router.post("/queue/retry")
async def retry_chosen(
    request: Request,
    service: Parts,
    who: Poster,
    view: Viewed,
    chosen: Chosen = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    """Have the chosen incidents triaged again that failed, or whose triage is degraded."""
    ids = await _visible(service, who, chosen)
    again = [incident_id for incident_id in ids if await service.jobs.retry(incident_id)]
    others = dict.fromkeys((key for key in ids if key not in again), "it neither failed nor is its triage degraded")
    told = f"{plural(len(again), 'incident')} will be triaged again." if again else "Nothing is tried again."
    return await _shown(request, service, who, view, Outcome(told, _left_out(others)))


@router.post("/queue/assign")
async def assign_chosen(
    request: Request,
    service: Parts,
    who: Annotator,
    view: Viewed,
    chosen: Chosen = [],  # noqa: B006 - FastAPI copies it
    annotators: Annotated[str, Form(max_length=2_000)] = "",
    shows_model: Annotated[bool, Form()] = False,
) -> Response:
    """Assign the chosen incidents to each of the annotators that are named."""
    ids = await _visible(service, who, chosen)
    taxonomy = service.casebook.taxonomy
    given = await assign_each(service.store, taxonomy, annotators.split(","), ids, shows_model=shows_model)
    told = ", ".join(f"{name} has {plural(n, 'incident')} more to label" for name, n in given.added.items())
    return await _shown(request, service, who, view, Outcome(f"{told}."))


async def _shown(
    request: Request, service: Service, who: Principal, view: View, outcome: Outcome | None = None
) -> Response:
    in_part = is_part(request)
    if not who.may("read"):
        # Who may change the queue may not see it for that.
        return show(request, "_queue_outcome.html" if in_part else "queue_outcome.html", outcome=outcome)
    taxonomy = service.casebook.taxonomy
    annotator = annotator_of(request)
    page = await service.worklist.page(
        view.tab,
        view.wanted(who),
        said=view.said(taxonomy),
        annotator=annotator,
        limit=_PAGE,
        cursor=view.cursor or None,
    )
    lines = [_line(item, view.tab, taxonomy) for item in page.items]
    return show(
        request,
        "_queue.html" if in_part else "queue.html",
        view=view,
        tabs=TABS,
        page=page,
        lines=lines,
        headlines=await headlines(service.store, [item.candidate.incident for item in page.items]),
        full=_FULL_FACETS,
        outcome=outcome,
        has_scores=any(_is_uncalibrated(item) for item in page.items),
        facets=taxonomy.triaged,
        in_use=None if in_part else await service.store.review_queues.list_filter_values(who.teams, _SUGGESTED_OF),
        headers={"Cache-Control": "no-store"},
    )


async def _visible(service: Service, who: Principal, chosen: Sequence[str]) -> list[str]:
    """The chosen incidents. Raises `NotFound` if not all of them are there for `who`."""
    if not chosen:
        raise InvalidInput(
            "No incident is chosen: tick some first, or choose one with j and tick it with x.", field="incident"
        )
    ids = list(dict.fromkeys(chosen))
    seen = await visible(service, who, ids)
    if missing := [name for name in ids if name not in seen]:
        raise NotFound(f"There is no incident {', '.join(map(repr, missing[:10]))}.", incident_ids=missing)
    return ids


def _line(item: Item, tab: Kind, taxonomy: Taxonomy) -> Line:
    labels, called = [], DisplayNames(taxonomy)
    for facet in taxonomy.triaged:
        result = item.triage.facets.get(facet.id) if item.triage is not None else None
        if result is not None and result.labels:
            labels.append(Labelled(facet.name, called.labels(facet.id, result.labels), result.probability))
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
        tags.append(Tag(f"abstained: {_named(reasons.abstained, names)}", "unsure"))
    if reasons.between_people:
        path = f"/label/adjudicate/incidents/{incident.id}"
        tags.append(Tag(f"people differ: {_named(reasons.between_people, names)}", "bad", "Settle it", path))
    if others := [facet for facet in reasons.against_model if facet not in reasons.between_people]:
        path = incident_path(incident.id)
        told = "Settle it by a gold label"
        tags.append(Tag(f"person and model differ: {_named(others, names)}", "unsure", told, path))
    if reasons.is_new and tab != "new":
        tags.append(Tag("new"))
    return tags


def _named(facets: Sequence[str], names: Mapping[str, str]) -> str:
    return ", ".join(names[facet] for facet in facets)


def _is_uncalibrated(item: Item) -> bool:
    return item.triage is not None and any(
        result.labels and not result.is_calibrated for result in item.triage.facets.values()
    )


def _left_out(reasons: Mapping[str, str]) -> list[str]:
    told = [f"{incident_id} was left out: {reason}" for incident_id, reason in reasons.items()]
    more = [f"and {len(told) - _REASONS_TOLD} more"] if len(told) > _REASONS_TOLD else []
    return [*told[:_REASONS_TOLD], *more]


def _day(text: str) -> datetime | None:
    if not text:
        return None
    try:
        day = datetime.fromisoformat(text)
        return (day.replace(tzinfo=UTC) if day.tzinfo is None else day).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidInput(f"{text!r} is no day: write it as 2026-03-02.", field="since") from error
