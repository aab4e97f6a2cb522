"""What people call the facets and labels of a taxonomy."""

from __future__ import annotations

from triage.domain.taxonomy import Taxonomy


class Names:
    """Names for people of a taxonomy's facets and labels; what is not in it keeps its id."""

    def __init__(self, taxonomy: Taxonomy | None = None) -> None:
        facets = taxonomy.facets if taxonomy else ()
        self._facets = {facet.id: facet.name for facet in facets}
        self._labels = {(facet.id, label.id): label.name for facet in facets for label in facet.labels}
        mitigation = taxonomy.mitigation if taxonomy else None
        self._mitigation = mitigation.id if mitigation else ""

    def facet(self, facet: str) -> str:
        """The facet's name."""
        return self._facets.get(facet, facet)

    def labels(self, facet: str, labels: tuple[str, ...]) -> str:
        """The labels' names."""
        return ", ".join(self._labels.get((facet, label), label) for label in labels)

    def mitigation(self, label: str) -> str:
        """A mitigation's name."""
        return self.labels(self._mitigation, (label,))
