"""Agreement between annotators before and after a migration."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, Field

from triage.agreement import Interval, cohen_kappa, compare_sets
from triage.domain.annotation import Annotation, standing
from triage.domain.taxonomy import Facet, Taxonomy
from triage.labels.evolution.migration import Migration
from triage.labels.evolution.plan import Plan

LabelsByIncident = Mapping[str, tuple[str, ...]]


class Agreement(BaseModel, frozen=True):
    """Agreement of two annotators on `n` incidents: Cohen's kappa of the primary labels, or on a facet with many labels
    the mean Jaccard index of the label sets."""

    n: int = Field(ge=0)
    value: float | None = None
    interval: Interval | None = None
    undefined: str | None = None

    def __str__(self) -> str:
        if self.value is None:
            return f"undefined ({self.undefined})"
        return f"{self.value:.2f} {self.interval}" if self.interval else f"{self.value:.2f}"


class AgreementChange(BaseModel, frozen=True):
    """Agreement of two annotators on one facet, before and after.

    `before` covers all incidents that both labelled. `before_on_remaining` and `after` cover those where both labels
    stay valid, so their difference is due to the new labels alone. `to_relabel` counts the other incidents.
    """

    facet: str
    annotators: tuple[str, str]
    measure: str
    before: Agreement
    before_on_remaining: Agreement
    after: Agreement
    to_relabel: int = Field(ge=0)


def agreement_changes(
    plan: Plan, old: Taxonomy, new: Taxonomy, annotations: Sequence[Annotation], migration: Migration
) -> list[AgreementChange]:
    """The change for every remaining facet and pair of annotators with shared incidents, most incidents first."""
    by_facet_before, by_facet_after = _by_facet(standing(annotations)), _by_facet(migration.annotations)
    changes: list[AgreementChange] = []
    for step in plan.facets:
        if step.to is None:
            continue
        before, after = old.facet(step.facet), new.facet(step.to)
        labels_before, labels_after = by_facet_before.get(before.id, {}), by_facet_after.get(after.id, {})
        pairs = []
        for first, second in itertools.combinations(sorted(labels_before), 2):
            shared = labels_before[first].keys() & labels_before[second].keys()
            if shared:
                pairs.append(_change(before, after, (first, second), labels_before, labels_after))
        changes += sorted(pairs, key=lambda pair: -pair.before.n)
    return changes


def _change(
    old: Facet,
    new: Facet,
    pair: tuple[str, str],
    labels_before: Mapping[str, LabelsByIncident],
    labels_after: Mapping[str, LabelsByIncident],
) -> AgreementChange:
    first, second = pair
    all_ids = sorted(labels_before[first].keys() & labels_before[second].keys())
    remaining = labels_after.get(first, {}).keys() & labels_after.get(second, {}).keys()
    ids = [incident_id for incident_id in all_ids if incident_id in remaining]
    is_set = "multi" in {old.cardinality, new.cardinality}

    def agreement(labels: Mapping[str, LabelsByIncident], shared: Sequence[str]) -> Agreement:
        return _agreement([labels[first][i] for i in shared], [labels[second][i] for i in shared], is_set)

    return AgreementChange(
        facet=new.id,
        annotators=pair,
        measure="mean Jaccard" if is_set else "kappa",
        before=agreement(labels_before, all_ids),
        before_on_remaining=agreement(labels_before, ids),
        after=agreement(labels_after, ids),
        to_relabel=len(all_ids) - len(ids),
    )


def _agreement(a: Sequence[tuple[str, ...]], b: Sequence[tuple[str, ...]], is_set: bool) -> Agreement:
    if is_set:
        sets = compare_sets(a, b)
        return Agreement(n=sets.n, value=sets.jaccard, interval=sets.jaccard_interval, undefined=sets.undefined)
    kappa = cohen_kappa([labels[0] for labels in a], [labels[0] for labels in b])
    return Agreement(n=kappa.n, value=kappa.value, interval=kappa.interval, undefined=kappa.undefined)


def _by_facet(annotations: Sequence[Annotation]) -> dict[str, dict[str, dict[str, tuple[str, ...]]]]:
    """Facet -> annotator -> incident -> labels."""
    by_facet: dict[str, dict[str, dict[str, tuple[str, ...]]]] = {}
    for a in annotations:
        by_facet.setdefault(a.facet, {}).setdefault(a.annotator, {})[a.incident_id] = a.answer
    return by_facet
