"""The content of notifications: labels, probabilities, mitigations. Never the write-up or quotes from it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from triage.domain.annotation import Annotation
from triage.domain.enums import Event
from triage.domain.triage_result import Triage
from triage.redaction import Redactor
from triage.render.markdown import shortened
from triage.store import StoredIncident

MOST_SUGGESTIONS = 3
MOST_NEIGHBOURS = 3
_LONGEST_TITLE = 200
_INCIDENT = ("incident_id", "team", "title", "service", "severity")
_SUGGESTION = {"mitigation", "support", "considered", "median_ttm_minutes", "is_general_advice"}


class News(NamedTuple):
    """An event of an incident, with redacted and shortened texts.

    `at` is its time, ISO 8601. `link` leads to the triage, empty if the service's public address is not known.
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
    """The news of an incident. `public_url` is the service's public address."""
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
        event, at, incident.id, stored.team, **about, link=link, triage=triage, correction=correction, failure=failure
    )


def generic(item: News) -> bytes:
    """The body of a generic webhook, as in Standard Webhooks."""
    data: dict[str, Any] = {name: getattr(item, name) for name in _INCIDENT}
    data["links"] = {"triage": item.link} if item.link else {}
    if item.triage is not None:
        data |= _of_triage(item.triage)
    if item.correction is not None:
        facet = item.correction.facet
        result = item.triage.facets.get(facet) if item.triage else None
        data["correction"] = {
            "facet": facet,
            "labels": list(item.correction.labels),
            "triage_labels": list(result.labels) if result else [],
        }
    if item.event == "failed":
        data["failure"] = item.failure
    return encoded({"type": item.event, "timestamp": item.at, "data": data})


def encoded(content: object) -> bytes:
    """JSON in UTF-8."""
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _of_triage(triage: Triage) -> dict[str, Any]:
    return {
        "degraded": triage.degraded,
        "degraded_reason": shortened(triage.degraded_reason, 300) if triage.degraded_reason else None,
        "labels": {
            facet: result.model_dump(include={"labels", "probability", "is_calibrated"})
            for facet, result in triage.facets.items()
            if result.labels
        },
        "abstentions": {
            facet: shortened(result.abstention or "", 300)
            for facet, result in triage.facets.items()
            if not result.labels
        },
        "suggestions": [s.model_dump(include=_SUGGESTION) for s in triage.suggestions[:MOST_SUGGESTIONS]],
        "similar": [
            {"incident_id": n.incident_id, "title": n.title, "url": n.url, "similarity": round(n.similarity, 4)}
            for n in triage.neighbours[:MOST_NEIGHBOURS]
        ],
    }
