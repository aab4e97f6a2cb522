"""A blind second look: people label suspects and controls again, without knowing which is which or earlier labels.

Its results are how often it contradicts gold, and the run's kappa after corrections.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel

from triage.agreement import Kappa, cohen_kappa
from triage.agreement.interval import RESAMPLES, Interval
from triage.agreement.proportion import Proportion
from triage.domain.errors import InvalidInput, NotFound
from triage.domain.taxonomy import Facet, Taxonomy
from triage.evaluation.datasets import Case
from triage.evaluation.journal import CaseRecord, finished
from triage.evaluation.metrics import Draws, FacetCases, kappa
from triage.evaluation.runs import Run
from triage.evaluation.scores import Measured
from triage.evaluation.suspects import NOT, FacetSuspects
from triage.intake.data_files import DataProblem, InvalidDataset, Row, RowError, read_rows

Role = Literal["suspect", "control"]

_UNNAMED = "second look"
_SCALE = 1_000
_DRAWS = 10_000


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


class PairAgreement(BaseModel, frozen=True):
    """Agreement of two annotators, or of one with themselves on repeated items (`a` is `b`)."""

    a: str
    b: str
    n: int
    kappa: Kappa


class FacetSecondLook(BaseModel, frozen=True):
    """The second look at one facet.

    `suspects` and `controls` count the answered cases whose second label contradicts gold; `as_suggested` the
    contradicted suspects whose second label is the suggested one. `undecided` cases have a tied vote. `wrong` estimates
    the share of the run's cases that the second look would contradict, with a 95% interval, weighting both groups by
    their size in the run.

    On all cases of the run, `kappa_gold` is its kappa against gold, `kappa_replaced` with contradicted labels replaced,
    and `kappa_without` without those cases. On the answered cases, weighted by group, `kappa_second_look` is the run's
    kappa against the second labels and `human` that of the second labels against gold. `kappa_replaced` flatters the
    run if more suspects than controls were labelled; `kappa_second_look` does not.
    """

    facet: str
    answered: int
    unanswered: int
    undecided: int
    suspects: Proportion
    controls: Proportion
    as_suggested: Proportion
    wrong: float | None
    wrong_interval: tuple[float, float] | None
    kappa_gold: Measured
    kappa_replaced: Measured
    kappa_without: Measured
    kappa_second_look: Measured
    human: Measured
    between: tuple[PairAgreement, ...] = ()
    within: tuple[PairAgreement, ...] = ()


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
    if problems:
        raise InvalidDataset(path, problems)
    if not name or not file.is_file():
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


def _key_file(run: Run, name: str) -> Path:
    return run.folder / f"second-look-{name}.json"


def evaluate(run: Run, taxonomy: Taxonomy, given: Answers) -> list[FacetSecondLook]:
    """The results for each facet in the answers."""
    records = list(finished(run.records).values())
    return [
        _of_facet(taxonomy.facet(name), records, given, run.suite.seed)
        for name in dict.fromkeys(item.facet for item in given.key.items)
    ]


def _of_facet(facet: Facet, records: Sequence[CaseRecord], given: Answers, seed: int) -> FacetSecondLook:
    items = {item.case_id: item for item in given.key.items if item.facet == facet.id}
    answers = [answer for answer in given.answers if answer.item.facet == facet.id]
    by_case: dict[str, dict[str, list[tuple[str, ...]]]] = {}
    for answer in answers:
        by_case.setdefault(answer.item.case_id, {}).setdefault(answer.annotator, []).append(answer.labels)
    # The first answer of a person counts; a repeat measures self-agreement only.
    votes = {key: [labels[0] for labels in given.values()] for key, given in by_case.items()}
    settled = {key: labels for key in votes if (labels := _settled(votes[key], facet))}
    names = sorted({answer.annotator for answer in answers})
    contradicted = {
        key: labels for key, labels in settled.items() if _key(items[key].gold, facet) != _key(labels, facet)
    }
    suspects, controls = (
        Proportion(
            hits=sum(items[key].role == role for key in contradicted),
            n=sum(items[key].role == role for key in settled),
        )
        for role in ("suspect", "control")
    )
    doubted = [key for key in contradicted if items[key].role == "suspect"]
    labelled = [record for record in records if record.gold.get(facet.id)]
    looked = [record for record in labelled if record.case_id in settled]
    population = given.key.population[facet.id]
    factors = _factors(looked, items, population)
    wrong, interval = _wrong(suspects, controls, population, seed)
    anew = corrected(looked, facet.id, settled)
    as_people = [record.model_copy(update={"predicted": {facet.id: settled[record.case_id]}}) for record in looked]
    return FacetSecondLook(
        facet=facet.id,
        answered=len(by_case),
        unanswered=len(items) - len(by_case),
        undecided=len(by_case) - len(settled),
        suspects=suspects,
        controls=controls,
        as_suggested=Proportion(
            hits=sum(_sides_with(items[key].suggested, settled[key], facet) for key in doubted), n=len(doubted)
        ),
        wrong=wrong,
        wrong_interval=interval,
        kappa_gold=_kappa(labelled, facet, seed),
        kappa_replaced=_kappa(corrected(labelled, facet.id, contradicted), facet, seed),
        kappa_without=_kappa([record for record in labelled if record.case_id not in contradicted], facet, seed),
        kappa_second_look=_kappa(anew, facet, seed, factors),
        human=_kappa(as_people, facet, seed, factors),
        between=_pairs(by_case, combinations(names, 2)),
        within=_pairs(by_case, ((name, name) for name in names)),
    )


def corrected(records: Iterable[CaseRecord], facet: str, labels: Mapping[str, tuple[str, ...]]) -> list[CaseRecord]:
    """The records with their gold labels replaced by `labels` (case id -> labels)."""
    return [
        record.model_copy(update={"gold": record.gold | {facet: labels[record.case_id]}})
        if record.case_id in labels
        else record
        for record in records
    ]


def _key(labels: tuple[str, ...], facet: Facet) -> tuple[str, ...]:
    """Equal for labels that count as the same: by the primary label if there is one."""
    return tuple(sorted(labels)) if facet.cardinality == "multi" else labels[:1]


def _settled(votes: Sequence[tuple[str, ...]], facet: Facet) -> tuple[str, ...] | None:
    """The labels with most votes, compared by the primary label if there is one; None for a tie."""
    keyed = [_key(vote, facet) for vote in votes]
    ranked = Counter(keyed).most_common(2)
    if len(ranked) > 1 and ranked[0][1] == ranked[1][1]:
        return None
    return next(vote for vote, key in zip(votes, keyed, strict=True) if key == ranked[0][0])


def _sides_with(suggested: str, labels: tuple[str, ...], facet: Facet) -> bool:
    if facet.cardinality != "multi":
        return labels[:1] == (suggested,)
    return suggested in labels or (suggested.startswith(NOT) and suggested.removeprefix(NOT) not in labels)


def _wrong(
    suspects: Proportion, controls: Proportion, population: tuple[int, int], seed: int
) -> tuple[float | None, tuple[float, float] | None]:
    """The share of wrong labels, with the central 95% of its posterior under Jeffreys' priors of both shares.

    Both groups are weighted by their size in the run.
    """
    if suspects.share is None or controls.share is None:
        return None, None
    rng = np.random.default_rng(seed)
    first, second = (rng.beta(p.hits + 0.5, p.n - p.hits + 0.5, size=_DRAWS) for p in (suspects, controls))
    drawn = (first * population[0] + second * population[1]) / sum(population)
    low, high = np.quantile(drawn, [0.025, 0.975]).tolist()
    return (suspects.share * population[0] + controls.share * population[1]) / sum(population), (low, high)


def _factors(
    looked: Sequence[CaseRecord], items: Mapping[str, KeyItem], population: tuple[int, int]
) -> list[tuple[list[int], int]]:
    """For each group the positions in `looked`, and each one's weight in thousandths of a case of the run."""
    found = []
    for role, size in zip(("suspect", "control"), population, strict=True):
        at = [i for i, record in enumerate(looked) if items[record.case_id].role == role]
        if at:
            found.append((at, round(_SCALE * size / len(at))))
    return found


def _kappa(
    records: Sequence[CaseRecord], facet: Facet, seed: int, groups: Sequence[tuple[list[int], int]] | None = None
) -> Measured:
    """Kappa with its bootstrap interval. Cases are drawn within each of `groups` and have its weight."""
    n = len(records)
    metric = f"kappa.{facet.id}"
    if not n:
        return Measured(metric=metric, value=None, n=0, undefined="there is nothing to compare")
    groups = groups if groups is not None else [(list(range(n)), 1)]
    cases = FacetCases.of(records, facet)
    once: Draws = np.zeros((1, n), dtype=np.int64)
    drawn: Draws = np.zeros((RESAMPLES, n), dtype=np.int64)
    rng = np.random.default_rng(seed)
    for at, factor in groups:
        once[:, at] = factor
        drawn[:, at] = factor * rng.multinomial(len(at), np.full(len(at), 1 / len(at)), size=RESAMPLES)
    value = float(kappa(cases, once)[0])
    if np.isnan(value):
        return Measured(metric=metric, value=None, n=n, undefined="both sides use one label only")
    return Measured(metric=metric, value=value, n=n, interval=Interval.of(kappa(cases, drawn)) if n > 1 else None)


def _pairs(
    by_case: Mapping[str, Mapping[str, Sequence[tuple[str, ...]]]], pairs: Iterable[tuple[str, str]]
) -> tuple[PairAgreement, ...]:
    """The kappa of each two annotators on their first answers, or of one annotator on the first two answers."""
    found = []
    for a, b in pairs:
        second = int(a == b)
        answers = [(given[a], given[b]) for given in by_case.values() if a in given and len(given.get(b, ())) > second]
        if answers:
            kappa = cohen_kappa([first[0][0] for first, _ in answers], [other[second][0] for _, other in answers])
            found.append(PairAgreement(a=a, b=b, n=len(answers), kappa=kappa))
    return tuple(found)
