"""`triage agreement`: how far people agree with each other, and models with people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from triage.app.settings import Settings
from triage.cli.terminal import JSON_OPTION, messages, output, print_json, run

if TYPE_CHECKING:
    from triage.agreement import AgreementReport


def agreement(
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
    report = run(_measure(file, facet or [], taxonomy, bootstrap, seed))
    if as_json:
        print_json(report.model_dump(mode="json"))
        return
    from triage.cli.agreement_report import print_agreement

    print_agreement(report, output())
    if not report.facets:
        messages().print(
            "Give a file of annotations, or annotate incidents of the service: POST /v1/incidents/{id}/annotations."
        )


async def _measure(
    file: Path | None, facets: Sequence[str], taxonomy_name: str | None, resamples: int, seed: int
) -> AgreementReport:
    from triage.agreement import agreement_report
    from triage.app.wiring import open_store
    from triage.domain.taxonomy import Taxonomy
    from triage.intake.annotations import read_annotations

    settings = Settings()
    taxonomy = Taxonomy.load(taxonomy_name or settings.taxonomy)
    if file is not None:
        given = read_annotations(file, taxonomy).annotations
        annotations = sorted(given, key=lambda annotation: annotation.created_at)
    else:
        async with open_store(settings) as (store, _):
            annotations = list(await store.annotations.list_all(taxonomy.id))
    return agreement_report(annotations, taxonomy, facets, resamples=resamples, seed=seed)
