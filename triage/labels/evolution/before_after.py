"""How well annotators agree before a migration and after it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, Field

from triage.agreement import Interval, cohen_kappa, compare_sets
from triage.domain.annotation import Annotation, standing
from triage.domain.taxonomy import Facet, Taxonomy
from triage.labels.evolution.migration import Migration
from triage.labels.evolution.plan import Plan

Said = Mapping[str, tuple[str, ...]]


class Agreement(BaseModel, frozen=True):
    """How two annotators agree on `n` incidents: Cohen's kappa, of primaries where a facet has them; on a facet with
    several labels of equal standing the mean Jaccard index of the label sets."""

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

    `before` is on all incidents that both labelled; `before_on_remaining` and `after` are on those whose labels both
    stand, so that the difference of these two is due to the new labels alone. `to_relabel` incidents are left.
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
    """For every facet that stays and every two annotators who labelled an incident of it both; most incidents first."""
    was, now = _by_facet(standing(annotations)), _by_facet(migration.annotations)
    found: list[AgreementChange] = []
    for step in plan.facets:
        if step.to is None:
            continue
        before, after = old.facet(step.facet), new.facet(step.to)
        said, says = was.get(before.id, {}), now.get(after.id, {})
        pairs = []
        for first, second in itertools.combinations(sorted(said), 2):
            shared = said[first].keys() & said[second].keys()
            if shared:
                pairs.append(_change(before, after, (first, second), said, says))
        found += sorted(pairs, key=lambda pair: -pair.before.n)
    return found


def _change(
    old: Facet,
    new: Facet,
    pair: tuple[str, str],
    said: Mapping[str, Said],
    says: Mapping[str, Said],
) -> AgreementChange:
    first, second = pair
    all_ids = sorted(said[first].keys() & said[second].keys())
    ids = [one for one in all_ids if one in says.get(first, {}) and one in says.get(second, {})]
    is_set = "multi" in {old.cardinality, new.cardinality}
    return AgreementChange(
        facet=new.id,
        annotators=pair,
        measure="mean Jaccard" if is_set else "kappa",
        before=_agreement([said[first][i] for i in all_ids], [said[second][i] for i in all_ids], is_set),
        before_on_remaining=_agreement([said[first][i] for i in ids], [said[second][i] for i in ids], is_set),
        after=_agreement([says[first][i] for i in ids], [says[second][i] for i in ids], is_set),
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
    found: dict[str, dict[str, dict[str, tuple[str, ...]]]] = {}
    for a in annotations:
        found.setdefault(a.facet, {}).setdefault(a.annotator, {})[a.incident_id] = a.labels
    return found
