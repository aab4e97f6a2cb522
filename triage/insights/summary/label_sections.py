"""The sections on classification, mitigation and similar incidents."""

from __future__ import annotations

from triage.domain.annotation import NOT_TOLD
from triage.domain.triage_result import Neighbour, Suggestion
from triage.insights.summary.material import FacetLabel, Material
from triage.insights.summary.quotes import quoted, teller
from triage.render.markdown import code, link, plain, shortened
from triage.render.quantities import ended_in, percent

_SUGGESTIONS = 3
_SUPPORTERS = 2
_TITLE_CHARACTERS = 120


def classified(material: Material) -> list[str]:
    """Each facet except the mitigation, with its label, who gave it, and quotes as evidence."""
    lines = ["## What it was classified as", ""]
    others = [label for label in material.facet_labels.values() if label is not material.mitigation]
    labels = [label for label in others if label.triage or label.people or label.gold]
    if not labels:
        return [*lines, "Nothing: it was neither triaged nor labelled.", ""]
    if any(_is_the_triages(label) for label in labels):
        lines += ["Labels without a name behind them are the triage's: no person has confirmed them.", ""]
    undisclosed = [
        label for label in labels if _is_the_triages(label) and label.labels and not _is_told(material, label)
    ]
    for label in labels:
        if label not in undisclosed:
            lines += [
                f"**{plain(material.names.facet(label.facet))}: {_label(material, label)}**{_by(material, label)}",
                "",
            ]
            lines += quoted(_quotes(material, label))
    if undisclosed:
        names = (f"{plain(material.names.facet(label.facet)).lower()}{_sure(label)}" for label in undisclosed)
        lines += [f"The write-up does not tell, by the triage: {', '.join(names)}.", ""]
    return lines


def ended(material: Material) -> list[str]:
    """The mitigation that a person named, or else the triage's, and what ended similar incidents."""
    label = material.mitigation
    if label is None:
        return []
    lines = ["## What ended it", ""]
    if label.person is not None or label.are_people_at_odds:
        return [*lines, f"**{_label(material, label)}**{_by(material, label)}", "", *quoted(_quotes(material, label))]
    if label.labels and _is_told(material, label):
        lines += [f"No person has said so yet. By the triage: **{_label(material, label)}**{_by(material, label)}", ""]
        lines += quoted(_quotes(material, label))
    else:
        lines += ["No person has said so yet, and the triage finds nothing in the write-up that tells.", ""]
    return lines + _suggested(material)


def similar(material: Material) -> list[str]:
    """The similar incidents, with what ended each."""
    neighbours = material.triage.neighbours if material.triage else ()
    if not neighbours:
        return []
    lines = [_neighbour(material, neighbour) for neighbour in neighbours]
    return [
        "## Similar incidents",
        "",
        "Those of the likely kind first; similarity is the texts' cosine.",
        "",
        *lines,
        "",
    ]


def _label(material: Material, label: FacetLabel) -> str:
    if label.labels:
        return plain(material.names.labels(label.facet, label.labels))
    if label.is_untold:
        return NOT_TOLD
    return "open" if label.are_people_at_odds else "not decided, see the open questions"


def _is_the_triages(label: FacetLabel) -> bool:
    return label.person is None and label.gold is None and not label.are_people_at_odds


def _is_told(material: Material, label: FacetLabel) -> bool:
    return material.is_told(label.facet, label.labels)


def _by(material: Material, label: FacetLabel) -> str:
    """Who gave the label, whether a person confirmed the triage, and how sure the triage was."""
    if label.are_people_at_odds:
        return f". People differ: {'; '.join(opinions(material, label))}."
    if label.person is None:
        return _sure(label) if label.gold is None else f". Labelled by {teller(label.gold)}."
    person = f"{teller(label.person)}{'' if label.person.is_gold else ' (not gold yet)'}"
    if label.triage is None or (label.is_untold and not label.triage.labels):
        return f". Labelled by {person}."
    if label.triage.labels == label.person.labels:
        return f". Confirmed by {person}; the triage said so{_sure(label)}."
    triaged = plain(material.names.labels(label.facet, label.triage.labels))
    return f". Corrected by {person}; the triage {f'said {triaged}{_sure(label)}' if triaged else 'abstained'}."


def opinions(material: Material, label: FacetLabel) -> list[str]:
    """What each person labelled, with the person and the day."""
    return [
        f"{plain(material.names.labels(label.facet, annotation.answer))} ({teller(annotation)})"
        for annotation in label.people
    ]


def _sure(label: FacetLabel) -> str:
    """The triage's probability in brackets; empty without a label or probability."""
    result = label.triage
    if result is None or result.probability is None or not result.labels:
        return ""
    return f" ({percent(result.probability)}{'' if result.is_calibrated else ', not calibrated'})"


def _quotes(material: Material, label: FacetLabel) -> list[str]:
    """The triage's evidence, if its label is the one that counts and is not "undisclosed"."""
    if label.triage is None or label.triage.labels[:1] != label.labels[:1] or not _is_told(material, label):
        return []
    return material.evidence(label.triage)


def _suggested(material: Material) -> list[str]:
    triage = material.triage
    supported = [suggestion for suggestion in triage.suggestions if not suggestion.is_general_advice] if triage else []
    if not supported:
        return []
    return [
        "What ended similar incidents:",
        "",
        *(_suggestion(material, suggestion) for suggestion in supported[:_SUGGESTIONS]),
        "",
    ]


def _suggestion(material: Material, suggestion: Suggestion) -> str:
    figures = f"in {suggestion.support} of {suggestion.considered} similar incidents"
    if suggestion.ended:
        figures += f", ended {suggestion.ended} of them on its own"
    if suggestion.median_ttm_minutes is not None:
        times = ended_in(suggestion.median_ttm_minutes, suggestion.ttm_until)
        figures += f", {times} (median of {suggestion.ttm_count})"
    places = [_linked(each.title, each.url, each.incident_id) for each in suggestion.supporters[:_SUPPORTERS]]
    where = f": {', '.join(places)}" if places else ""
    return f"- **{plain(material.names.mitigation(suggestion.mitigation))}**, {figures}{where}"


def _neighbour(material: Material, neighbour: Neighbour) -> str:
    mitigation = material.taxonomy.mitigation
    labels = neighbour.labels.get(mitigation.id, ()) if mitigation else ()
    known = labels if mitigation and material.is_told(mitigation.id, labels) else ()
    how = f"ended by {plain(material.names.labels(mitigation.id, known)).lower()}" if mitigation and known else ""
    when = ended_in(neighbour.ttm_minutes, neighbour.ttm_until) if neighbour.ttm_minutes is not None else ""
    facts = [
        f"{neighbour.occurred_at:%Y-%m-%d}" if neighbour.occurred_at else "",
        f"similarity {neighbour.similarity:.2f}",
        "**nearly the same text**" if neighbour.is_near_duplicate else "",
        how,
        when,
        "" if how or when else "how it ended is not known",
    ]
    title = neighbour.title or neighbour.excerpt
    return f"- {_linked(title, neighbour.url, neighbour.incident_id)}: {', '.join(filter(None, facts))}"


def _linked(title: str, url: str, incident_id: str) -> str:
    """The incident's linked title and its id."""
    name = shortened(title, _TITLE_CHARACTERS)
    return f"{link(name, url)} {code(incident_id)}" if name else code(incident_id)
