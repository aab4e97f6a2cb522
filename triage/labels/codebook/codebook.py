"""Where the codebook is unclear: the pairs of labels that are confused, with cases, sentences and a rule to decide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel, Field

from triage.domain.annotation import Annotation
from triage.domain.taxonomy import Facet, Label, Taxonomy
from triage.evaluation.cases import Case
from triage.evaluation.journal import CaseRecord
from triage.history import Example
from triage.labels.codebook.deciding_rules import Labelled, Rule, Trial, draft, try_out, with_rule
from triage.pipeline.classification.likeness import DefinitionReader, representative
from triage.pipeline.classification.sentences import split, without_boilerplate
from triage.redaction import Redactor

GOLD, MODEL = "gold", "model"

_USUAL_INCIDENTS = 8


class Disagreement(NamedTuple):
    """Two labels of one case for one facet, and who gave them."""

    case_id: str
    facet: str
    label: str
    other: str
    by: tuple[str, str]


class ShownCase(BaseModel, frozen=True):
    """A case of a confused pair: who said what, and the redacted sentence that speaks most for either label."""

    case_id: str
    title: str
    said: dict[str, str]
    for_a: str = ""
    for_b: str = ""


class ConfusedPair(BaseModel, frozen=True):
    """Two labels that are taken for one another, in `n` of the `disagreements` of their facet.

    `gold_a` counts those with gold `a` and the model's `b`, `gold_b` the other way round; the rest are between
    annotators. `cases` names all, `shown` some. `proposal` is the drafted rule in words, `by` who phrased it; `rule`
    and `trial` are its words and what they reach on other cases. They are None where no words tell the two apart.
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
        """Whether the words behind the proposal hold on cases that they were not drawn from."""
        return self.trial is not None and self.trial.holds


class Codebook(NamedTuple):
    """What the repair looks at: redacted write-ups by case id, all with gold labels, and how to read sentences."""

    taxonomy: Taxonomy
    cases: Mapping[str, Case]
    texts: Mapping[str, str]
    reader: DefinitionReader

    @classmethod
    def of(
        cls, taxonomy: Taxonomy, cases: Mapping[str, Case], redactor: Redactor, reader: DefinitionReader
    ) -> Codebook:
        """Redact the write-ups, so that neither a rule nor a sentence shown holds what must not be shown."""
        texts = {key: redactor.redact(case.incident.text).text for key, case in cases.items()}
        return cls(taxonomy, cases, texts, reader)


def of_run(records: Sequence[CaseRecord], facets: Sequence[Facet]) -> list[Disagreement]:
    """Where the run's label is not gold. Of several labels the primaries are compared; in a facet where all are of
    equal standing, each label that only one side gave with each that only the other gave. Abstentions don't count."""
    found = []
    for record in records:
        for facet in facets:
            gold, said = record.gold.get(facet.id, ()), record.predicted.get(facet.id, ())
            found += [
                Disagreement(record.case_id, facet.id, label, other, (GOLD, MODEL))
                for label, other in _differing(gold, said, facet)
            ]
    return found


def of_annotators(annotations: Sequence[Annotation], facets: Sequence[Facet]) -> list[Disagreement]:
    """Where two annotators differ on the same case; an annotator's last word on a facet counts."""
    last: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {}
    for one in annotations:
        last.setdefault((one.incident_id, one.facet), {})[one.annotator] = one.labels
    by_id = {facet.id: facet for facet in facets}
    found = []
    for (case_id, facet_id), said in last.items():
        if facet_id in by_id:
            for a, b in combinations(sorted(said), 2):
                found += [
                    Disagreement(case_id, facet_id, label, other, (a, b))
                    for label, other in _differing(said[a], said[b], by_id[facet_id])
                ]
    return found


async def confused_pairs(
    book: Codebook,
    disagreements: Sequence[Disagreement],
    *,
    most: int = 5,
    shown: int = 3,
    drafted_from: Sequence[str] | None = None,
    seed: int = 0,
) -> list[ConfusedPair]:
    """The `most` frequent pairs, most frequent first, each with `shown` of its cases.

    Rules are drafted from the gold labels of the cases in `drafted_from` (all by default).
    """
    counted: dict[tuple[str, str, str], list[Disagreement]] = {}
    for one in disagreements:
        if one.case_id in book.texts:
            a, b = sorted((one.label, one.other), key=book.taxonomy.facet(one.facet).ids.index)
            counted.setdefault((one.facet, a, b), []).append(one)
    ranked = sorted(counted.items(), key=lambda item: (-len({one.case_id for one in item[1]}), item[0]))[:most]
    keys = list(book.texts) if drafted_from is None else [key for key in drafted_from if key in book.texts]
    totals: dict[str, set[str]] = {}
    for one in disagreements:
        totals.setdefault(one.facet, set()).add(one.case_id)
    return [await _pair(book, key, found, len(totals[key[0]]), keys, shown=shown, seed=seed) for key, found in ranked]


def rules_of(pairs: Sequence[ConfusedPair], *, weak: bool = False) -> dict[tuple[str, str], str]:
    """(facet id, label id) -> its deciding rule with the proposals of all its pairs, for `write_rules`.

    Proposals whose words don't hold on other cases are left out, unless `weak` ones are wanted too.
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
    found: Sequence[Disagreement],
    total: int,
    drafting: Sequence[str],
    *,
    shown: int,
    seed: int,
) -> ConfusedPair:
    facet_id, a, b = key
    facet = book.taxonomy.facet(facet_id)
    cases = tuple(dict.fromkeys(one.case_id for one in found))
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
        gold_a=sum(one.by == (GOLD, MODEL) and one.label == a for one in found),
        gold_b=sum(one.by == (GOLD, MODEL) and one.label == b for one in found),
        cases=cases,
        shown=tuple([await _shown(book, case_id, a, b, found) for case_id in cases[:shown]]),
        rule=rule,
        trial=try_out(a, b, labelled, background, seed=seed) if rule is not None else None,
        proposal=rule.text if rule is not None else None,
    )


async def _shown(book: Codebook, case_id: str, a: str, b: str, found: Sequence[Disagreement]) -> ShownCase:
    of_case = [one for one in found if one.case_id == case_id]
    said = {who: label for one in of_case for who, label in zip(one.by, (one.label, one.other), strict=True)}
    likeness = await book.reader.read(split(book.texts[case_id]), _examples(book))
    for_a = likeness.separating(of_case[0].facet, a, b)
    for_b = likeness.separating(of_case[0].facet, b, a)
    return ShownCase(
        case_id=case_id,
        title=book.cases[case_id].incident.title,
        said=said,
        for_a=for_a.text if for_a else "",
        for_b=for_b.text if for_b else "",
    )


def _examples(book: Codebook) -> list[Example]:
    """What is taken for usual; the reader keeps what it embedded of it."""
    nowhere = np.zeros(1, dtype=np.float32)
    known = [Example(key, text, nowhere, book.cases[key].gold) for key, text in book.texts.items()]
    return representative(known)[:_USUAL_INCIDENTS]


def _compared(labels: Sequence[str], facet: Facet) -> Sequence[str]:
    return labels if facet.cardinality == "multi" else labels[:1]


def _differing(one: Sequence[str], other: Sequence[str], facet: Facet) -> list[tuple[str, str]]:
    if facet.cardinality != "multi":
        return [(one[0], other[0])] if one and other and one[0] != other[0] else []
    return [(label, rival) for label in one if label not in other for rival in other if rival not in one]
