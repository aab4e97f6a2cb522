"""The content of notifications, for generic webhooks and for Slack: labels, probabilities, mitigations.

Never the write-up or quotes from it.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple
from urllib.parse import quote

from triage.domain.annotation import Annotation
from triage.domain.enums import Event
from triage.domain.taxonomy import DisplayNames
from triage.domain.triage_result import Suggestion, Triage
from triage.redaction import Redactor
from triage.render.markdown import shortened
from triage.render.quantities import ended_in, percent
from triage.store import StoredIncident

MOST_SUGGESTIONS = 3
MOST_NEIGHBOURS = 3
_LONGEST_TITLE = 200
_SLACK_SUGGESTIONS = 2
_SLACK_TITLE = 150
_LONGEST_LINE = 300
_LONGEST_LINK = 1_000
_LONGEST_SECTION = 3_000
"""Slack's limit for the text of a section block."""
_INCIDENT = ("incident_id", "team", "title", "service", "severity")
_SUGGESTION = {"mitigation", "support", "considered", "median_ttm_minutes", "ttm_until", "is_general_advice"}


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


def slack(item: News, names: DisplayNames) -> bytes:
    """The body: blocks, and a text for clients that don't show blocks."""
    title = shortened(item.title or item.incident_id, _SLACK_TITLE)
    headline = {"triaged": "Triage", "failed": "Triage failed", "corrected": "Corrected"}[item.event]
    lines = [f"*{headline}:* {_linked(title, item.link)}", *_lines(item, names)]
    about = [item.incident_id, f"team {item.team}", item.service, item.severity]
    return encoded(
        {
            "text": _cut(f"{headline}: {escaped(title)}. {_summary(item, names)}", 1_000),
            "blocks": [
                _section(lines),
                {
                    "type": "context",
                    "elements": [
                        {"type": "mrkdwn", "text": escaped(shortened(" · ".join(filter(None, about)), _LONGEST_LINE))}
                    ],
                },
            ],
        }
    )


def escaped(text: str) -> str:
    """`text` escaped, so that Slack shows it as it is, without mentions, links or commands."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _lines(item: News, names: DisplayNames) -> list[str]:
    lines = []
    triage = item.triage
    if item.event == "failed":
        lines.append(escaped(f"No attempt is left: {item.failure or 'no reason was recorded'}"))
    if item.correction is not None:
        facet = item.correction.facet
        result = triage.facets.get(facet) if triage else None
        was = names.labels(facet, result.labels) if result and result.labels else "no label"
        lines.append(f"{escaped(names.facet(facet))}: ~{escaped(was)}~ *{escaped(_now(item, names))}*")
    elif triage is not None:
        lines += _triage_lines(triage, names)
    return lines


def _now(item: News, names: DisplayNames) -> str:
    return names.labels(item.correction.facet, item.correction.answer) if item.correction else ""


def _triage_lines(triage: Triage, names: DisplayNames) -> list[str]:
    lines = []
    if triage.degraded:
        why = shortened(triage.degraded_reason or "", _LONGEST_LINE)
        lines.append(f":warning: *Degraded*, trust it less: {escaped(why)}")
    for facet, result in triage.facets.items():
        if result.labels:
            likely = percent(result.probability)
            sure = f" ({likely}{'' if result.is_calibrated else ', not calibrated'})" if likely else ""
            lines.append(f"{escaped(names.facet(facet))}: *{escaped(names.labels(facet, result.labels))}*{sure}")
        else:
            why = shortened(result.abstention or "not sure enough", _LONGEST_LINE)
            lines.append(f"{escaped(names.facet(facet))}: _abstains_, {escaped(why)}")
    lines += [f"• {escaped(_advice(s, names))}" for s in triage.suggestions[:_SLACK_SUGGESTIONS]]
    if triage.neighbours:
        nearest = triage.neighbours[0]
        title = shortened(nearest.title or nearest.incident_id, _SLACK_TITLE)
        lines.append(f"Most similar: {_linked(title, nearest.url)} ({nearest.similarity:.2f})")
    return lines


def _advice(suggestion: Suggestion, names: DisplayNames) -> str:
    name = names.mitigation(suggestion.mitigation)
    if suggestion.is_general_advice:
        return f"{name}: used in others of this kind, in no similar incident"
    used = f"{name}: used in {suggestion.support} of {suggestion.considered} similar incidents"
    ttm = suggestion.median_ttm_minutes
    return used if ttm is None else f"{used}; {ended_in(ttm, suggestion.ttm_until)} in the median"


def _summary(item: News, names: DisplayNames) -> str:
    if item.triage is None or item.correction is not None:
        return escaped(_now(item, names) or shortened(item.failure, _LONGEST_LINE))
    labels = [
        f"{names.facet(facet)}: {names.labels(facet, result.labels) or 'abstains'}"
        for facet, result in item.triage.facets.items()
    ]
    degraded = "Degraded. " if item.triage.degraded else ""
    return escaped(shortened(degraded + "; ".join(labels), _LONGEST_LINE))


def _linked(text: str, url: str) -> str:
    """`text` as a link, if `url` is a web address."""
    if not url.startswith(("https://", "http://")):
        return escaped(text)
    place = escaped(quote(url, safe=":/?#[]@!$&'()*+,;=%~"))
    if len(place) > _LONGEST_LINK:
        return escaped(text)
    return f"<{place}|{escaped(text).replace('|', '¦')}>"


def _section(lines: list[str]) -> dict[str, Any]:
    text = ""
    for line in lines:
        if len(text) + len(line) > _LONGEST_SECTION:
            break
        text += f"{line}\n"
    return {"type": "section", "text": {"type": "mrkdwn", "text": text.removesuffix("\n")}}


def _cut(text: str, most: int) -> str:
    """At most `most` characters of an escaped text, without cutting an entity."""
    if len(text) <= most:
        return text
    cut = text[:most]
    start = cut.rfind("&")
    return cut[:start] if start > most - 5 and ";" not in cut[start:] else cut
