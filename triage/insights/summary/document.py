"""The summary itself, part by part. Every text that is not ours goes through `triage.render.markdown`."""

from __future__ import annotations

import asyncio

from triage.domain.taxonomy import Taxonomy
from triage.insights.study.roles import Roles
from triage.insights.summary.labels import classified, ended, similar
from triage.insights.summary.material import Material
from triage.insights.summary.questions import questions
from triage.insights.summary.quotes import impact, timed
from triage.insights.summary.wording import moment, quoted, text
from triage.insights.timeline import Event, timeline
from triage.redaction import Redactor
from triage.render.markdown import code, link, plain
from triage.render.quantities import duration
from triage.store import Store

_TITLE_CHARACTERS = 200
_DETAIL_CHARACTERS = 300
_MOST_TIMES = 20
_DRAFT = (
    "> **Draft.** Put together from recorded times, labels and quotes; no sentence of it was written by a model. Check "
    "every line before you share it, and replace what is wrong or missing."
)
_DEGRADED = "> **The triage is degraded**, trust its labels less: see where this comes from, at the end."


async def read_summary(store: Store, incident_id: str, taxonomy: Taxonomy, roles: Roles) -> str:
    """The draft of a stored incident's summary. Raises `NotFound`."""
    material = await Material.read(store, incident_id, taxonomy, roles, Redactor())
    return await asyncio.to_thread(summary, material)


def summary(material: Material) -> str:
    """The draft of a post-incident summary in Markdown, without anything that is neither recorded nor quoted.

    The same material gives the same text. Quotes are redacted and stand in the redacted write-up; whatever came from
    outside is escaped: no HTML, no link but those to the incidents' own addresses.
    """
    parts = (
        _head(material),
        _impact(material),
        _timeline(material),
        classified(material),
        ended(material),
        similar(material),
        questions(material),
        _follow_up(),
        _provenance(material),
    )
    return "\n".join(line for part in parts for line in part).rstrip() + "\n"


def _head(material: Material) -> list[str]:
    incident, stored = material.incident, material.stored
    facts = {
        "Incident": link(incident.id, incident.url) if incident.url else code(incident.id),
        "Status": _status(material),
        "Severity": text(incident.severity, _TITLE_CHARACTERS) or "not recorded",
        "Service": text(incident.service, _TITLE_CHARACTERS),
        "Team": "" if stored.team == "default" else plain(stored.team),
        "Time to detect": "not known" if incident.ttd_minutes is None else duration(incident.ttd_minutes),
        "Time to mitigate": _ttm(material),
    }
    lines = [f"- **{name}:** {value}" for name, value in facts.items() if value]
    degraded = [_DEGRADED, ""] if material.triage and material.triage.degraded else []
    return [f"# {text(material.title, _TITLE_CHARACTERS)}", "", _DRAFT, "", *degraded, *lines, ""]


def _status(material: Material) -> str:
    incident = material.incident
    if incident.resolved_at is not None:
        return f"resolved {moment(incident.resolved_at)}"
    if incident.mitigated_at is not None:
        return f"mitigated {moment(incident.mitigated_at)}, no resolution recorded"
    return "no end recorded"


def _ttm(material: Material) -> str:
    incident = material.incident
    if incident.ttm_minutes is None:
        return "not known"
    until = "" if incident.mitigated_at else ", counted to its resolution"
    return f"{duration(incident.ttm_minutes)}{until}"


def _impact(material: Material) -> list[str]:
    told = impact(material.sentences)
    lines = (
        quoted(told) if told else ["No sentence of the write-up was found that tells who was affected, and how.", ""]
    )
    return ["## Impact, in the words of the write-up", "", *lines]


def _timeline(material: Material) -> list[str]:
    lines = [_happened(material, event) for event in timeline(material.stored, material.triages, material.annotations)]
    told = timed(material.sentences)
    if told:
        lines += ["", "Times of day in the write-up, in its order:", ""]
        lines += [f"- “{text(one)}”" for one in told[:_MOST_TIMES]]
        lines += [f"- and {len(told) - _MOST_TIMES} more"] if len(told) > _MOST_TIMES else []
    return ["## Timeline", "", *lines, ""]


def _happened(material: Material, event: Event) -> str:
    who = f" by {plain(event.who)}" if event.who else ""
    labels = "; ".join(
        f"{plain(material.names.facet(one.facet)).lower()}: {plain(material.names.labels(one.facet, one.labels))}"
        + (" (gold)" if one.is_gold else "")
        for one in event.given
    )
    detail = text(material.redactor.redact(event.detail).text, _DETAIL_CHARACTERS)
    note = f". Note: “{detail}”" if event.given else f", {detail}"
    return f"- {moment(event.at)}: {event.what}{who}{f': {labels}' if labels else ''}{note if detail else ''}"


def _follow_up() -> list[str]:
    blank = "- [ ] "
    return ["## Follow-up", "", "What is to be done, by whom, until when:", "", blank, blank, blank, ""]


def _provenance(material: Material) -> list[str]:
    triage, stored = material.triage, material.stored
    lines = ["## Where this comes from", ""]
    if triage is None:
        why = f": {text(stored.failure)}" if stored.failure else ""
        return [*lines, f"It has no triage (status {stored.status}){why}", ""]
    made = triage.provenance
    results = triage.facets.values()
    calibrated = [result for result in results if result.is_calibrated]
    how = "calibrated" if len(calibrated) == len(triage.facets) else "partly calibrated" if calibrated else ""
    facts = [
        f"Triaged {moment(triage.created_at)} with {code(made.model or 'no model')}, taxonomy "
        f"{code(f'{made.taxonomy} {made.taxonomy_version}')}, a history of {made.history_size} incidents.",
        f"Degraded: {text(triage.degraded_reason or 'no reason was recorded')}" if triage.degraded else "Not degraded.",
        f"Probabilities are {how}, by {text(made.calibrator or 'a calibrator without a name')}."
        if how
        else "Probabilities are not calibrated: read them as a ranking.",
    ]
    if made.redactions:
        found = ", ".join(f"{count} {plain(kind)}" for kind, count in made.redactions.items())
        facts.append(f"Taken out of the quotes before the triage: {found}.")
    if made.withheld_sentences:
        facts.append(f"{made.withheld_sentences} sentence(s) that read like orders to a model were not shown to it.")
    if made.was_condensed:
        facts.append("The model read a shortened write-up.")
    if made.dropped_quotes:
        facts.append(f"{made.dropped_quotes} quote(s) of the model do not stand in the write-up and were left out.")
    return [*lines, *(f"- {fact}" for fact in facts), ""]
