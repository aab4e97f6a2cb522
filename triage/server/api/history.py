"""The history of labelled incidents over HTTP: search, ledger, study, automation and radar."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Collection
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from triage.domain.incident import ZonedMoment
from triage.domain.principal import seen_teams
from triage.domain.triage_result import Neighbour
from triage.insights import automation, radar
from triage.insights.automation import Opportunities, opportunities, redacted_texts
from triage.insights.ledger import LEAST, Kind, Ledger, ledger
from triage.insights.radar import Radar
from triage.insights.study import Study, StudyOptions
from triage.insights.study.corpus_loading import MOST
from triage.insights.study.repeats import SIMILARITY
from triage.insights.study.study import shortened
from triage.redaction import Redactor
from triage.server.api.access import Reader
from triage.server.api.answers import answer, raw_answer
from triage.server.api.bodies import read_model
from triage.server.api.openapi import json_body
from triage.server.api.parameters import MomentInQuery
from triage.server.api.service import Parts, Service

router = APIRouter(prefix="/v1", tags=["history"])

_MOST_EMBEDDED = 100
"""Write-ups that one radar request embeds: about ten seconds with the local embedder."""

# The taxonomy defines the facets, so each is a parameter under its own id.
_FACETS: dict[str, Any] = {
    "parameters": [
        {
            "name": "labels",
            "in": "query",
            "required": False,
            "style": "form",
            "explode": True,
            "description": "A parameter for each facet, by its id: only incidents with this label. Repeat it to allow "
            "any of several labels.",
            "schema": {"type": "object", "additionalProperties": {"type": "string"}},
            "example": {"category": "infrastructure"},
        }
    ]
}
_LEDGER_OPTIONS = {"least", "incident_severity"}


class SearchQuery(BaseModel, frozen=True, extra="forbid"):
    """What to search the history for."""

    text: str = Field(min_length=1, pattern=r"\w")
    k: int = Field(default=5, ge=1, le=50)
    as_of: ZonedMoment | None = Field(default=None, description="Only incidents that began before this moment.")


class Neighbours(BaseModel, frozen=True):
    """Incidents of the history, most similar first."""

    neighbours: tuple[Neighbour, ...]


@router.post(
    "/search",
    response_model=Neighbours,
    openapi_extra=json_body(SearchQuery, {"text": "requests time out after a router release", "k": 5}),
)
async def search(request: Request, service: Parts, principal: Reader) -> Response:
    """Find the incidents of the history that are most similar to a text."""
    query = await read_model(request, SearchQuery, 2 * service.max_write_up_bytes + 1_000)
    neighbours = await service.casebook.search(query.text, query.k, query.as_of, seen_teams(principal.teams))
    return answer(Neighbours(neighbours=tuple(neighbours)))


@router.get("/ledger", response_model=Ledger, openapi_extra=_FACETS)
async def get_ledger(
    request: Request,
    service: Parts,
    principal: Reader,
    incident_severity: Annotated[
        str | None, Query(max_length=50, description="Only incidents of this severity, by the incident's own field.")
    ] = None,
    least: Annotated[int, Query(ge=1, le=1000, description="Withhold figures from fewer incidents.")] = LEAST,
) -> Response:
    """Get the mitigation ledger: what was tried in incidents of one kind, how often it ended them, and how fast.

    It counts the history that the key may see: its teams' incidents and the shared ones. Each figure comes with the
    ids of its incidents; figures from few incidents are withheld.
    """
    taxonomy, query = service.casebook.taxonomy, request.query_params
    labels = {name: query.getlist(name) for name in dict.fromkeys(query) if name not in _LEDGER_OPTIONS}
    kind = Kind.of(taxonomy, labels, incident_severity)
    return answer(await ledger_of(service, principal.teams, kind, least))


async def ledger_of(service: Service, teams: Collection[str] | None, kind: Kind, least: int = LEAST) -> Ledger:
    """The ledger of a kind of incident in the history of these teams (None: of all) and the shared one."""
    records = await service.store.gold.list_incidents(teams, kind.has)
    return await asyncio.to_thread(ledger, service.casebook.taxonomy, records, kind, least)


@router.get("/study", response_model=Study)
async def get_study(
    service: Parts,
    principal: Reader,
    most: Annotated[
        int, Query(ge=1, le=MOST, description="The maximum number of incidents, the latest first.")
    ] = 5_000,
    incidents: Annotated[int, Query(ge=0, le=1000, description="The maximum number of ids beside each figure.")] = 20,
    observed_until: Annotated[
        MomentInQuery | None, Query(description="Incidents without an end were still ongoing at this moment.")
    ] = None,
    automated_minutes: Annotated[
        float | None, Query(ge=0, le=1e6, description="The time to mitigate that automation is assumed to reach.")
    ] = None,
    similarity: Annotated[
        float, Query(ge=0, le=1, description="Cosine similarity from which two incidents count as repeats.")
    ] = SIMILARITY,
) -> Response:
    """Study the labelled incidents that the key may see: kinds, detection, mitigation, durations, changes, repeats.

    Every share has its interval, and figures that can be compared with published ones show both. `missing` lists what
    the incidents don't record, and how to get it. Only one study runs at a time; further requests wait.
    """
    options = StudyOptions(observed_until=observed_until, automated_minutes=automated_minutes, similarity=similarity)
    study = await service.studies.of(principal.teams, options, most)
    return raw_answer(json.dumps(shortened(study, incidents), allow_nan=False))


@router.get("/automation", response_model=Opportunities)
async def get_automation(
    service: Parts,
    principal: Reader,
    least: Annotated[
        int, Query(ge=1, le=1000, description="The minimum number of incidents of a candidate.")
    ] = automation.DEFAULT_CRITERIA.least,
    most_minutes: Annotated[
        float, Query(gt=0, le=1e6, description="The maximum median minutes to mitigate of a candidate.")
    ] = automation.DEFAULT_CRITERIA.most_minutes,
    action_minutes: Annotated[
        float, Query(ge=0, le=1e6, description="Minutes that a playbook is assumed to need after detection.")
    ] = automation.DEFAULT_CRITERIA.action_minutes,
) -> Response:
    """Rank the mitigations that could become playbooks: frequent, repeatable and fast in the history the key may see.

    Each comes with its trigger, when not to run it, the time saved with its interval, and its incidents. Near misses
    are listed with the reason. Only one such request runs at a time; further ones wait.
    """
    criteria = automation.DEFAULT_CRITERIA._replace(
        least=least, most_minutes=most_minutes, action_minutes=action_minutes
    )
    return answer(await automation_of(service, principal.teams, criteria))


async def automation_of(
    service: Service, teams: Collection[str] | None, criteria: automation.Criteria
) -> Opportunities:
    """Automation opportunities in the history of these teams (None: of all) and the shared one."""
    async with service.analysis_lock:
        records = await service.store.gold.list_incidents(teams)
        texts = await asyncio.to_thread(redacted_texts, records, Redactor())
        return await asyncio.to_thread(opportunities, service.casebook.taxonomy, records, texts, criteria)


@router.get("/radar", response_model=Radar)
async def get_radar(
    service: Parts,
    principal: Reader,
    facet: Annotated[
        str | None, Query(max_length=100, description="The facet; default: the finest one for the kind of incident.")
    ] = None,
    recent: Annotated[int, Query(ge=1, le=5000, description="The number of latest incidents.")] = radar.RECENT,
    least: Annotated[
        int, Query(ge=3, le=1000, description="The minimum number of distinct incidents of a group.")
    ] = radar.DEFAULT_CRITERIA.least,
) -> Response:
    """Group the recent incidents that fit no label, each group with examples and a draft of a new label.

    It covers the incidents of the key's teams and the shared history. Rules word the drafts. `unread` counts the
    incidents that are not embedded yet beyond one request's limit: ask again. Only one such request runs at a time.
    """
    criteria = radar.DEFAULT_CRITERIA._replace(least=least)
    return answer(await radar_of(service, principal.teams, facet, recent, criteria))


async def radar_of(
    service: Service,
    teams: Collection[str] | None,
    facet: str | None = None,
    recent: int = radar.RECENT,
    criteria: radar.Criteria = radar.DEFAULT_CRITERIA,
) -> Radar:
    """The radar over the incidents of these teams (None: of all) and the shared ones."""
    async with service.analysis_lock:
        scope = radar.Scope(facet, recent, teams, _MOST_EMBEDDED)
        return await radar.scan_store(service.store, service.casebook, scope, criteria)
