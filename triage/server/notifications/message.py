"""What others are told: labels, how sure they are, what helped before. Never the write-up, nor quotes from it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from triage.domain.annotation import Annotation
from triage.domain.enums import Event
from triage.domain.triage_result import FacetResult, Triage
from triage.redaction import Redactor
from triage.render.markdown import shortened
from triage.store import StoredIncident

MOST_SUGGESTIONS = 3
MOST_NEIGHBOURS = 3
_LONGEST_TITLE = 200


class News(NamedTuple):
    """What happened to an incident, made fit for others: its texts are redacted and short.

    `at` is when it happened, ISO 8601. `link` leads to the triage, empty where the service's own address is not known.
    """

    event: Event
    at: str
    incident_id: str
    team: str
    title: str
    service: str = ""
    severity: str = ""
    link: str = ""
    triage: Triage | None = None
    correction: Annotation | None = None
    failure: str = ""


def news(
    event: Event,
    at: str,
    stored: StoredIncident,
    redactor: Redactor,
    public_url: str = "",
    *,
    triage: Triage | None = None,
    correction: Annotation | None = None,
) -> News:
    """The news of an incident. `public_url` is where the service is reached from outside."""
    incident = stored.incident
    link = f"{public_url.rstrip('/')}/v1/incidents/{incident.id}/triage" if public_url else ""

    def fit(text: str) -> str:
        return shortened(redactor.redact(text).text, _LONGEST_TITLE)

    if triage is not None:
        neighbours = tuple(n.model_copy(update={"title": fit(n.title)}) for n in triage.neighbours[:MOST_NEIGHBOURS])
        triage = triage.model_copy(update={"neighbours": neighbours})
    failure = fit(stored.failure or "") if event == "failed" else ""
    about = {"title": fit(incident.title), "service": fit(incident.service), "severity": fit(incident.severity)}
    return News(
        event,
        at,
        incident.id,
        stored.team,
        **about,
        link=link,
        triage=triage,
        correction=correction,
        failure=failure,
    )


def generic(told: News) -> bytes:
    """The body of a generic webhook, after the Standard Webhooks specification."""
    data: dict[str, Any] = {
        "incident_id": told.incident_id,
        "team": told.team,
        "title": told.title,
        "service": told.service,
        "severity": told.severity,
        "links": {"triage": told.link} if told.link else {},
    }
    if told.triage is not None:
        data |= _of_triage(told.triage)
    if told.correction is not None:
        facet = told.correction.facet
        said = told.triage.facets.get(facet) if told.triage else None
        data["correction"] = {
            "facet": facet,
            "labels": list(told.correction.labels),
            "triage_labels": list(said.labels) if said else [],
        }
    if told.event == "failed":
        data["failure"] = told.failure
    return encoded({"type": told.event, "timestamp": told.at, "data": data})


def encoded(content: object) -> bytes:
    """JSON in UTF-8."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _of_triage(triage: Triage) -> dict[str, Any]:
    return {
        "degraded": triage.degraded,
        "degraded_reason": shortened(triage.degraded_reason, 300) if triage.degraded_reason else None,
        "labels": {facet: _label(result) for facet, result in triage.facets.items() if result.labels},
        "abstentions": {
            facet: shortened(result.abstention or "", 300)
            for facet, result in triage.facets.items()
            if not result.labels
        },
        "suggestions": [
            {
                "mitigation": s.mitigation,
                "support": s.support,
                "considered": s.considered,
                "median_ttm_minutes": s.median_ttm_minutes,
                "is_general_advice": s.is_general_advice,
            }
            for s in triage.suggestions[:MOST_SUGGESTIONS]
        ],
        "similar": [
            {"incident_id": n.incident_id, "title": n.title, "url": n.url, "similarity": round(n.similarity, 4)}
            for n in triage.neighbours[:MOST_NEIGHBOURS]
        ],
    }


def _label(result: FacetResult) -> dict[str, Any]:
    return {
        "labels": list(result.labels),
        "probability": result.probability,
        "is_calibrated": result.is_calibrated,
    }
