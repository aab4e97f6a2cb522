"""What the incident was classified as, what ended it, and what it resembles."""

from __future__ import annotations

from triage.domain.triage_result import Neighbour, Suggestion
from triage.insights.summary.material import Material, Said
from triage.insights.summary.wording import quoted, teller
from triage.render.markdown import code, link, plain, shortened
from triage.render.quantities import duration, percent

_SUGGESTIONS = 3
_SUPPORTERS = 2
_TITLE_CHARACTERS = 120


def classified(material: Material) -> list[str]:
    """Each facet but the mitigation: its label, who says so, and the words of the write-up that show it."""
    lines = ["## What it was classified as", ""]
    told = [said for said in material.said.values() if said is not material.mitigation and _is_said(said)]
    if not told:
        return [*lines, "Nothing: it was neither triaged nor labelled.", ""]
    if any(_is_the_triages(said) for said in told):
        lines += ["Labels without a name behind them are the triage's: no person has confirmed them.", ""]
    silent = [said for said in told if _is_the_triages(said) and said.labels and not _is_told(material, said)]
    for said in told:
        if said not in silent:
            lines += [
                f"**{plain(material.names.facet(said.facet))}: {_label(material, said)}**{_who(material, said)}",
                "",
            ]
            lines += quoted(_quotes(material, said))
    if silent:
        names = (f"{plain(material.names.facet(one.facet)).lower()}{_sure(one)}" for one in silent)
        lines += [f"The write-up does not tell, by the triage: {', '.join(names)}.", ""]
    return lines


def ended(material: Material) -> list[str]:
    """What a person says ended it; else what the triage read in the write-up, and what ended similar incidents."""
    said = material.mitigation
    if said is None:
        return []
    lines = ["## What ended it", ""]
    if said.person is not None or said.are_people_at_odds:
        return [*lines, f"**{_label(material, said)}**{_who(material, said)}", "", *quoted(_quotes(material, said))]
    if said.labels and _is_told(material, said):
        lines += [f"No person has said so yet. By the triage: **{_label(material, said)}**{_who(material, said)}", ""]
        lines += quoted(_quotes(material, said))
    else:
        lines += ["No person has said so yet, and the triage finds nothing in the write-up that tells.", ""]
    return lines + _suggested(material)


def similar(material: Material) -> list[str]:
    """The neighbours, with what ended each."""
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


def _is_said(said: Said) -> bool:
    return bool(said.triage or said.people or said.gold)


def _label(material: Material, said: Said) -> str:
    if said.labels:
        return plain(material.names.labels(said.facet, said.labels))
    return "open" if said.are_people_at_odds else "not decided, see the open questions"


def _is_the_triages(said: Said) -> bool:
    return said.person is None and said.gold is None and not said.are_people_at_odds


def _is_told(material: Material, said: Said) -> bool:
    return material.is_told(said.facet, said.labels)


def _who(material: Material, said: Said) -> str:
    """Who gives the label, whether a person confirmed the triage, and how sure the triage was."""
    if said.are_people_at_odds:
        opinions = [f"{plain(material.names.labels(said.facet, one.labels))} ({teller(one)})" for one in said.people]
        return f". People differ: {'; '.join(opinions)}."
    if said.person is None:
        return _sure(said) if said.gold is None else f". Labelled by {teller(said.gold)}."
    who = f"{teller(said.person)}{'' if said.person.is_gold else ' (not gold yet)'}"
    if said.triage is None:
        return f". Labelled by {who}."
    if said.triage.labels == said.person.labels:
        return f". Confirmed by {who}; the triage said so{_sure(said)}."
    triaged = plain(material.names.labels(said.facet, said.triage.labels))
    return f". Corrected by {who}; the triage {f'said {triaged}{_sure(said)}' if triaged else 'abstained'}."


def _sure(said: Said) -> str:
    """How sure the triage was, in brackets; empty where it gives no label or no probability."""
    result = said.triage
    if result is None or result.probability is None or not result.labels:
        return ""
    return f" ({percent(result.probability)}{'' if result.is_calibrated else ', not calibrated'})"


def _quotes(material: Material, said: Said) -> list[str]:
    """The triage's evidence, where its label is the one that counts and tells anything."""
    if said.triage is None or said.triage.labels[:1] != said.labels[:1] or not _is_told(material, said):
        return []
    return material.evidence(said.triage)


def _suggested(material: Material) -> list[str]:
    triage = material.triage
    supported = [one for one in triage.suggestions if not one.is_general_advice] if triage else []
    if not supported:
        return []
    return ["What ended similar incidents:", "", *(_suggestion(material, one) for one in supported[:_SUGGESTIONS]), ""]


def _suggestion(material: Material, one: Suggestion) -> str:
    figures = f"in {one.support} of {one.considered} similar incidents"
    if one.ended:
        figures += f", ended {one.ended} of them on its own"
    if one.median_ttm_minutes is not None:
        figures += f", TTM {duration(one.median_ttm_minutes)} (median of {one.ttm_count})"
    places = [_linked(each.title, each.url, each.incident_id) for each in one.supporters[:_SUPPORTERS]]
    where = f": {', '.join(places)}" if places else ""
    return f"- **{plain(material.names.mitigation(one.mitigation))}**, {figures}{where}"


def _neighbour(material: Material, neighbour: Neighbour) -> str:
    mitigation = material.taxonomy.mitigation
    labels = neighbour.labels.get(mitigation.id, ()) if mitigation else ()
    known = labels if mitigation and material.is_told(mitigation.id, labels) else ()
    how = f"ended by {plain(material.names.labels(mitigation.id, known)).lower()}" if mitigation and known else ""
    when = f"TTM {duration(neighbour.ttm_minutes)}" if neighbour.ttm_minutes is not None else ""
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
    """An incident by its title and address, and by its id, which is what the API knows it by."""
    name = shortened(title, _TITLE_CHARACTERS)
    return f"{link(name, url)} {code(incident_id)}" if name else code(incident_id)
