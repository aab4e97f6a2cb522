"""A triage in the terminal: labels, evidence, similar past incidents, and what ended them."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Column, Table
from rich.text import Text

from triage.cli.terminal import plain_table
from triage.domain.incident import Incident
from triage.domain.taxonomy import DisplayNames, Facet, Taxonomy
from triage.domain.triage_result import Contrast, FacetResult, Neighbour, Precedent, Suggestion, Triage
from triage.render.markdown import shortened
from triage.render.quantities import duration, ended_in, percent

_BAR = 10
_QUOTE_CHARACTERS = 220
_SHOWN_SUGGESTIONS = 4
_SHOWN_SUPPORTERS = 2
_CLOSE = 0.1
"""A runner-up is shown from this probability on."""


def print_triage(incident: Incident, triage: Triage, taxonomy: Taxonomy, console: Console) -> None:
    """Print one triage. Made for 100 columns, readable from 80."""
    parts: list[RenderableType] = []
    if triage.degraded:
        parts.append(Text(f"DEGRADED: {triage.degraded_reason}", style="bold yellow"))
    parts += [Text(f"WARNING: {warning}", style="yellow") for warning in triage.warnings]
    parts += _changes(triage, taxonomy)
    parts += [_labels(triage, taxonomy), *_evidence(triage, taxonomy)]
    parts += [*_neighbours(triage.neighbours, taxonomy), *_contrast(triage.contrast, taxonomy)]
    parts += [*_precedent(triage, taxonomy), *_suggestions(triage.suggestions, taxonomy)]
    parts.append(Text(_footer(triage), style="dim"))
    heading = incident.title or " ".join(incident.write_up.split())[:70]
    console.print(Panel(Group(*parts), title=f"[bold]{escape(heading)}[/bold]", title_align="left", padding=(1, 2)))


def print_neighbours(neighbours: Sequence[Neighbour], taxonomy: Taxonomy, console: Console) -> None:
    """Print the incidents that a search found."""
    if not neighbours:
        console.print("The history holds no incident yet: bring some in with `triage import FILE`.")
    for part in _neighbours(neighbours, taxonomy):
        console.print(part)


def _changes(triage: Triage, taxonomy: Taxonomy) -> list[RenderableType]:
    names = DisplayNames(taxonomy)
    told = [
        f"{names.facet(one.facet)} was {names.labels(one.facet, one.before) or 'not decided'}, "
        f"is {names.labels(one.facet, one.after) or 'not decided'}"
        for one in triage.changes
    ]
    return [Text(f"Changed by the model's answer: {'; '.join(told)}.\n")] if told else []


def _labels(triage: Triage, taxonomy: Taxonomy) -> Table:
    name, probability = Column(style="dim", no_wrap=True), Column(justify="right", no_wrap=True)
    table = plain_table(name, Column(no_wrap=True), probability, Column(style="dim"))
    for facet in taxonomy.triaged:
        result = triage.facets.get(facet.id)
        if result is None:
            continue
        if not result.labels:
            table.add_row(facet.name, "[yellow]abstains[/yellow]", "", escape(result.abstention or ""))
            continue
        p = result.probability or 0.0
        full = round(p * _BAR)
        color = "green" if p >= 0.7 else "yellow"
        bar = Text.assemble(("█" * full, color), ("·" * (_BAR - full), "dim"), f" {p:>4.0%}")
        labels = ", ".join(facet.label(label).name for label in result.labels)
        notes = [_others(facet, result), "" if result.evidence else "no sentence shows this"]
        table.add_row(facet.name, Text(labels, style="bold"), bar, " · ".join(filter(None, notes)))
    return table


def _others(facet: Facet, result: FacetResult) -> str:
    close = [one for one in result.distribution if one.label not in result.labels and one.probability >= _CLOSE]
    return ("or " if close else "") + ", ".join(
        f"{facet.label(o.label).name} {percent(o.probability)}" for o in close[:2]
    )


def _evidence(triage: Triage, taxonomy: Taxonomy) -> list[RenderableType]:
    """Each quote once, with the facets it supports."""
    supported: dict[str, list[str]] = {}
    for facet in taxonomy.triaged:
        for evidence in triage.facets[facet.id].evidence if facet.id in triage.facets else ():
            result = triage.facets[facet.id]
            close = evidence.label if evidence.label not in result.labels else None
            about = f"{facet.name}: {facet.label(close).name}?" if close else facet.name
            supported.setdefault(" ".join(evidence.quote.split()), []).append(about)
    lines: list[RenderableType] = []
    for quote, facets in supported.items():
        shown = Text.assemble(_quoted(quote), (f"  {', '.join(facets)}", "dim"))
        lines.append(Padding(shown, (0, 0, 0, 2)))
    return [_title("Evidence, in the words of the write-up"), *lines] if lines else []


def _neighbours(neighbours: Sequence[Neighbour], taxonomy: Taxonomy) -> list[RenderableType]:
    if not neighbours:
        return []
    table = _numbered_table()
    for neighbour in neighbours:
        labels = [
            taxonomy.facet(facet.id).label(neighbour.labels[facet.id][0]).name
            for facet in taxonomy.facets
            if neighbour.labels.get(facet.id) and facet is not taxonomy.mitigation and facet.parent is not None
        ] or [labels[0] for labels in list(neighbour.labels.values())[:1]]
        text = Text.assemble(
            (neighbour.title or " ".join(neighbour.excerpt.split())[:80], "bold"),
            (" near-duplicate" if neighbour.is_near_duplicate else "", "yellow"),
            "\n",
            (", ".join(labels), ""),
            (f" · {_end(neighbour, _mitigations(neighbour, taxonomy), taxonomy.mitigation)}", ""),
            (f" · {neighbour.occurred_at:%Y-%m-%d}" if neighbour.occurred_at else "", "dim"),
            (f"\n{neighbour.url}" if neighbour.url else f"\n{neighbour.incident_id}", "dim"),
        )
        table.add_row(f"{neighbour.similarity:.2f}", text)
    return [_title("Similar past incidents, those of the likely kind first (cosine similarity)"), table]


def _contrast(contrast: Contrast | None, taxonomy: Taxonomy) -> list[RenderableType]:
    """The nearest incident with another label, and how it differs."""
    if contrast is None:
        return []
    facet, other = taxonomy.facet(contrast.facet), contrast.different
    kind = f" · {facet.label(other.label).name} · {other.similarity:.2f}"
    lines = [Text.assemble((other.title or other.incident_id, "bold"), kind)]
    if contrast.evidence is not None:
        lines.append(Text.assemble(("here   ", "dim"), _quoted(contrast.evidence.quote)))
    if other.sentence:
        lines.append(Text.assemble(("there  ", "dim"), _quoted(other.sentence)))
    shown = [Padding(line, (0, 0, 0, 2)) for line in lines]
    return [_title(f"Nearest with another {facet.name.lower()}, and what separates the two"), *shown]


def _precedent(triage: Triage, taxonomy: Taxonomy) -> list[RenderableType]:
    """The nearest incident whose mitigation is known, in its own words, or that nothing is close."""
    title = _title("What ended the nearest incident")
    found = triage.precedent
    if found is None or taxonomy.mitigation is None:
        return [title, Padding(Text(triage.nothing_close), (0, 0, 0, 2))] if triage.nothing_close else []
    text = Text.assemble(
        (found.title or found.incident_id, "bold"),
        f" · {found.similarity:.2f}",
        (" near-duplicate" if found.is_near_duplicate else "", "yellow"),
        f"\n{_end(found, found.mitigations, taxonomy.mitigation)}\n",
        _quoted(found.sentence) if found.sentence else ("No sentence of it says how.", "dim"),
        (f"\n{found.url or found.incident_id}", "dim"),
    )
    return [title, Padding(text, (0, 0, 0, 2))]


def _suggestions(suggestions: Sequence[Suggestion], taxonomy: Taxonomy) -> list[RenderableType]:
    """The mitigations, likeliest first, with steps and sources."""
    if taxonomy.mitigation is None or not suggestions:
        return []
    table = _numbered_table()
    for rank, one in enumerate(suggestions[:_SHOWN_SUGGESTIONS], start=1):
        table.add_row(f"{rank}.", _suggestion(one, taxonomy))
    return [_title("Mitigations of such incidents, likeliest first"), table]


def _numbered_table() -> Table:
    return plain_table(Column(justify="right", no_wrap=True), Column(ratio=1))


def _suggestion(one: Suggestion, taxonomy: Taxonomy) -> Text:
    figures = []
    if one.of_kind is not None:
        facet, label = one.of_kind.facet, one.of_kind.label
        kind = f"of kind {taxonomy.facet(facet).label(label).name}" if facet and label else "of the history"
        figures.append(f"in {one.of_kind.used} of {one.of_kind.known} incidents {kind}")
    if one.is_general_advice:
        figures.append("in no similar one")
    else:
        similar = f"in {one.support} of {one.considered} similar incidents"
        figures.append(similar + (f", ended {one.ended} of them on its own" if one.ended else ""))
    if one.median_ttm_minutes is not None:
        times = f"{ended_in(one.median_ttm_minutes, one.ttm_until)} (median of {one.ttm_count}"
        if one.ttm_interquartile_range_minutes is not None:
            low, high = one.ttm_interquartile_range_minutes
            times += f", IQR {duration(low)} to {duration(high)}"
        figures.append(times + ")")
    name = "" if taxonomy.mitigation is None else taxonomy.mitigation.label(one.mitigation).name
    text = Text.assemble((name, "bold"), f"  {' · '.join(figures)}")
    if one.is_general_advice:
        text.append(f"\n{one.definition}")
    for step in one.steps:
        text.append_text(Text.assemble("\n", _quoted(step.text), (f"  {step.incident_id}", "dim")))
    for supporter in one.supporters[:_SHOWN_SUPPORTERS]:
        where = supporter.url or supporter.incident_id
        text.append(f"\n{supporter.title}  {where}" if supporter.title else f"\n{where}", style="dim")
    return text


def _footer(triage: Triage) -> str:
    provenance = triage.provenance
    facts = [
        provenance.model or "no chat model (TRIAGE_MODEL=none)",
        f"taxonomy {provenance.taxonomy} {provenance.taxonomy_version}",
        f"history of {provenance.history_size}",
        f"{sum(provenance.seconds.values()):.1f} s",
    ]
    if provenance.redactions:
        facts.append("redacted: " + ", ".join(f"{n} {kind}" for kind, n in provenance.redactions.items()))
    if provenance.withheld_sentences:
        facts.append(
            f"{provenance.withheld_sentences} sentence(s) that read like orders to a model were not shown to it"
        )
    if provenance.was_condensed:
        facts.append("the model read a shortened write-up")
    uncalibrated = [facet for facet, result in triage.facets.items() if not result.is_calibrated]
    if uncalibrated:
        of = f" of {', '.join(uncalibrated)}" if len(uncalibrated) < len(triage.facets) else ""
        facts.append(f"probabilities{of} are not calibrated: use them to rank")
    return "\n" + " · ".join(facts)


def _mitigations(neighbour: Neighbour, taxonomy: Taxonomy) -> Sequence[str]:
    return neighbour.labels.get(taxonomy.mitigation.id, ()) if taxonomy.mitigation else ()


def _end(incident: Neighbour | Precedent, mitigations: Sequence[str], facet: Facet | None) -> str:
    """What ended the incident, and after which time. Labels that disclose nothing are left out."""
    ended = [facet.label(label) for label in mitigations] if facet else []
    names = ", ".join(label.name.lower() for label in ended if not label.undisclosed)
    how = f"ended by {names}" if names else ""
    when = "" if incident.ttm_minutes is None else ended_in(incident.ttm_minutes, incident.ttm_until)
    return ", ".join(part for part in (how, when) if part) or "how it ended is not known"


def _quoted(text: str) -> tuple[str, str]:
    return f"“{shortened(text, _QUOTE_CHARACTERS)}”", "italic"


def _title(text: str) -> Text:
    return Text(f"\n{text}", style="bold cyan")
