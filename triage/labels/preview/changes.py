"""From two decisions of one triage to what changed between them, and whether that leads to a person's label."""

from __future__ import annotations

from collections.abc import Mapping

from triage.domain.annotation import Annotation
from triage.domain.correction_preview import Direction, FacetChange, Kind
from triage.domain.taxonomy import Facet
from triage.domain.triage_result import FacetResult, Triage


def changes_of(
    facets: Mapping[str, Facet],
    triage: Triage,
    before: Mapping[str, FacetResult],
    after: Mapping[str, FacetResult],
    people: Mapping[str, Annotation],
    least_shift: float,
) -> tuple[FacetChange, ...]:
    """The facets that would be decided otherwise, or whose probability would move by at least `least_shift`."""
    found = []
    for facet_id, was in before.items():
        becomes = after[facet_id]
        kind = _kind(was, becomes, least_shift)
        if kind is None:
            continue
        person = people[facet_id].labels if facet_id in people else ()
        stored = triage.facets.get(facet_id)
        found.append(
            FacetChange(
                facet=facet_id,
                kind=kind,
                triaged=stored.labels if stored else (),
                before=was.labels,
                after=becomes.labels,
                likeliest_before=_likeliest(was),
                likeliest_after=_likeliest(becomes),
                probability_before=was.probability,
                probability_after=becomes.probability,
                person=person,
                direction=_direction(facets[facet_id], person, was, becomes) if person else None,
            )
        )
    return tuple(found)


def _kind(was: FacetResult, becomes: FacetResult, least_shift: float) -> Kind | None:
    if was.labels != becomes.labels:
        return "starts abstaining" if not becomes.labels else "stops abstaining" if not was.labels else "label"
    shift = abs((was.probability or 0.0) - (becomes.probability or 0.0))
    is_other = _likeliest(was) != _likeliest(becomes)
    return "probability" if is_other or shift >= least_shift else None


def _direction(facet: Facet, person: tuple[str, ...], was: FacetResult, becomes: FacetResult) -> Direction:
    """By how alike the labels are to the person's, or where that is the same by how likely the person's label is."""
    gain = _likeness(facet, person, becomes.labels) - _likeness(facet, person, was.labels)
    if not gain:
        gain = _probability(becomes, person[0]) - _probability(was, person[0])
    return "towards" if gain > 0 else "away" if gain < 0 else "neither"


def _likeness(facet: Facet, person: tuple[str, ...], labels: tuple[str, ...]) -> float:
    if facet.cardinality == "multi":
        return len({*person} & {*labels}) / len({*person} | {*labels})
    return float(labels[:1] == person[:1])


def _probability(result: FacetResult, label: str) -> float:
    return next((one.probability for one in result.distribution if one.label == label), 0.0)


def _likeliest(result: FacetResult) -> str | None:
    return next((one.label for one in result.distribution), None) if not result.labels else result.labels[0]
