"""`triage agreement`: how far people agree with each other, and models with people."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from triage.cli.terminal import JSON_OPTION, messages, output, print_json, run
from triage.errors import InvalidInput, NotFound, TriageError
from triage.settings import Settings

if TYPE_CHECKING:
    from triage.agreement import AgreementReport
    from triage.annotation import Annotation
    from triage.taxonomy import Taxonomy

_BETWEEN_LABELS = ";"


def agreement(
    file: Annotated[
        Path | None,
        typer.Argument(
            help="Annotations as JSONL, or CSV with columns incident_id, facet, labels (separated by `;`), annotator, "
            "and origin, is_gold, note if you like. By default those of the service.",
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
    from triage.taxonomy import Taxonomy
    from triage.wiring import open_store

    settings = Settings()
    taxonomy = Taxonomy.load(taxonomy_name or settings.taxonomy)
    if file is not None:
        annotations = read_annotations(file, taxonomy)
    else:
        async with open_store(settings) as store:
            annotations = await store.all_annotations(taxonomy.id)
    return agreement_report(annotations, taxonomy, facets, resamples=resamples, seed=seed)


def read_annotations(path: Path, taxonomy: Taxonomy) -> list[Annotation]:
    """The annotations of a JSONL or CSV file, oldest first, labels in canonical form.

    Raises `NotFound`, or `InvalidDataset` with line and field of every mistake.
    """
    from triage.annotation import Annotation
    from triage.intake.rows import DataProblem, InvalidDataset, read_rows, rejection

    if not path.is_file():
        raise NotFound(f"There is no file {path}.", path=str(path))
    rows, problems = (_csv_rows(path), []) if path.suffix.lower() == ".csv" else read_rows(path)[:2]
    found = []
    for line, row in rows:
        try:
            one = Annotation.model_validate(row)
            labels = taxonomy.canonical(one.facet, one.labels)
        except ValidationError as error:
            wrong = rejection(error)
            problems.append(DataProblem(line, wrong.field, str(wrong)))
        except TriageError as error:
            problems.append(DataProblem(line, str(error.data.get("field", "")), error.detail))
        else:
            found.append(one.model_copy(update={"labels": labels}))
    if problems:
        raise InvalidDataset(path, sorted(problems))
    return sorted(found, key=lambda annotation: annotation.created_at)


def _csv_rows(path: Path) -> list[tuple[int, dict[str, Any]]]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8.", field="file") from error
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="cells beyond the header")
    rows = []
    for row in reader:
        cells: dict[str, Any] = {name.strip(): value for name, value in row.items() if value and str(value).strip()}
        cells["labels"] = [one.strip() for one in cells.get("labels", "").split(_BETWEEN_LABELS) if one.strip()]
        rows.append((reader.line_num, cells))
    return rows
