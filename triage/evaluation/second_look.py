"""A blind second look: people label suspects and controls again, without knowing which is which or earlier labels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel

from triage.domain.errors import InvalidInput, NotFound
from triage.domain.taxonomy import Taxonomy
from triage.evaluation.cases import Case
from triage.evaluation.journal import CaseRecord, finished
from triage.evaluation.runs import Run
from triage.evaluation.suspects import FacetSuspects
from triage.intake.data_files import DataProblem, InvalidDataset, Row, RowError, read_rows

Role = Literal["suspect", "control"]

_UNNAMED = "second look"


class KeyItem(BaseModel, frozen=True):
    """What an item is; hidden from those who label it. `suggested` is empty for a control."""

    item: str
    case_id: str
    facet: str
    role: Role
    gold: tuple[str, ...]
    suggested: str = ""


class Key(BaseModel, frozen=True):
    """The key of an exported file. `population` maps facets to the run's numbers of suspects and of other cases."""

    name: str
    population: dict[str, tuple[int, int]]
    items: tuple[KeyItem, ...]


class Answer(BaseModel, frozen=True):
    """One person's labels of one item."""

    item: KeyItem
    labels: tuple[str, ...]
    annotator: str


class Answers(BaseModel, frozen=True):
    """The answers of a labelled file, in its order, with its key."""

    key: Key
    answers: tuple[Answer, ...]


def export(
    run: Run,
    taxonomy: Taxonomy,
    found: Sequence[FacetSuspects],
    cases: Mapping[str, Case],
    path: Path,
    *,
    most: int | None = None,
    twice: int = 0,
    seed: int = 0,
) -> Key:
    """Write the items to label to `path`, one JSON line each, and their key to the run's folder.

    Each facet contributes its suspects, or a random sample of `most` of them, and as many random controls with a gold
    label. `twice` of the items are repeated under another name, to measure self-agreement. The order is random; equal
    seeds give equal files. Raises `InvalidInput` if there are no suspects.
    """
    rng = np.random.default_rng(seed)
    records = finished(run.records)
    population: dict[str, tuple[int, int]] = {}
    chosen: list[KeyItem] = []
    for one in found:
        suspected = {suspect.case_id: suspect.suggested for suspect in reversed(one.suspects)}
        others = [key for key, record in records.items() if record.gold.get(one.facet) and key not in suspected]
        population[one.facet] = len(suspected), len(others)
        picked = _some(sorted(suspected), most, rng)
        drawn: list[tuple[str, Role]] = [(key, "suspect") for key in picked]
        drawn += [(key, "control") for key in _some(others, len(picked), rng)]
        chosen += [
            KeyItem(
                item="",
                case_id=key,
                facet=one.facet,
                role=role,
                gold=records[key].gold[one.facet],
                suggested=suspected.get(key, ""),
            )
            for key, role in drawn
        ]
    if not chosen:
        raise InvalidInput(f"{run.folder} has no suspects to look at again.", field="run")
    chosen += [chosen[i] for i in rng.permutation(len(chosen))[:twice]]
    chosen = [chosen[i] for i in rng.permutation(len(chosen))]
    content = json.dumps([one.model_dump(mode="json") for one in chosen], sort_keys=True)
    name = hashlib.sha256(content.encode()).hexdigest()[:8]
    key = Key(
        name=name,
        population=population,
        items=tuple(one.model_copy(update={"item": f"{name}-{n:03}"}) for n, one in enumerate(chosen, start=1)),
    )
    _key_file(run, name).write_text(key.model_dump_json(indent=2) + "\n", encoding="utf-8")
    lines = [json.dumps(_line(item, taxonomy, cases[item.case_id]), ensure_ascii=False) for item in key.items]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return key


def read_answers(run: Run, taxonomy: Taxonomy, path: Path) -> Answers:
    """The answers in a labelled file. Lines with empty `labels` are left out.

    Raises `InvalidDataset` with every mistake, `NotFound` if the run's folder has no key for the file.
    """
    rows, problems, _ = read_rows(path)
    name = next((str(row["item"]).partition("-")[0] for _, row in rows if row.get("item")), "")
    file = _key_file(run, name)
    if problems or not name or not file.is_file():
        if problems:
            raise InvalidDataset(path, problems)
        raise NotFound(
            f"{run.folder} has no key for {path}: name the run that the file was exported from.", path=str(path)
        )
    key = Key.model_validate_json(file.read_bytes())
    by_item = {item.item: item for item in key.items}
    answers = []
    for line, row in rows:
        try:
            answer = _answer(row, by_item, taxonomy)
        except RowError as error:
            problems.append(DataProblem(line, error.field, str(error)))
            continue
        if answer is not None:
            answers.append(answer)
    if problems:
        raise InvalidDataset(path, problems)
    if not answers:
        raise InvalidInput(f"{path} holds no answer yet: fill in `labels`.", field="labels")
    return Answers(key=key, answers=tuple(answers))


def _some(keys: Sequence[str], most: int | None, rng: np.random.Generator) -> list[str]:
    if most is None or most >= len(keys):
        return list(keys)
    return [keys[i] for i in sorted(rng.choice(len(keys), size=most, replace=False))]


def _line(item: KeyItem, taxonomy: Taxonomy, case: Case) -> dict[str, Any]:
    """An item as annotators see it: neither gold nor prediction, nor an id that could be looked up."""
    facet = taxonomy.facet(item.facet)
    return {
        "item": item.item,
        "facet": facet.id,
        "question": facet.question,
        "choices": facet.ids,
        "takes": "one label" if facet.cardinality == "single" else "one or more labels, the most important first",
        "title": case.incident.title,
        "write_up": case.incident.write_up,
        "labels": [],
        "annotator": "",
    }


def _answer(row: Row, by_item: Mapping[str, KeyItem], taxonomy: Taxonomy) -> Answer | None:
    item = by_item.get(str(row.get("item", "")))
    if item is None:
        raise RowError("item", f"{row.get('item')!r} is not an item of this file: don't change exported items")
    given = row.get("labels")
    labels = [given] if isinstance(given, str) else given
    if not labels:
        return None
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise RowError("labels", f"must be a label or a list of labels, not {given!r}")
    try:
        canonical = taxonomy.canonical(item.facet, labels)
    except InvalidInput as error:
        raise RowError("labels", error.detail) from error
    return Answer(item=item, labels=canonical, annotator=str(row.get("annotator") or _UNNAMED))


def corrected(records: Iterable[CaseRecord], facet: str, labels: Mapping[str, tuple[str, ...]]) -> list[CaseRecord]:
    """The records with their gold labels replaced by `labels` (case id -> labels)."""
    return [
        record.model_copy(update={"gold": record.gold | {facet: labels[record.case_id]}})
        if record.case_id in labels
        else record
        for record in records
    ]


def _key_file(run: Run, name: str) -> Path:
    return run.folder / f"second-look-{name}.json"
