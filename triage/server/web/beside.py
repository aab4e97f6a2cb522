"""A neighbour beside the incident that it was found for: facet by facet, whether the labels are the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from triage.domain.annotation import Labels
from triage.domain.taxonomy import Facet, Taxonomy
from triage.domain.triage_result import Neighbour

Verdict = Literal["same", "partly", "different", "open"]
"""`partly`: some labels are the same, or all but the primary one. `open`: the incident itself has no label."""


class Compared(NamedTuple):
    """The labels of one facet: `here` the incident's own, `there` the neighbour's."""

    facet: Facet
    here: tuple[str, ...]
    there: tuple[str, ...]

    @property
    def verdict(self) -> Verdict:
        """Whether they are the same; in a facet with a primary label that one counts."""
        if not self.here:
            return "open"
        is_ordered = self.facet.cardinality == "primary_first"
        same = self.here[:1] == self.there[:1] if is_ordered else set(self.here) == set(self.there)
        if same:
            return "same"
        return "partly" if set(self.here) & set(self.there) else "different"


class Beside(NamedTuple):
    """A neighbour with its comparison, and the mitigations that are known to have been used there."""

    neighbour: Neighbour
    compared: tuple[Compared, ...]
    mitigations: tuple[str, ...]


def beside(taxonomy: Taxonomy, labels: Mapping[str, Sequence[str]], neighbour: Neighbour) -> Beside:
    """The neighbour beside an incident with these labels, in the facets of the taxonomy that it has labels of.

    What ended it is not compared but told.
    """
    compared = [
        Compared(facet, tuple(labels.get(facet.id, ())), there)
        for facet in taxonomy.facets
        if facet is not taxonomy.mitigation and (there := neighbour.labels.get(facet.id, ()))
    ]
    return Beside(neighbour, tuple(compared), _told(taxonomy, neighbour.labels))


def _told(taxonomy: Taxonomy, labels: Labels) -> tuple[str, ...]:
    if taxonomy.mitigation is None:
        return ()
    undisclosed = {label.id for label in taxonomy.mitigation.labels if label.undisclosed}
    return tuple(label for label in labels.get(taxonomy.mitigation.id, ()) if label not in undisclosed)
