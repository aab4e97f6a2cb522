"""`triage import`: labelled incidents into the history."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, NamedTuple

import typer
from rich.markup import escape

from triage.app.settings import Settings
from triage.cli.terminal import JSON_OPTION, messages, output, print_json, split_pair, watching
from triage.render.quantities import plural

_LATEST = 10
"""The number of latest portions that the rate is measured on."""
_PORTION = 256
_MOST_PROBLEMS = 1_000


async def import_file(
    file: Annotated[Path, typer.Argument(help="JSONL with a `labels` object, or CSV with a column per facet.")],
    annotator: Annotated[str, typer.Option(help="Who gave the labels.")] = "import",
    facet: Annotated[
        list[str] | None, typer.Option(help="NAME=FIELD: the labels of this facet are in that field; repeatable.")
    ] = None,
    human: Annotated[bool, typer.Option("--human", help="The labels were given by people, not derived.")] = False,
    team: Annotated[str, typer.Option(help="The team whose history it is; `shared` for all teams.")] = "default",
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out what is wrong in the file.")] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Bring labelled incidents into the history. Importing a file again changes nothing, and goes on where it was cut.

    A file of any size: it is checked first, then read in portions. A service that is running has them within seconds.
    Suites read the same files. Rows without a label are left out.
    """
    columns = dict(split_pair(each, "NAME=FIELD", "--facet category=Cause", "facet") for each in facet or ())
    found = await _import(file, annotator, human, team, skip_bad, columns)
    if as_json:
        print_json(found._asdict())
        return
    if found.unused:
        messages().print(
            f"Not used, as they are neither fields of an incident nor facets of {escape(Settings().taxonomy)}: "
            f"{escape(', '.join(found.unused))}.",
            soft_wrap=True,
        )
    if found.repeated:
        messages().print(
            f"{found.repeated} {'row has' if found.repeated == 1 else 'rows have'} an id that stands in the file "
            "before: of each id the last row counts.",
            soft_wrap=True,
        )
    if found.unlabelled:
        messages().print(f"Without a label, and left out: {plural(found.unlabelled, 'row')}.")
    left_out = f", {found.skipped} left out" if found.skipped else ""
    output().print(f"{plural(found.imported, 'incident')} imported{left_out}; the history holds {found.history_size}.")


class _Imported(NamedTuple):
    """How many incidents were imported, and what was not: rows with errors, without labels or repeated, and fields."""

    imported: int
    skipped: int
    unlabelled: int
    repeated: int
    unused: tuple[str, ...]
    history_size: int


async def _import(
    file: Path, annotator: str, human: bool, team: str, skip_bad: bool, columns: Mapping[str, str]
) -> _Imported:
    from triage.app.wiring.storage import open_importing
    from triage.domain.taxonomy import Taxonomy
    from triage.intake.data_files import DataProblem, InvalidDataset
    from triage.intake.labelled import LabelledRow, stream_labelled

    settings = Settings()
    taxonomy = Taxonomy.load(settings.taxonomy)
    for name in columns:
        taxonomy.facet(name)
    problems: list[DataProblem] = []
    total = skipped = unlabelled = 0
    # Hashes take a tenth of the memory of millions of ids.
    ids: set[int] = set()
    unused: dict[str, None] = {}
    for row in stream_labelled(file, taxonomy, columns):
        if isinstance(row, DataProblem):
            skipped += 1
            if len(problems) < _MOST_PROBLEMS:
                problems.append(row)
            continue
        unused |= dict.fromkeys(row.unused)
        if row.labels:
            total += 1
            ids.add(hash(row.incident.id))
        else:
            unlabelled += 1
    if problems and not skip_bad:
        raise InvalidDataset(file, problems)
    for problem in problems:
        messages().print(f"left out: {escape(str(problem))}")
    if not total:
        raise InvalidDataset(file, [DataProblem(1, "", f"the file holds no labelled incident{_not_used(unused)}")])
    done = 0
    # Measured on the latest portions: when an import resumes, the first ones are already there and take no time.
    latest = deque([(time.monotonic(), 0)], maxlen=_LATEST)
    with watching() as progress:
        async with open_importing(settings, progress) as (casebook, store):
            rows = stream_labelled(file, taxonomy, columns)
            good = ((row.incident, row.labels) for row in rows if isinstance(row, LabelledRow) and row.labels)
            while portion := list(itertools.islice(good, _PORTION)):
                await casebook.import_history(
                    portion, annotator=annotator, origin="human" if human else "derived", team=team
                )
                done += len(portion)
                (since, before), now = latest[0], time.monotonic()
                rate = (done - before) / max(now - since, 1e-9)
                latest.append((now, done))
                progress("Importing incidents", done, total, f"{rate:.0f}/s, {(total - done) / rate / 60:.1f} min left")
            held = await store.gold.count()
            return _Imported(len(ids), skipped, unlabelled, total - len(ids), tuple(unused), held)


def _not_used(unused: Iterable[str]) -> str:
    names = ", ".join(unused)
    return f"; its fields {names} are not used: name a facet's field with --facet NAME=FIELD" if names else ""
