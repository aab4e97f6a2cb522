"""The corpus's own figures compared with published ones, and why some can't be compared."""

from __future__ import annotations

import math

from pydantic import BaseModel

from triage.insights.study.corpus import Corpus, counted, split_by_disclosure, with_label
from triage.insights.study.detection_and_mitigation import DetectionSplit, MitigationStudy
from triage.insights.study.distributions import Share
from triage.insights.study.label_agreement import FacetLabels
from triage.insights.study.publication import Published, publication
from triage.insights.study.roles import Meant, Roles

FEWEST = 10
"""The fewest incidents for comparing a share."""

Span = tuple[float, float]


class ComparedFigure(BaseModel, frozen=True):
    """A published figure and the corpus's own, with their 95% intervals, or `why_not` they can't be compared.

    `difference` is the 95% interval of own minus published. For a kappa, whose published interval is unknown, it is the
    own interval minus the published value. None if they can't be compared.
    """

    published: Published
    published_interval: Span | None
    own: float | None
    interval: Span | None
    n: int
    incident_ids: tuple[str, ...] = ()
    difference: Span | None = None
    why_not: str | None = None

    @property
    def differs(self) -> bool:
        """True if chance does not explain the difference."""
        return self.difference is not None and not self.difference[0] <= 0 <= self.difference[1]


def compare(
    corpus: Corpus,
    roles: Roles,
    detection: DetectionSplit | None,
    mitigation: MitigationStudy | None,
    labelling: list[FacetLabels],
) -> list[ComparedFigure]:
    """Each published figure with the corpus's own, in the order of the publication."""
    compared: list[ComparedFigure] = []
    for figure in publication().figures:
        if figure.measure == "kappa":
            compared.append(_of_kappa(figure, roles.compare.get(figure.id), labelling))
        elif figure.measure == "share":
            compared.append(_of_kind(figure, roles.compare.get(figure.id), corpus))
        else:
            role, study = (
                (roles.detection, detection) if figure.measure == "automated" else (roles.mitigation, mitigation)
            )
            why_not = None if getattr(role, figure.measure, ()) else _no_role(f"role `{figure.measure}`")
            own = getattr(study, figure.measure, None)
            compared.append(_of_share(figure, own, study.silent if study else None, why_not))
    return compared


def difference(own: float, interval: Span, other: float, of_other: Span) -> Span:
    """The 95% interval of the difference of two independent shares from their score intervals.

    Source: R. G. Newcombe, Interval estimation for the difference between independent proportions, Statistics in
    Medicine 17 (1998), method 10.
    """
    apart = own - other
    low = apart - math.hypot(own - interval[0], of_other[1] - other)
    high = apart + math.hypot(interval[1] - own, other - of_other[0])
    return low, high


def _no_role(role: str) -> str:
    return f"no label is said to mean it ({role})"


def _of_kind(figure: Published, meant: Meant | None, corpus: Corpus) -> ComparedFigure:
    if meant is None:
        return _of_share(figure, None, None, _no_role("roles, `compare`"))
    facet = corpus.taxonomy.facet(meant.facet)
    among = list(corpus.records)
    if meant.within is not None and facet.parent is not None:
        above = corpus.taxonomy.facet(facet.parent)
        among = [record for record in among if meant.within in counted(above, record.labels)]
    disclosed, silent = split_by_disclosure(facet, among)
    share = Share.of(figure.name, with_label(facet, meant.labels, disclosed), len(disclosed))
    return _of_share(figure, share, Share.of("not told", silent, len(disclosed) + len(silent)), None)


def _of_share(figure: Published, share: Share | None, silent: Share | None, why_not: str | None) -> ComparedFigure:
    other = figure.interval
    if why_not is None and silent is not None and silent.hits * 2 > silent.n:
        why_not = f"{silent.hits} of {silent.n} write-ups don't tell it, so those that do are no fair sample"
    if share is None or share.share is None or share.interval is None:
        why_not = why_not or "no incident is labelled with it"
        return ComparedFigure(published=figure, published_interval=other, own=None, interval=None, n=0, why_not=why_not)
    if why_not is None and share.n < FEWEST:
        why_not = f"only {share.n} incident(s) tell it, and it takes {FEWEST}"
    apart = None if why_not or other is None else difference(share.share, share.interval, figure.value, other)
    return ComparedFigure(
        published=figure,
        published_interval=other,
        own=share.share,
        interval=share.interval,
        n=share.n,
        incident_ids=share.incident_ids,
        difference=apart,
        why_not=why_not,
    )


def _of_kappa(figure: Published, meant: Meant | None, labelling: list[FacetLabels]) -> ComparedFigure:
    facet = meant.facet if meant else None
    agreement = next((labels for labels in labelling if labels.facet == facet), None)
    if agreement is None or agreement.people.value is None:
        why = "no facet is said to be the one it was taken of (roles, `compare`)"
        if meant is not None:
            why = agreement.people.undefined or "" if agreement else "no person's own labels of it are here"
            why += "; it takes two people who labelled the same incidents"
        return ComparedFigure(published=figure, published_interval=None, own=None, interval=None, n=0, why_not=why)
    interval = agreement.people.interval
    span = (interval.low, interval.high) if interval else None
    return ComparedFigure(
        published=figure,
        published_interval=None,
        own=agreement.people.value,
        interval=span,
        n=agreement.people.n,
        difference=(span[0] - figure.value, span[1] - figure.value) if span else None,
        why_not=None if span else "its interval is not known",
    )
