"""Messages for Slack-compatible incoming webhooks, labels first."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from triage.domain.taxonomy import DisplayNames
from triage.domain.triage_result import Suggestion, Triage
from triage.render.markdown import shortened
from triage.render.quantities import duration, percent
from triage.server.notifications.message import News, encoded

_MOST_SUGGESTIONS = 2
_LONGEST_TITLE = 150
_LONGEST_LINE = 300
_LONGEST_LINK = 1_000
_LONGEST_SECTION = 3_000
"""Slack's limit for the text of a section block."""


def slack(item: News, names: DisplayNames) -> bytes:
    """The body: blocks, and a text for clients that don't show blocks."""
    title = shortened(item.title or item.incident_id, _LONGEST_TITLE)
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
        lines += _of_triage(triage, names)
    return lines


def _now(item: News, names: DisplayNames) -> str:
    return names.labels(item.correction.facet, item.correction.labels) if item.correction else ""


def _of_triage(triage: Triage, names: DisplayNames) -> list[str]:
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
    lines += [f"• {escaped(_advice(s, names))}" for s in triage.suggestions[:_MOST_SUGGESTIONS]]
    if triage.neighbours:
        nearest = triage.neighbours[0]
        title = shortened(nearest.title or nearest.incident_id, _LONGEST_TITLE)
        lines.append(f"Most similar: {_linked(title, nearest.url)} ({nearest.similarity:.2f})")
    return lines


def _advice(suggestion: Suggestion, names: DisplayNames) -> str:
    name = names.mitigation(suggestion.mitigation)
    if suggestion.is_general_advice:
        return f"{name}: general advice, no similar incident used it"
    used = f"{name}: used in {suggestion.support} of {suggestion.considered} similar incidents"
    ttm = suggestion.median_ttm_minutes
    return used if ttm is None else f"{used}, median {duration(ttm)} to mitigate"


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
    kept: list[str] = []
    for line in lines:
        if sum(map(len, kept)) + len(kept) + len(line) > _LONGEST_SECTION:
            break
        kept.append(line)
    return {"type": "section", "text": {"type": "mrkdwn", "text": "\n".join(kept)}}


def _cut(text: str, most: int) -> str:
    """At most `most` characters of an escaped text, without cutting an entity."""
    if len(text) <= most:
        return text
    cut = text[:most]
    start = cut.rfind("&")
    return cut[:start] if start > most - 5 and ";" not in cut[start:] else cut
