"""How often each label was given, and each child label within its parent, with intervals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from statistics import NormalDist

from pydantic import BaseModel

from triage.agreement.proportion import Proportion
from triage.domain.taxonomy import Facet
from triage.insights.study.corpus import Corpus, Record, counted, ids, tells, undisclosed


class Share(BaseModel, frozen=True):
    """The incidents with a label or property, out of `n`.

    `interval` is Wilson's 95% interval of this share alone. `simultaneous` holds for all shares of a distribution at
    once, see `simultaneous_interval`; None if the shares are not parts of a whole.
    """

    name: str
    hits: int
    n: int
    share: float | None
    interval: tuple[float, float] | None
    simultaneous: tuple[float, float] | None = None
    incident_ids: tuple[str, ...]

    @classmethod
    def of(cls, name: str, hits: Sequence[Record], n: int, parts: int | None = None) -> Share:
        """The share of `hits` in `n`; `parts` is the number of shares that divide the whole."""
        proportion = Proportion(hits=len(hits), n=n)
        return cls(
            name=name,
            hits=len(hits),
            n=n,
            share=proportion.share,
            interval=proportion.interval,
            simultaneous=simultaneous_interval(len(hits), n, parts) if parts and n else None,
            incident_ids=ids(hits),
        )


class Distribution(BaseModel, frozen=True):
    """The labels of a facet, or of those under the parent label `within`, most frequent first.

    `n` counts incidents with a label. `silent` are those whose write-up does not disclose it; they are left out of the
    shares. `unlabelled` have no label of the facet. `never` lists labels that no incident has. In a facet with many
    labels an incident counts for each label (`is_exclusive` is False), so shares may add up to more than 1.
    """

    facet: str
    name: str
    within: str | None = None
    is_exclusive: bool
    n: int
    shares: tuple[Share, ...]
    silent: Share | None = None
    never: tuple[str, ...] = ()
    n_unlabelled: int = 0
    unlabelled: tuple[str, ...] = ()


def simultaneous_interval(hits: int, n: int, parts: int, confidence: float = 0.95) -> tuple[float, float]:
    """An interval for one of `parts` shares of a whole, so that all of them hold at once.

    Score intervals with Bonferroni's correction. Source: L. A. Goodman, On simultaneous confidence intervals for
    multinomial proportions, Technometrics 7 (1965).
    """
    z = NormalDist().inv_cdf(1 - (1 - confidence) / (2 * parts))
    share, z2 = hits / n, z**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = z / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def distributions(corpus: Corpus) -> list[Distribution]:
    """The distribution of each labelled facet, each followed by those within its parent labels."""
    results: list[Distribution] = []
    for facet in corpus.taxonomy.facets:
        if any(record.labels.get(facet.id) for record in corpus.records):
            results.append(distribution(facet, facet.ids, corpus.records))
            if facet.parent is not None:
                results += _within(facet, corpus.taxonomy.facet(facet.parent), corpus.records)
    return results


def distribution(
    facet: Facet, labels: Sequence[str], records: Iterable[Record], within: str | None = None
) -> Distribution:
    """How often each of `labels` was given to `records`; only given labels are listed."""
    everyone = list(records)
    labelled = [record for record in everyone if set(counted(facet, record.labels)) & set(labels)]
    disclosed = [record for record in labelled if tells(facet, record)]
    counted_labels = [label for label in labels if label not in undisclosed(facet)]
    exclusive = facet.cardinality != "multi"
    carrying = {
        label: [record for record in disclosed if label in counted(facet, record.labels)] for label in counted_labels
    }
    shares = [
        Share.of(label, carrying[label], len(disclosed), len(counted_labels) if exclusive else None)
        for label in counted_labels
        if carrying[label]
    ]
    silent = [record for record in labelled if not tells(facet, record)]
    unlabelled = () if within else ids(record for record in everyone if not record.labels.get(facet.id))
    return Distribution(
        facet=facet.id,
        name=facet.name,
        within=within,
        is_exclusive=exclusive,
        n=len(labelled),
        shares=tuple(sorted(shares, key=lambda share: -share.hits)),
        silent=Share.of("undisclosed", silent, len(labelled)) if undisclosed(facet) else None,
        never=tuple(label for label in counted_labels if not carrying[label]),
        n_unlabelled=len(unlabelled),
        unlabelled=unlabelled,
    )


def _within(facet: Facet, above: Facet, records: Sequence[Record]) -> Iterator[Distribution]:
    for parent in above.labels:
        children = [label.id for label in facet.children([parent.id])]
        inside = [record for record in records if parent.id in counted(above, record.labels)]
        children_of_parent = distribution(facet, children, inside, within=parent.id)
        if children_of_parent.n:
            yield children_of_parent
