"""`triage agreement` and `live`: how well people agree with each other, and models with people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from triage.app.settings import Settings
from triage.cli.terminal import FAILURE, JSON_OPTION, messages, plain_table, print_result, settings_with
from triage.render.quantities import percent

if TYPE_CHECKING:
    from triage.agreement import AgreementReport, Alpha, FacetAgreement, Kappa, MeanAgreement, PairAgreement
    from triage.agreement.interpretation import Reading
    from triage.agreement.report import LabelAlpha, ModelAgreement
    from triage.insights.live_agreement import LiveReport

_SHOWN_CAUTIONS = 2


async def agreement(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="Annotations as `triage annotate import` takes them: CSV or JSON Lines with incident_id, facet, "
            "labels and annotator, or an export of Label Studio or Argilla. By default those of the service.",
            show_default=False,
        ),
    ] = None,
    facet: Annotated[list[str] | None, typer.Option(help="Only this facet; may be given several times.")] = None,
    taxonomy: Annotated[
        str | None, typer.Option(help="The taxonomy, or its .yaml file; by default that of the settings.")
    ] = None,
    bootstrap: Annotated[
        int, typer.Option(min=0, max=100_000, help="Resamples behind each interval; 0 for none.")
    ] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Of the resampling: the same seed gives the same intervals.")] = 0,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Measure agreement: people with each other, and models with people, beside what people reach.

    Only labels of origin `human` count as people's. Of one annotator the latest label of a facet counts.
    """
    from triage.agreement import agreement_report
    from triage.app.wiring.storage import open_store
    from triage.domain.taxonomy import Taxonomy
    from triage.intake.annotations import read_annotations

    settings = Settings()
    loaded = Taxonomy.load(taxonomy or settings.taxonomy)
    if file is not None:
        annotations = sorted(
            read_annotations(file, loaded, origin="human").annotations, key=lambda annotation: annotation.created_at
        )
    else:
        async with open_store(settings) as (store, _):
            annotations = list(await store.annotations.list_all(loaded.id))
    report = agreement_report(annotations, loaded, facet or [], resamples=bootstrap, seed=seed)
    print_result(report, as_json, _print)
    if not as_json and not report.facets:
        messages().print(
            "Give a file of annotations, or annotate incidents of the service: POST /v1/incidents/{id}/annotations."
        )


def _print(report: AgreementReport, console: Console) -> None:
    """Print the report; made for 100 columns."""
    people = {one.name for facet in report.facets for one in facet.annotators if one.origin == "human"}
    console.print(
        f"\n[bold]{escape(report.taxonomy)}[/bold]: {report.annotations:,} annotations, {len(report.facets)} facet(s), "
        f"{len(people)} {'person' if len(people) == 1 else 'people'}"
    )
    for line in report.ignored:
        console.print(f"[yellow]Left out: {escape(line)}.[/yellow]")
    for facet in report.facets:
        _print_facet(facet, console)
    if report.facets and report.resamples:
        console.print(
            Text(
                f"\nIntervals hold {report.confidence:.0%}: {report.resamples:,} resamples of the incidents "
                f"({'BCa' if report.method == 'bca' else report.method}), seed {report.seed}. Bands after Landis and "
                "Koch (1977): a convention, no law.",
                style="dim",
            )
        )


def _print_facet(facet: FacetAgreement, console: Console) -> None:
    annotators = ", ".join(f"{one.name} {one.incidents}" for one in facet.annotators if one.origin == "human")
    kind = facet.cardinality.replace("_", " ") + (", ordered" if facet.ordered else "")
    console.print(Text(f"\n{facet.facet}", style="bold cyan").append(f"  {kind}", style="not bold dim"))
    labelled = f"{facet.incidents} incidents, {facet.overlap} of them labelled by two people or more"
    console.print(Text(f"{labelled}{f': {annotators}' if annotators else ''}"))
    if facet.pairs:
        console.print(Padding(_pairs("people with people", facet.pairs, facet), (1, 0, 0, 2)))
        console.print(Padding(_together(facet), (1, 0, 0, 2)))
    if facet.labels:
        console.print(Padding(_by_label(facet.labels), (1, 0, 0, 2)))
    for model in facet.models:
        console.print(
            Padding(_pairs(f"{model.model} with", (*model.gold, *model.people), facet, of_model=True), (1, 0, 0, 2))
        )
        console.print(Padding(Text(_explain(model, facet.ceiling)), (0, 0, 0, 2)))
    for note in (*facet.notes, *_cautions(facet)):
        console.print(Padding(Text(f"• {note}", style="yellow"), (0, 0, 0, 2)))


def _pairs(title: str, pairs: Sequence[PairAgreement], facet: FacetAgreement, *, of_model: bool = False) -> Table:
    several = facet.cardinality == "multi"
    columns = ["alpha of sets [95%]" if several else "kappa [95%]"]
    if facet.ordered:
        columns.append("quadratic [95%]")
    elif facet.cardinality == "primary_first":
        columns.append("alpha of sets")
    figures = [Column(name, no_wrap=True) for name in columns]
    share = "equal" if several else "agree"
    table = plain_table(title, "n", share, *figures, Column("reading"), right=("n", share))
    for one in pairs:
        agree = one.sets.exact if several and one.sets else one.kappa.observed if one.kappa else None
        cells = [
            one.first if of_model else f"{one.first} – {one.second}",
            str(one.n),
            percent(agree) or "-",
            _figure(one.main),
        ]
        if facet.ordered:
            cells.append(_figure(one.weighted[-1] if one.weighted else None))
        elif facet.cardinality == "primary_first":
            cells.append(_figure(one.alpha, short=True))
        table.add_row(*map(escape, cells), _band(one.reading))
    return table


def _together(facet: FacetAgreement) -> Table:
    """All people at once: the ceiling, alpha, Fleiss' kappa."""
    columns = (Column(no_wrap=True), Column(no_wrap=True), Column(style="dim"))
    table = Table(*columns, box=None, padding=(0, 2, 0, 0), pad_edge=False, show_header=False)
    of_pairs = "its only pair" if facet.ceiling.pairs == 1 else f"mean of its {facet.ceiling.pairs} pairs"
    table.add_row("human-human ceiling", "-" if facet.ceiling.value is None else str(facet.ceiling), of_pairs)
    for name, alpha in (
        ("Krippendorff's alpha", facet.alpha),
        ("alpha on the scale", facet.ordinal),
        ("alpha of sets (MASI)", facet.set_alpha),
    ):
        if alpha is not None:
            table.add_row(name, *_with_reason(alpha))
    if facet.fleiss is not None:
        table.add_row("Fleiss' kappa", *_with_reason(facet.fleiss))
    return table


def _by_label(labels: Sequence[LabelAlpha]) -> Table:
    from triage.agreement.interpretation import read

    given, alpha = Column("given", justify="right"), Column("alpha [95%]", no_wrap=True)
    table = plain_table(Column("label, against all others"), given, alpha, Column("reading"))
    for one in sorted(labels, key=lambda one: (one.alpha.value is None, -(one.alpha.value or 0.0))):
        table.add_row(escape(one.label), str(one.given), escape(_figure(one.alpha)), _band(read(one.alpha)))
    return table


def _explain(model: ModelAgreement, ceiling: MeanAgreement) -> str:
    text = model.explain(ceiling)
    return f"{text[0].upper()}{text[1:]}" if not text.startswith("model:") else text


def _band(reading: Reading) -> str:
    if reading.band is None or reading.lowest in (None, reading.band):
        return reading.band or "-"
    return f"{reading.band}, {'may be chance' if reading.lowest == 'poor' else f'at least {reading.lowest}'}"


def _cautions(facet: FacetAgreement) -> Iterator[str]:
    pairs = [*facet.pairs, *(pair for model in facet.models for pair in (*model.gold, *model.people))]
    found = []
    for pair in pairs:
        cautions = pair.reading.cautions if pair.reading.band else (pair.reading.text, *pair.reading.cautions)
        if pair.n and cautions:
            found.append(f"{pair.first} – {pair.second}: {' '.join(cautions)}")
    yield from found[:_SHOWN_CAUTIONS]
    if len(found) > _SHOWN_CAUTIONS:
        yield f"{len(found) - _SHOWN_CAUTIONS} more pair(s) of this facet need such care: see `reading` with --json."


def _with_reason(figure: Alpha | Kappa) -> tuple[str, str]:
    return (_figure(figure), "" if figure.value is not None else f"undefined: {figure.undefined}")


def _figure(figure: Kappa | Alpha | None, *, short: bool = False) -> str:
    if figure is None or figure.value is None:
        return "-"
    return f"{figure.value:.2f}" if short else str(figure)


async def live(
    days: Annotated[float | None, typer.Option(min=0.01, help="The window; TRIAGE_LIVE_WINDOW_DAYS.")] = None,
    gate: Annotated[float | None, typer.Option(min=-1, max=1, help="TRIAGE_LIVE_KAPPA_GATE.")] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Compare the labels that triage gave lately with people's confirmations and corrections.

    The exit code is 1 if there is an alert: kappa wholly below the gate, or labels that drifted.
    """
    from triage.app.wiring.storage import open_live

    async with open_live(settings_with(live_window_days=days, live_kappa_gate=gate)) as live_agreement:
        report = await live_agreement.report()
    print_result(report, as_json, _print_live)
    if report.has_alert:
        raise typer.Exit(FAILURE)


def _print_live(report: LiveReport, console: Console) -> None:
    gate = "no gate" if report.gate is None else f"gate {report.gate:.2f}"
    console.print(
        f"\n[bold]Live agreement[/bold], {escape(report.taxonomy)}: the last {report.window_days:g} days, at most "
        f"{report.window_cases} cases, {gate}"
    )
    headings = ("kappa [95% interval]", "model unseen", "labelled by people", "drift of the labels")
    table = plain_table("facet", "n", *headings, right=("n",))
    for one in report.facets:
        unseen = f"{one.unseen} (n = {one.unseen.n})" if one.unseen.n else "-"
        drift = "-"
        if one.drift.p is not None and one.drift.psi is not None:
            drift = f"p {one.drift.p:.3f}, index {one.drift.psi:.2f} ({one.drift.recent}, {one.drift.reference} before)"
        kappa = (
            f"{one.kappa}, {one.state}" if one.kappa.value is not None and report.gate is not None else f"{one.kappa}"
        )
        labelled = f"{one.coverage.hits} of {one.coverage.n}"
        table.add_row(one.facet, str(one.kappa.n), *map(escape, (kappa, unseen, labelled, drift)))
    console.print(table)
    for one in report.facets:
        for alert in one.alerts:
            console.print(f"[bold red]Alert[/bold red] {escape(alert)}")
    if not report.has_alert:
        console.print("No alert.")
    console.print(f"\n{escape(report.note)}")
