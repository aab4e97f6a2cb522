"""`triage study`: the whole study of a corpus: kinds of incidents, detection, mitigation, durations, trends."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer
from rich.console import Console
from rich.markup import escape

from triage.app.settings import Settings
from triage.cli.terminal import (
    JSON_OPTION,
    TEAM_OPTION,
    figures_table,
    messages,
    output,
    print_json,
    run,
    split_pair,
    watching,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from triage.domain.taxonomy import Taxonomy
    from triage.insights.study import Corpus, Roles, Study, StudyOptions
    from triage.insights.study.checklist import Checklist
    from triage.render.tables import Table

_QUIET = ("months",)
"""Tables that are too long for the terminal."""
_LEFT_OUT = ("all at once", "source")
"""The beginnings of the names of columns that make a table too wide for the terminal."""


def study(
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
    from triage.insights.study import StudyOptions, tables_of
    from triage.insights.study.repeats import SIMILARITY

    options = StudyOptions(
        observed_until=observed_until and observed_until.replace(tzinfo=UTC),
        automated_minutes=automated_minutes,
        similarity=SIMILARITY if similarity is None else similarity,
        seed=seed,
    )
    named, embeds = (facet or [], field or []), similarity is not None
    source = _Source(file, store, team, taxonomy, *named, roles, role or [], annotations, human, skip_bad, embeds)
    corpus, made = run(_study(source, options))
    tables = tables_of(made, corpus.taxonomy)
    plots = 0 if out is None else _write(out, made, corpus, tables)
    if as_json:
        print_json(made)
    else:
        _print(made, tables, output())
    if out is not None:
        what = f"study.html, study.json, {len(tables)} CSV files and {plots} pictures in plots"
        messages().print(f"Written to {escape(str(out))}: {what}.")


class _Source(NamedTuple):
    """The incidents to study, and how to read them."""

    file: Path | None
    of_store: bool
    teams: list[str] | None
    taxonomy: str | None
    facets: Sequence[str]
    fields: Sequence[str]
    roles_file: Path | None
    roles: Sequence[str]
    annotations: Path | None
    is_human: bool
    skip_bad: bool
    by_meaning: bool


def _named(given: Sequence[str], option: str) -> dict[str, str]:
    return dict(split_pair(each, "NAME=FIELD", f"--{option} NAME=FIELD", option) for each in given)


async def _study(source: _Source, options: StudyOptions) -> tuple[Corpus, Study]:
    from triage.domain.errors import InvalidInput
    from triage.insights.study import Roles, make_study
    from triage.intake.annotations import read_annotations

    settings = Settings()
    corpus, vectors = await _corpus(settings, source)
    if source.annotations is not None:
        given = read_annotations(source.annotations, corpus.taxonomy).annotations
        corpus = corpus._replace(annotations=tuple(sorted(given, key=lambda one: one.created_at)))
    if not corpus.records:
        raise InvalidInput(
            "There is no labelled incident to study: bring some in with `triage import FILE`.", field="file"
        )
    roles = Roles.load(corpus.taxonomy, source.roles_file or settings.study_roles)
    with watching() as watch, watch.step("Studying the incidents"):
        roles = roles.given(corpus.taxonomy, source.roles)
        has_checklist = source.of_store and not source.teams
        checklist = await _checklist(settings, corpus.taxonomy, roles) if has_checklist else None
        return corpus, make_study(corpus, roles, options, vectors, checklist)


async def _checklist(settings: Settings, taxonomy: Taxonomy, roles: Roles) -> Checklist:
    from triage.app.wiring.storage import live_options, open_store
    from triage.insights.live_agreement import LiveAgreement
    from triage.insights.study.checklist import EvalFolders, measure_checklist

    async with open_store(settings) as (store, _):
        live = LiveAgreement(store, taxonomy, live_options(settings))
        folders = EvalFolders(settings.suites, settings.runs)
        return await measure_checklist(store, taxonomy, live, roles, folders, datetime.now(UTC))


async def _corpus(settings: Settings, source: _Source) -> tuple[Corpus, Mapping[str, NDArray[np.float32]]]:
    from triage.domain.errors import InvalidInput
    from triage.domain.taxonomy import Taxonomy
    from triage.insights.study.corpus_loading import file_corpus, shipped_corpus

    facets, fields = _named(source.facets, "facet"), _named(source.fields, "field")
    if source.file is not None and source.of_store:
        raise InvalidInput("Name a file or give --store, not both.", field="store")
    if source.teams and not source.of_store:
        raise InvalidInput("Teams have incidents in the store alone: give --store with --team.", field="team")
    if (facets or fields) and source.file is None:
        raise InvalidInput("--facet and --field say how a file is read: name a file.", field="file")
    is_as_it_stands = bool(facets) and source.taxonomy is None
    taxonomy = None if is_as_it_stands else Taxonomy.load(source.taxonomy or settings.taxonomy)
    if source.file is not None:
        corpus = file_corpus(source.file, taxonomy, facets, fields, are_human=source.is_human, skip_bad=source.skip_bad)
    else:
        taxonomy = taxonomy or Taxonomy.load(settings.taxonomy)
        if source.of_store:
            return await _stored(settings, taxonomy, source.teams)
        corpus = shipped_corpus(taxonomy)
    return corpus, await _embedded(settings, corpus) if source.by_meaning else {}


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
