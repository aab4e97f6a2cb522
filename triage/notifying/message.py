"""What others are told: labels, how sure they are, what helped before. Never the write-up, nor quotes from it."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from triage.annotation import Annotation
from triage.kinds import Event
from triage.redaction import Redactor
from triage.store import StoredIncident
from triage.taxonomy import Taxonomy
from triage.triage_result import FacetResult, Triage

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


class Names:
    """Names for people of a taxonomy's facets and labels; what is not in it keeps its id."""

    def __init__(self, taxonomy: Taxonomy | None = None) -> None:
        facets = taxonomy.facets if taxonomy else ()
        self._facets = {facet.id: facet.name for facet in facets}
        self._labels = {(facet.id, label.id): label.name for facet in facets for label in facet.labels}
        mitigation = taxonomy.mitigation if taxonomy else None
        self._mitigation = mitigation.id if mitigation else ""

    def facet(self, facet: str) -> str:
        """The facet's name."""
        return self._facets.get(facet, facet)

    def labels(self, facet: str, labels: tuple[str, ...]) -> str:
        """The labels' names."""
        return ", ".join(self._labels.get((facet, label), label) for label in labels)

    def mitigation(self, label: str) -> str:
        """A mitigation's name."""
        return self.labels(self._mitigation, (label,))


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


def shortened(text: str, most: int) -> str:
    """`text` in one line of at most `most` characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"


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
