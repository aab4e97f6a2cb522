"""Pairs of labels that are confused, with cases, sentences and a drafted deciding rule."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, Field

from triage.domain.annotation import Annotation
from triage.domain.taxonomy import Facet, Label, Taxonomy
from triage.evaluation.datasets import Case
from triage.evaluation.journal import CaseRecord
from triage.history import Example
from triage.labels.codebook.deciding_rules import Labelled, Rule, Trial, draft, try_out, with_rule
from triage.pipeline.classification.likeness import DefinitionReader, representative
from triage.pipeline.classification.sentences import split, without_boilerplate
from triage.redaction import Redactor

GOLD, MODEL = "gold", "model"

_USUAL_INCIDENTS = 8


class LabelConfusion(NamedTuple):
    """Two different labels of one case for one facet, and who gave them."""

    case_id: str
    facet: str
    label: str
    other: str
    by: tuple[str, str]


class ShownCase(BaseModel, frozen=True):
    """A case of a confused pair, with the label of each annotator and the redacted sentence that best supports each
    label."""

    case_id: str
    title: str
    said: dict[str, str]
    for_a: str = ""
    for_b: str = ""


class ConfusedPair(BaseModel, frozen=True):
    """Two labels that are confused in `n` of the `disagreements` of their facet.

    `gold_a` counts cases with gold `a` and the model's `b`, `gold_b` the reverse; the rest are between annotators.
    `cases` lists all ids, `shown` some cases. `proposal` is the drafted rule as text, `by` its author. `rule` and
    `trial` are its words and how they do on other cases; None if no words separate the labels.
    """

    facet: str
    a: Label
    b: Label
    n: int = Field(ge=0)
    disagreements: int
    gold_a: int
    gold_b: int
    cases: tuple[str, ...]
    shown: tuple[ShownCase, ...] = ()
    rule: Rule | None = None
    trial: Trial | None = None
    proposal: str | None = None
    by: str = "words"

    @property
    def holds(self) -> bool:
        """True if the words of the proposal also work on cases that they were not drawn from."""
        return self.trial is not None and self.trial.holds


class Codebook(NamedTuple):
    """The input of the repair: cases with gold labels, their redacted write-ups by case id, and a sentence reader."""

    taxonomy: Taxonomy
    cases: Mapping[str, Case]
    texts: Mapping[str, str]
    reader: DefinitionReader

    @classmethod
    def of(
        cls, taxonomy: Taxonomy, cases: Mapping[str, Case], redactor: Redactor, reader: DefinitionReader
    ) -> Codebook:
        """A codebook with redacted write-ups, so that rules and sentences shown hold no secrets."""
        texts = {key: redactor.redact(case.incident.text).text for key, case in cases.items()}
        return cls(taxonomy, cases, texts, reader)


def of_run(records: Sequence[CaseRecord], facets: Sequence[Facet]) -> list[LabelConfusion]:
    """Where the run's label differs from gold. Abstentions don't count.

    Primary labels are compared. In a facet with many labels, each label that only one side gave is paired with each
    that only the other gave.
    """
    confusions = []
    for record in records:
        for facet in facets:
            gold, predicted = record.gold.get(facet.id, ()), record.predicted.get(facet.id, ())
            confusions += [
                LabelConfusion(record.case_id, facet.id, label, other, (GOLD, MODEL))
                for label, other in _differing(gold, predicted, facet)
            ]
    return confusions


def of_annotators(annotations: Sequence[Annotation], facets: Sequence[Facet]) -> list[LabelConfusion]:
    """Where two annotators differ on the same case, by their latest labels."""
    latest: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {}
    for annotation in annotations:
        latest.setdefault((annotation.incident_id, annotation.facet), {})[annotation.annotator] = annotation.labels
    by_id = {facet.id: facet for facet in facets}
    confusions = []
    for (case_id, facet_id), by_annotator in latest.items():
        if facet_id in by_id:
            for a, b in combinations(sorted(by_annotator), 2):
                confusions += [
                    LabelConfusion(case_id, facet_id, label, other, (a, b))
                    for label, other in _differing(by_annotator[a], by_annotator[b], by_id[facet_id])
                ]
    return confusions


async def confused_pairs(
    book: Codebook,
    disagreements: Sequence[LabelConfusion],
    *,
    most: int = 5,
    shown: int = 3,
    drafted_from: Sequence[str] | None = None,
    seed: int = 0,
) -> list[ConfusedPair]:
    """The `most` frequent pairs, most frequent first, each with `shown` of its cases.

    Rules are drafted from the gold labels of the cases in `drafted_from` (all by default).
    """
    counted: dict[tuple[str, str, str], list[LabelConfusion]] = {}
    for confusion in disagreements:
        if confusion.case_id in book.texts:
            a, b = sorted((confusion.label, confusion.other), key=book.taxonomy.facet(confusion.facet).ids.index)
            counted.setdefault((confusion.facet, a, b), []).append(confusion)
    ranked = sorted(counted.items(), key=lambda item: (-len({confusion.case_id for confusion in item[1]}), item[0]))[
        :most
    ]
    keys = list(book.texts) if drafted_from is None else [key for key in drafted_from if key in book.texts]
    totals: dict[str, set[str]] = {}
    for confusion in disagreements:
        totals.setdefault(confusion.facet, set()).add(confusion.case_id)
    return [await _pair(book, key, found, len(totals[key[0]]), keys, shown=shown, seed=seed) for key, found in ranked]


def rules_of(pairs: Sequence[ConfusedPair], *, weak: bool = False) -> dict[tuple[str, str], str]:
    """(facet id, label id) -> its deciding rule with the proposals of all its pairs, for `write_rules`.

    Without `weak`, proposals whose words do not work on other cases are left out.
    """
    rules: dict[tuple[str, str], str] = {}
    for pair in pairs:
        if pair.proposal is not None and (weak or pair.holds):
            for label in (pair.a, pair.b):
                key = (pair.facet, label.id)
                rules[key] = with_rule(rules.get(key, label.deciding_rule), pair.a.id, pair.b.id, pair.proposal)
    return rules


async def _pair(
    book: Codebook,
    key: tuple[str, str, str],
    found: Sequence[LabelConfusion],
    total: int,
    drafting: Sequence[str],
    *,
    shown: int,
    seed: int,
) -> ConfusedPair:
    facet_id, a, b = key
    facet = book.taxonomy.facet(facet_id)
    cases = tuple(dict.fromkeys(confusion.case_id for confusion in found))
    texts = {case_id: without_boilerplate(book.texts[case_id]) for case_id in drafting}
    labelled = [
        Labelled(next(iter(held)), texts[case_id])
        for case_id in drafting
        if len(held := {a, b} & set(_compared(book.cases[case_id].gold.get(facet_id, ()), facet))) == 1
    ]
    background = list(texts.values())
    rule = draft(a, b, labelled, background)
    return ConfusedPair(
        facet=facet_id,
        a=facet.label(a),
        b=facet.label(b),
        n=len(cases),
        disagreements=total,
        gold_a=sum(confusion.by == (GOLD, MODEL) and confusion.label == a for confusion in found),
        gold_b=sum(confusion.by == (GOLD, MODEL) and confusion.label == b for confusion in found),
        cases=cases,
        shown=tuple([await _shown(book, case_id, a, b, found) for case_id in cases[:shown]]),
        rule=rule,
        trial=try_out(a, b, labelled, background, seed=seed) if rule is not None else None,
        proposal=rule.text if rule is not None else None,
    )


async def _shown(book: Codebook, case_id: str, a: str, b: str, found: Sequence[LabelConfusion]) -> ShownCase:
    of_case = [confusion for confusion in found if confusion.case_id == case_id]
    labels_by = {
        annotator: label
        for confusion in of_case
        for annotator, label in zip(confusion.by, (confusion.label, confusion.other), strict=True)
    }
    likeness = await book.reader.read(split(book.texts[case_id]), _examples(book))
    for_a = likeness.separating(of_case[0].facet, a, b)
    for_b = likeness.separating(of_case[0].facet, b, a)
    return ShownCase(
        case_id=case_id,
        title=book.cases[case_id].incident.title,
        said=labels_by,
        for_a=for_a.text if for_a else "",
        for_b=for_b.text if for_b else "",
    )


def _examples(book: Codebook) -> list[Example]:
    """The incidents taken as typical; the reader caches their embeddings."""
    nowhere = np.zeros(1, dtype=np.float32)
    known = [Example(key, text, nowhere, book.cases[key].gold) for key, text in book.texts.items()]
    return representative(known)[:_USUAL_INCIDENTS]


def _compared(labels: Sequence[str], facet: Facet) -> Sequence[str]:
    return labels if facet.cardinality == "multi" else labels[:1]


def _differing(first: Sequence[str], second: Sequence[str], facet: Facet) -> list[tuple[str, str]]:
    if facet.cardinality != "multi":
        return [(first[0], second[0])] if first and second and first[0] != second[0] else []
    return [(label, rival) for label in first if label not in second for rival in second if rival not in first]
