"""The study as one HTML file: it asks the network for nothing, needs no script, and names the incidents of each row."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

import triage
from triage.evaluation.reports.drawings import HOW_TO_GET, can_draw
from triage.study import drawings
from triage.study.corpus import Corpus, counted
from triage.study.study import Study
from triage.study.tables import tables_of
from triage.tables import Table, written
from triage.taxonomy import Facet
from triage.whole_file import write_whole

LISTED = 40
"""Incidents named in a row of the page; all of them are in the JSON and the CSV."""
_LISTED_INCIDENTS = 2_000
# Characters that HTML can't hold, and halves of surrogate pairs, which UTF-8 can't.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class Plot(NamedTuple):
    """A drawing, and what is seen in it."""

    svg: Markup
    caption: str


class Listed(NamedTuple):
    """One incident of the list at the end, which the rows' ids lead to."""

    anchor: str
    id: str
    title: str
    url: str
    began: str
    labels: str


def write_html(path: Path, study: Study, corpus: Corpus) -> Path:
    """Write the page, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, as_html(study, corpus))
    return path


def as_html(study: Study, corpus: Corpus) -> str:
    """The page; the same study gives the same one. It holds titles and ids, and no write-up."""
    tables = tables_of(study, corpus.taxonomy)
    sections = [(name, list(group)) for name, group in itertools.groupby(tables, key=lambda table: table.section)]
    listed = list(_incidents(corpus))
    page = (
        _environment()
        .get_template("study.html")
        .render(
            study=study,
            sections=sections,
            plots=_plots(study, corpus, tables) if can_draw() else {},
            how_to_plot=None if can_draw() else HOW_TO_GET,
            incidents=listed,
            anchors={one.id: one.anchor for one in listed},
            listed=LISTED,
            n=len(corpus.records),
            version=triage.__version__,
        )
    )
    return _UNPRINTABLE.sub("\ufffd", page)


def _environment() -> Environment:
    environment = Environment(
        loader=ChoiceLoader([PackageLoader("triage.study"), PackageLoader("triage.evaluation.reports")]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["written"] = written
    return environment


def _incidents(corpus: Corpus) -> Iterator[Listed]:
    for place, record in enumerate(corpus.records[:_LISTED_INCIDENTS]):
        names = [
            facet.label(label).name for facet in corpus.taxonomy.facets for label in counted(facet, record.labels)[:1]
        ]
        incident = record.incident
        url = incident.url if incident.url.startswith(("https://", "http://")) else ""
        began = f"{incident.started_at:%Y-%m-%d}" if incident.started_at else ""
        yield Listed(f"incident-{place}", record.id, incident.title, url, began, ", ".join(names))


def _plots(study: Study, corpus: Corpus, tables: Sequence[Table]) -> dict[str, list[Plot]]:
    """Table id -> the plots that stand beside it."""
    titles = {table.id: table.title for table in tables}
    found: dict[str, list[Plot]] = {}
    for key, plot in (*_shares(study, corpus, titles), *_medians(study, corpus, titles), *_months(study, corpus)):
        found.setdefault(key, []).append(plot)
    return found


def _shares(study: Study, corpus: Corpus, titles: Mapping[str, str]) -> Iterator[tuple[str, Plot]]:
    for one in study.distributions:
        key = f"{one.facet}-within-{one.within}" if one.within else one.facet
        if key in titles and len(one.shares) > 1:
            svg = drawings.draw_shares(one, _names(corpus.taxonomy.facet(one.facet)), f"plot-{key}", titles[key])
            caption = f"{titles[key]}: share of each label (dot) with its 95% interval (band); n = {one.shares[0].n}."
            yield key, Plot(svg, caption)


def _medians(study: Study, corpus: Corpus, titles: Mapping[str, str]) -> Iterator[tuple[str, Plot]]:
    for measure in ("ttm", "ttd"):
        for facet in corpus.taxonomy.facets:
            of_facet = [one for one in study.durations if one.measure == measure and one.facet in {None, facet.id}]
            groups = [one for one in of_facet if one.quantiles is not None and one.quantiles.median is not None]
            if len(groups) > 2:
                key = f"{measure}-{facet.id}"
                svg = drawings.draw_medians(groups, _names(facet), f"plot-{key}", titles[key])
                how = "median (dot), its 95% interval (band) and the middle half (line)"
                yield key, Plot(svg, f"{titles[key]}: {how}; how many ended stands in brackets.")


def _months(study: Study, corpus: Corpus) -> Iterator[tuple[str, Plot]]:
    """All incidents by month, and the labels whose number changed."""
    for place, trend in enumerate(study.trends):
        changes = trend.number.changes if trend.number else ()
        if len(trend.months) > 1 and (changes or trend.facet is None):
            name = trend.what if trend.facet is None else corpus.taxonomy.facet(trend.facet).label(trend.what).name
            told = ", ".join(change.month for change in changes)
            told = f"Lines are the levels; they change in {told}." if told else "No change was seen."
            svg = drawings.draw_months(trend, f"plot-months-{place}")
            yield "changes", Plot(svg, f"{name[0].upper()}{name[1:]} by month; n = {trend.n}. {told}")


def _names(facet: Facet) -> dict[str, str]:
    return {label.id: label.name for label in facet.labels}
