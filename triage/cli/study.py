"""`triage study` and `checklist`: the whole study of a corpus, and the steps of adopting the method."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from triage.app.settings import Settings
from triage.cli.terminal import (
    FAILURE,
    JSON_OPTION,
    TEAM_OPTION,
    figures_table,
    messages,
    print_result,
    split_pair,
    watching,
)
from triage.domain.errors import InvalidInput

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from triage.domain.taxonomy import Taxonomy
    from triage.insights.study import Corpus, Roles, Study
    from triage.insights.study.checklist import Bars, Checklist
    from triage.render.tables import Table
    from triage.store import Store

_QUIET = ("months",)
"""Tables that are too long for the terminal."""
_LEFT_OUT = ("all at once", "source")
"""The beginnings of the names of columns that make a table too wide for the terminal."""


async def study(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="Labelled incidents as `triage import` takes them, or any with --facet. "
            "By default the shipped history.",
            show_default=False,
        ),
    ] = None,
    store: Annotated[bool, typer.Option("--store", help="Study the service's own labelled incidents.")] = False,
    team: Annotated[list[str] | None, TEAM_OPTION] = None,
    taxonomy: Annotated[str | None, typer.Option(help="The taxonomy, or its .yaml file.")] = None,
    facet: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=FIELD: the labels of this facet stand in that field of FILE; repeatable. Without --taxonomy the "
            "labels are taken as they stand there.",
        ),
    ] = None,
    field: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FIELD: the incident's started_at or the like stands there; repeatable."),
    ] = None,
    roles: Annotated[
        Path | None, typer.Option(help="What labels mean to the study, as YAML; see docs/study.md.", show_default=False)
    ] = None,
    role: Annotated[
        list[str] | None,
        typer.Option(help="One of these alone, as automated=FACET:LABEL,LABEL; repeatable.", show_default=False),
    ] = None,
    annotations: Annotated[
        Path | None, typer.Option(help="Several annotators' labels, as `triage agreement` takes them.")
    ] = None,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out rows of FILE with mistakes.")] = False,
    human: Annotated[
        bool, typer.Option("--human", help="The labels of FILE were given by people, not derived.")
    ] = False,
    observed_until: Annotated[
        datetime | None, typer.Option(help="Incidents without an end were still going on then; in UTC.")
    ] = None,
    automated_minutes: Annotated[
        float | None, typer.Option(min=0, help="The time to mitigate that automation is supposed to reach.")
    ] = None,
    similarity: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Cosine from which on incidents are near the same; embeds a FILE for it."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of everything random: the same seed gives the same study.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Write study.html, study.json, a CSV for each table and the plots as SVG and PNG here."),
    ] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Study a corpus as arXiv 2511.07424 did: shares with intervals, detection, mitigation, durations, trends, repeats.

    Each figure names the incidents behind it: in the JSON, the CSV files and the HTML page of `--out`.
    """
    from triage.domain.taxonomy import Taxonomy
    from triage.insights.study import Roles, StudyOptions, make_study, tables_of
    from triage.insights.study.corpus_loading import file_corpus, shipped_corpus
    from triage.insights.study.repeats import SIMILARITY
    from triage.intake.annotations import read_annotations

    options = StudyOptions(
        observed_until=observed_until and observed_until.replace(tzinfo=UTC),
        automated_minutes=automated_minutes,
        similarity=SIMILARITY if similarity is None else similarity,
        seed=seed,
    )
    settings = Settings()
    facets, fields = _named(facet or [], "facet"), _named(field or [], "field")
    if file is not None and store:
        raise InvalidInput("Name a file or give --store, not both.", field="store")
    if team and not store:
        raise InvalidInput("Teams have incidents in the store alone: give --store with --team.", field="team")
    if (facets or fields) and file is None:
        raise InvalidInput("--facet and --field say how a file is read: name a file.", field="file")
    is_as_it_stands = bool(facets) and taxonomy is None
    known = Taxonomy.load(settings.taxonomy if is_as_it_stands else taxonomy or settings.taxonomy)
    vectors: Mapping[str, NDArray[np.float32]] = {}
    if store:
        corpus, vectors = await _stored(settings, known, team)
    elif file is not None:
        read_with = None if is_as_it_stands else known
        corpus = file_corpus(file, read_with, facets, fields, are_human=human, skip_bad=skip_bad)
    else:
        corpus = shipped_corpus(known)
    if similarity is not None and not store:
        vectors = await _embedded(settings, corpus)
    if annotations is not None:
        given = read_annotations(annotations, corpus.taxonomy, origin="human").annotations
        corpus = corpus._replace(annotations=tuple(sorted(given, key=lambda annotation: annotation.created_at)))
    if not corpus.records:
        raise InvalidInput(
            "There is no labelled incident to study: bring some in with `triage import FILE`.", field="file"
        )
    meanings = Roles.load(corpus.taxonomy, roles or settings.study_roles)
    with watching() as watch, watch.step("Studying the incidents"):
        meanings = meanings.given(corpus.taxonomy, role or [])
        steps = await _stored_checklist(settings, corpus.taxonomy, meanings) if store and not team else None
        made = make_study(corpus, meanings, options, vectors, steps)
    tables = tables_of(made, corpus.taxonomy)
    plots = 0 if out is None else _write(out, made, corpus, tables)
    print_result(made, as_json, lambda made, console: _print(made, tables, console))
    if out is not None:
        what = f"study.html, study.json, {len(tables)} CSV files and {plots} pictures in plots"
        messages().print(f"Written to {escape(str(out))}: {what}.")


def _named(given: Sequence[str], option: str) -> dict[str, str]:
    return dict(split_pair(each, "NAME=FIELD", f"--{option} NAME=FIELD", option) for each in given)


async def _stored_checklist(settings: Settings, taxonomy: Taxonomy, roles: Roles) -> Checklist:
    from triage.app.wiring.storage import open_store

    async with open_store(settings) as (store, _):
        return await _measure(settings, store, taxonomy, roles, settings.suites, settings.runs)


async def _stored(
    settings: Settings, taxonomy: Taxonomy, teams: list[str] | None
) -> tuple[Corpus, Mapping[str, NDArray[np.float32]]]:
    from triage.app.wiring.models import build_embedder
    from triage.app.wiring.storage import open_store
    from triage.insights.study.corpus_loading import stored_corpus

    async with open_store(settings) as (records, _), contextlib.aclosing(build_embedder(settings)) as embedder:
        with watching() as watch, watch.step("Reading the incidents"):
            return await stored_corpus(records, taxonomy, teams=teams, fingerprint=embedder.fingerprint)


async def _embedded(settings: Settings, corpus: Corpus) -> Mapping[str, NDArray[np.float32]]:
    from triage.app.wiring.models import build_embedder
    from triage.redaction import Redactor

    redactor = Redactor()
    async with contextlib.aclosing(build_embedder(settings)) as embedder:
        with watching() as watch, watch.step("Embedding the incidents"):
            # The embedder may be a remote service, so it gets redacted texts.
            texts = [redactor.redact(record.incident.text).text for record in corpus.records]
            vectors = await embedder.embed(texts)
    return dict(zip((record.id for record in corpus.records), vectors, strict=True))


def _write(folder: Path, made: Study, corpus: Corpus, tables: list[Table]) -> int:
    """Write all files. Returns the number of pictures."""
    from triage.insights.study.html_page import write_html
    from triage.insights.study.study_charts import charts_of
    from triage.render.atomic_write import write_atomically
    from triage.render.charts import write_pictures
    from triage.render.tables import as_csv

    write_html(folder / "study.html", made, corpus)
    write_atomically(folder / "study.json", made.model_dump_json(indent=2) + "\n")
    for table in tables:
        write_atomically(folder / f"{table.id}.csv", as_csv(table))
    return len(write_pictures(folder / "plots", [one.chart for one in charts_of(made, corpus.taxonomy, tables)]))


def _print(made: Study, tables: list[Table], console: Console) -> None:
    console.print(f"\n[bold]Study of {escape(made.corpus)}[/bold]: {made.n} incidents, {escape(made.taxonomy)}")
    console.print(f"Labels {escape(made.origin)}.")
    for note in made.notes:
        console.print(escape(note))
    for one in tables:
        if one.id in _QUIET:
            continue
        console.print(f"\n[bold]{escape(one.title)}[/bold]\n[dim]{escape(one.caption)}[/dim]")
        if one.rows:
            console.print(figures_table(one, _LEFT_OUT), crop=False)


async def checklist(
    bar: Annotated[float, typer.Option(min=0, max=1, help="What kappa's whole interval must reach.")] = 0.8,
    review_days: Annotated[float, typer.Option(min=1, help="How old the latest adjudication may be.")] = 90.0,
    suites: Annotated[Path, typer.Option(help="The folder with suites.")] = Path("evals/suites"),
    runs: Annotated[Path, typer.Option(help="The folder that holds the runs.")] = Path("runs"),
    strict: Annotated[bool, typer.Option("--strict", help="End with exit code 1 if any step is open.")] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Measure which steps of the method this installation has taken, and say what comes next for each."""
    from triage.app.wiring.storage import open_importing
    from triage.insights.study import Roles
    from triage.insights.study.checklist import DEFAULT_BARS

    settings = Settings()
    bars = DEFAULT_BARS._replace(kappa=bar, review_days=review_days)
    with watching() as progress:
        async with open_importing(settings, progress) as (casebook, store):
            roles = Roles.load(casebook.taxonomy, settings.study_roles)
            found = await _measure(settings, store, casebook.taxonomy, roles, suites, runs, bars)
    document = {**found.model_dump(mode="json"), "is_fulfilled": found.is_fulfilled}
    print_result(found, as_json, _print_checklist, document)
    if strict and not found.is_fulfilled:
        raise typer.Exit(FAILURE)


async def _measure(
    settings: Settings,
    store: Store,
    taxonomy: Taxonomy,
    roles: Roles,
    suites: Path,
    runs: Path,
    bars: Bars | None = None,
) -> Checklist:
    from triage.app.wiring.storage import live_options
    from triage.insights.live_agreement import LiveAgreement
    from triage.insights.study.checklist import DEFAULT_BARS, EvalFolders, measure_checklist

    live = LiveAgreement(store, taxonomy, live_options(settings))
    folders, now = EvalFolders(suites, runs), datetime.now(UTC)
    return await measure_checklist(store, taxonomy, live, roles, folders, now, bars or DEFAULT_BARS)


def _print_checklist(found: Checklist, console: Console) -> None:
    taken = sum(step.is_fulfilled for step in found.steps)
    console.print(
        f"\n[bold]Adoption[/bold]: {taken} of {len(found.steps)} steps; taxonomy {escape(found.taxonomy)}, "
        f"{found.incidents} incidents in the history\n"
    )
    for step in found.steps:
        mark = "[green]done[/green]" if step.is_fulfilled else "[bold red]open[/bold red]"
        console.print(f"{mark}  {escape(step.title)}")
        for one in step.evidence:
            console.print(f"      [dim]{escape(one)}[/dim]")
        if not step.is_fulfilled:
            console.print(f"      next: {escape(step.next)}")
    console.print(f"\n{escape(found.source)}")
