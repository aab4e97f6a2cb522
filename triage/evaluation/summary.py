"""The summary of a run: the figures of each facet, what failed, and what it took."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError, computed_field

from triage.agreement import Confusion, Kappa, LabelScore, SetAgreement, compare_sets, kappa_of
from triage.domain.taxonomy import Facet, Taxonomy
from triage.evaluation.journal import CaseRecord
from triage.evaluation.metrics import ABSTAINED, FacetCases
from triage.evaluation.runs import Run
from triage.render.atomic_write import write_atomically

ABSTENTIONS = "Kappa and accuracy count an abstention as wrong; `answered` is kappa without the abstentions."

_FILE = "summary.json"


class FacetSummary(BaseModel, frozen=True):
    """Agreement on one facet, over the finished cases that have a gold label for it.

    Where a facet takes several labels and the first is the primary one, `kappa`, `accuracy` and `confusion` compare the
    primary labels and `sets` the whole sets. They count an abstention as no agreement; `answered` and
    `answered_accuracy` are without the abstentions.
    """

    facet: str
    cardinality: str
    n: int = Field(ge=0)
    unlabelled: int = Field(ge=0)
    abstained: int = Field(ge=0)
    most_common: tuple[str, float] | None
    accuracy: float | None = None
    kappa: Kappa | None = None
    answered_accuracy: float | None = None
    answered: Kappa | None = None
    labels: tuple[LabelScore, ...] = ()
    confusion: Confusion | None = None
    sets: SetAgreement | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def coverage(self) -> float | None:
        """The share of cases that were answered; None without cases."""
        return (self.n - self.abstained) / self.n if self.n else None


class Summary(BaseModel, frozen=True):
    """The figures of a run. All can be computed again from the run's `cases.jsonl`."""

    suite: str
    description: str
    taxonomy: str
    planned: int
    done: int
    failed: int
    degraded: int
    skipped: int
    left_out: int
    repeats: int
    resumed: int
    facets: tuple[FacetSummary, ...]
    median_seconds: float | None
    p95_seconds: float | None
    prompt_tokens: int
    completion_tokens: int
    dropped_quotes: int
    model_calls: int = 0
    retries: int = 0
    cached_calls: int = 0
    failures: dict[str, str] = Field(default_factory=dict)
    degraded_reasons: dict[str, int] = Field(default_factory=dict)


def summarise(run: Run, taxonomy: Taxonomy) -> Summary:
    """Score a run. Failed cases are counted and listed; they have no prediction to score."""
    done = [record for record in run.records if record.status == "done"]
    failures = {record.case_id: record.error or "" for record in run.records if record.status == "failed"}
    reasons = [record.degraded_reason or "no reason given" for record in done if record.degraded]
    seconds = sorted(record.seconds for record in done)
    provenances = [record.provenance for record in done if record.provenance is not None]
    return Summary(
        suite=run.suite.name,
        description=run.suite.description,
        taxonomy=f"{taxonomy.id} {taxonomy.version}",
        planned=len(run.records),
        done=len(done),
        failed=len(failures),
        degraded=len(reasons),
        skipped=run.skipped,
        left_out=run.left_out,
        repeats=run.repeats,
        resumed=run.resumed,
        facets=tuple(_score(taxonomy.facet(facet), done, run.suite.seed) for facet in run.suite.facets),
        median_seconds=_quantile(seconds, 0.5),
        p95_seconds=_quantile(seconds, 0.95),
        prompt_tokens=sum(p.prompt_tokens for p in provenances),
        completion_tokens=sum(p.completion_tokens for p in provenances),
        dropped_quotes=sum(p.dropped_quotes for p in provenances),
        model_calls=sum(p.model_calls for p in provenances),
        retries=sum(p.retries for p in provenances),
        cached_calls=sum(p.cached_calls for p in provenances),
        failures=failures,
        degraded_reasons={reason: reasons.count(reason) for reason in sorted(set(reasons))},
    )


def write_summary(summary: Summary, folder: Path) -> Path:
    """Write `summary.json` into the run's folder, whole or not at all."""
    path = folder / _FILE
    write_atomically(path, summary.model_dump_json(indent=2) + "\n")
    return path


def read_summary(folder: Path) -> Summary | None:
    """The summary in a run's folder; None for a run that was not finished."""
    try:
        return Summary.model_validate_json((folder / _FILE).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def _score(facet: Facet, done: Sequence[CaseRecord], seed: int) -> FacetSummary:
    cases = FacetCases.of(done, facet)
    labelled = [done[n] for n in cases.at]
    gold = [record.gold[facet.id] for record in labelled]
    predicted = [record.predicted.get(facet.id, ()) for record in labelled]
    summary = FacetSummary(
        facet=facet.id,
        cardinality=facet.cardinality,
        n=len(labelled),
        unlabelled=len(done) - len(labelled),
        abstained=len(labelled) - int(cases.answered.sum()),
        most_common=_most_common(labels[0] for labels in gold),
        sets=None if facet.cardinality == "single" else compare_sets(gold, predicted, facet.ids, seed=seed),
    )
    if cases.is_multi:
        return summary
    confusion, answered = cases.confusion(), cases.confusion(answered_only=True)
    return summary.model_copy(
        update={
            "accuracy": confusion.accuracy,
            "kappa": kappa_of(confusion, seed=seed),
            "answered_accuracy": answered.accuracy,
            "answered": kappa_of(answered, seed=seed),
            "labels": tuple(score for score in confusion.scores() if score.label != ABSTAINED),
            "confusion": confusion.used(),
        }
    )


def _quantile(ordered: Sequence[float], q: float) -> float | None:
    """The smallest value that at least the share `q` of the values do not exceed."""
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)] if ordered else None


def _most_common(labels: Iterable[str]) -> tuple[str, float] | None:
    """The most frequent label and its share; None without labels."""
    counts = Counter(labels)
    if not counts:
        return None
    label, n = min(counts.items(), key=lambda item: (-item[1], item[0]))
    return label, n / counts.total()
