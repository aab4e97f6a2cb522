"""`triage study`: the whole study of a corpus: kinds of incidents, detection, mitigation, durations, trends."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table as TerminalTable

from triage.cli.terminal import JSON_OPTION, messages, output, print_json, run, watching
from triage.settings import Settings

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from triage.study import Corpus, Study, StudyOptions
    from triage.tables import Table
    from triage.taxonomy import Taxonomy

_QUIET = ("months",)
"""Tables that are too long for a terminal."""
_NARROWEST = 16
_LEFT_OUT = ("all at once", "source")
"""How columns begin that make a table too wide for one."""


def study(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="Labelled incidents as `triage import` takes them. By default the shipped history.", show_default=False
        ),
    ] = None,
    store: Annotated[bool, typer.Option("--store", help="Study the service's own labelled incidents.")] = False,
    taxonomy: Annotated[str | None, typer.Option(help="The taxonomy, or its .yaml file.")] = None,
    roles: Annotated[
        Path | None, typer.Option(help="What labels mean to the study, as YAML; see docs/study.md.", show_default=False)
    ] = None,
    annotations: Annotated[
        Path | None, typer.Option(help="Several annotators' labels, as `triage agreement` takes them.")
    ] = None,
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
    from triage.study import StudyOptions, tables_of
    from triage.study.repeats import SIMILARITY

    options = StudyOptions(
        observed_until=observed_until and observed_until.replace(tzinfo=UTC),
        automated_minutes=automated_minutes,
        similarity=SIMILARITY if similarity is None else similarity,
        seed=seed,
    )
    corpus, made = run(_study(file, store, taxonomy, roles, annotations, human, similarity is not None, options))
    tables = tables_of(made, corpus.taxonomy)
    plots = 0 if out is None else _write(out, made, corpus, tables)
    if as_json:
        print_json(made.model_dump(mode="json"))
    else:
        _print(made, tables, output())
    if out is not None:
        what = f"study.html, study.json, {len(tables)} CSV files and {plots} pictures in plots"
        messages().print(f"Written to {escape(str(out))}: {what}.")


async def _study(
    file: Path | None,
    of_store: bool,
    taxonomy_name: str | None,
    roles_file: Path | None,
    annotations_file: Path | None,
    human: bool,
    by_meaning: bool,
    options: StudyOptions,
) -> tuple[Corpus, Study]:
    from triage.errors import InvalidInput
    from triage.intake.annotations import read_annotations
    from triage.study import Roles, make_study
    from triage.taxonomy import Taxonomy

    if file is not None and of_store:
        raise InvalidInput("Name a file or give --store, not both.", field="store")
    settings = Settings()
    taxonomy = Taxonomy.load(taxonomy_name or settings.taxonomy)
    vectors: Mapping[str, NDArray[np.float32]] = {}
    if of_store:
        corpus, vectors = await _stored(settings, taxonomy)
    else:
        corpus = _read(file, taxonomy, human)
        if by_meaning:
            vectors = await _embedded(settings, corpus)
    if annotations_file is not None:
        given = read_annotations(annotations_file, taxonomy).annotations
        corpus = corpus._replace(annotations=tuple(sorted(given, key=lambda one: one.created_at)))
    if not corpus.records:
        raise InvalidInput(
            "There is no labelled incident to study: bring some in with `triage import FILE`.", field="file"
        )
    return corpus, make_study(corpus, Roles.load(taxonomy, roles_file), options, vectors)


def _read(file: Path | None, taxonomy: Taxonomy, human: bool) -> Corpus:
    from triage.errors import InvalidInput
    from triage.intake.labelled import read_labelled
    from triage.study import Corpus, Record

    if file is None:
        from triage.evaluation import shipped_history

        if taxonomy.id != "llm_inference":
            raise InvalidInput(
                f"The shipped history is labelled with llm_inference, not {taxonomy.id}: name a file.", field="file"
            )
        records = shipped_history()
        name, origin = "the shipped history", "derived by the project from the providers' published causes"
    else:
        records = list(read_labelled(file, taxonomy).records)
        name, origin = file.name, "given by people" if human else "derived, or of an origin that was not said"
    return Corpus(name, taxonomy, tuple(Record(*record) for record in records), origin)


async def _stored(settings: Settings, taxonomy: Taxonomy) -> tuple[Corpus, Mapping[str, NDArray[np.float32]]]:
    from triage.study import Corpus, Record, origin_of
    from triage.wiring import build_embedder, open_store

    async with open_store(settings) as (records_store, _):
        records = [Record(*one) async for portion in records_store.history() for one in portion]
        annotations = await records_store.all_annotations(taxonomy.id)
        embedder = build_embedder(settings)
        try:
            vectors = await records_store.vectors(embedder.fingerprint, [record.id for record in records])
        finally:
            await embedder.aclose()
    for record in records:
        taxonomy.validate_labels(record.labels)
    corpus = Corpus("the service's incidents", taxonomy, tuple(records), origin_of(annotations), tuple(annotations))
    return corpus, vectors


async def _embedded(settings: Settings, corpus: Corpus) -> Mapping[str, NDArray[np.float32]]:
    from triage.redaction import Redactor
    from triage.wiring import build_embedder

    redactor, embedder = Redactor(), build_embedder(settings)
    try:
        with watching() as watch, watch.step("Embedding the incidents"):
            # The embedder may be another's service, which gets no secret of a write-up.
            texts = [redactor.redact(record.incident.text).text for record in corpus.records]
            vectors = await embedder.embed(texts)
    finally:
        await embedder.aclose()
    return dict(zip((record.id for record in corpus.records), vectors, strict=True))


def _write(folder: Path, made: Study, corpus: Corpus, tables: list[Table]) -> int:
    """How many pictures were written."""
    from triage.charts import write_pictures
    from triage.study.charts import charts_of
    from triage.study.html import write_html
    from triage.tables import as_csv
    from triage.whole_file import write_whole

    write_html(folder / "study.html", made, corpus)
    write_whole(folder / "study.json", made.model_dump_json(indent=2) + "\n")
    for table in tables:
        write_whole(folder / f"{table.id}.csv", as_csv(table))
    return len(write_pictures(folder / "plots", charts_of(made, corpus.taxonomy, tables)))


def _print(made: Study, tables: list[Table], console: Console) -> None:
    from triage.tables import written

    console.print(f"\n[bold]Study of {escape(made.corpus)}[/bold]: {made.n} incidents, {escape(made.taxonomy)}")
    console.print(f"Labels {escape(made.origin)}.")
    for one in tables:
        if one.id in _QUIET:
            continue
        console.print(f"\n[bold]{escape(one.title)}[/bold]")
        console.print(f"[dim]{escape(one.caption)}[/dim]")
        shown = [place for place, column in enumerate(one.columns) if not column.name.startswith(_LEFT_OUT)]
        table = TerminalTable(box=None, padding=(0, 2, 0, 0))
        for place in shown:
            is_text = one.columns[place].kind == "text"
            widest = max((len(written(row.cells[place], one.columns[place].kind)) for row in one.rows), default=0)
            table.add_column(
                one.columns[place].name,
                justify="left" if is_text else "right",
                overflow="fold",
                min_width=min(widest, _NARROWEST),
            )
        for row in one.rows:
            table.add_row(*(escape(written(row.cells[place], one.columns[place].kind)) for place in shown))
        console.print(table)
