"""The material of a summary: an incident with its triages and annotations, and each facet's label."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Self

from triage.domain.annotation import Annotation, agreed_by_people, standing
from triage.domain.incident import Incident
from triage.domain.taxonomy import DisplayNames, Taxonomy
from triage.domain.triage_result import Evidence, FacetResult, Triage
from triage.insights.study.roles import Roles
from triage.pipeline.classification.sentences import split
from triage.redaction import Redacted, Redactor
from triage.store import Store, StoredIncident, TriageRun

_WORD = re.compile(r"[^\W\d_]{2,}")
_LEAST_WORDS = 3
_MOST_TRIAGES = 20


class FacetLabel(NamedTuple):
    """The labels of one facet, from the triage and from people.

    `people` are people's latest annotations without adjudications, `person` the one that counts. `gold` is the gold
    label: a person's, or otherwise a derived one.
    """

    facet: str
    triage: FacetResult | None
    people: tuple[Annotation, ...]
    person: Annotation | None
    gold: Annotation | None

    @classmethod
    def of(cls, facet: str, triage: Triage | None, annotations: Iterable[Annotation]) -> Self:
        """Of several gold labels a person's comes first, then the newest."""
        stands = [each for each in standing(annotations) if each.facet == facet]
        gold = sorted((each for each in stands if each.is_gold), key=lambda each: each.origin == "human")
        return cls(
            facet,
            None if triage is None else triage.facets.get(facet),
            tuple(each for each in stands if each.origin == "human" and not each.is_adjudication),
            agreed_by_people(stands).get(facet),
            gold[-1] if gold else None,
        )

    @property
    def are_people_at_odds(self) -> bool:
        """True if people disagree and nobody has settled it."""
        return bool(self.people) and self.person is None

    @property
    def is_untold(self) -> bool:
        """True if the answer that counts says that the write-up doesn't tell."""
        counts = self.person or self.gold
        return not self.are_people_at_odds and counts is not None and not counts.labels

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels that count: a person's, else derived ones, else the triage's; empty if there are none."""
        if self.are_people_at_odds:
            return ()
        source = self.person or self.gold or self.triage
        return source.labels if source else ()


@dataclass(frozen=True)
class Material:
    """An incident with its triages, newest first, and all its annotations, oldest first.

    `roles` say which facet tells how incidents were detected. All texts it returns are redacted.
    """

    stored: StoredIncident
    triages: Sequence[TriageRun]
    annotations: Sequence[Annotation]
    taxonomy: Taxonomy
    roles: Roles
    redactor: Redactor

    @classmethod
    async def read(cls, store: Store, incident_id: str, taxonomy: Taxonomy, roles: Roles, redactor: Redactor) -> Self:
        """Read an incident from the store. Raises `NotFound`."""
        stored = await store.incidents.get(incident_id)
        triages = await store.triages.list(incident_id, _MOST_TRIAGES)
        annotations = await store.annotations.list(incident_id)
        return cls(stored, triages, annotations, roles.applied(taxonomy), roles, redactor)

    @property
    def triage(self) -> Triage | None:
        """The latest triage, or None."""
        return self.triages[0].triage if self.triages else None

    @property
    def incident(self) -> Incident:
        return self.stored.incident

    @cached_property
    def redacted(self) -> Redacted:
        """Redacted title and write-up, the source of all quotes."""
        return self.redactor.redact(self.incident.text)

    @cached_property
    def sentences(self) -> tuple[str, ...]:
        """The redacted sentences of the write-up, without the title."""
        begins = len(self.incident.text) - len(self.incident.write_up)
        return tuple(
            sentence.text
            for sentence in split(self.redacted.text)
            if self.redacted.original_span(sentence.start, sentence.start + len(sentence.text))[0] >= begins
        )

    @cached_property
    def names(self) -> DisplayNames:
        return DisplayNames(self.taxonomy)

    @cached_property
    def facet_labels(self) -> dict[str, FacetLabel]:
        """Facet -> its label, in the taxonomy's order; facets that the taxonomy lacks come last."""
        facet_ids = [*(self.triage.facets if self.triage else ()), *(each.facet for each in self.annotations)]
        ids = [facet.id for facet in self.taxonomy.facets]
        ids += [facet for facet in dict.fromkeys(facet_ids) if facet not in ids]
        return {facet: FacetLabel.of(facet, self.triage, self.annotations) for facet in ids}

    @property
    def detection(self) -> FacetLabel | None:
        """The label of how the incident was detected; None if the taxonomy has no such facet."""
        return self.facet_labels[self.roles.detection.facet] if self.roles.detection else None

    @property
    def mitigation(self) -> FacetLabel | None:
        """The mitigation label; None if the taxonomy has no mitigations."""
        return self.facet_labels[self.taxonomy.mitigation.id] if self.taxonomy.mitigation else None

    @cached_property
    def title(self) -> str:
        """The redacted title; without one, the first sentence made of words, or else the id."""
        given = self.redactor.redact(self.incident.title).text
        return given or next((s for s in self.sentences if len(_WORD.findall(s)) >= _LEAST_WORDS), self.incident.id)

    def evidence(self, result: FacetResult) -> list[str]:
        """The quotes of a result, exactly as they are in the redacted write-up."""
        spans = (Evidence.locate(evidence.quote, self.redacted.text) for evidence in result.evidence)
        return list(dict.fromkeys(self._whole_words(evidence) for evidence in spans if evidence))

    def _whole_words(self, evidence: Evidence) -> str:
        """The quote without a partial word at its end, where a long sentence was cut."""
        is_cut = self.redacted.text[evidence.end - 1 : evidence.end + 1].isalnum() and evidence.end < len(
            self.redacted.text
        )
        return evidence.quote.rpartition(" ")[0] + " …" if is_cut and " " in evidence.quote else evidence.quote

    def is_told(self, facet_id: str, labels: Iterable[str]) -> bool:
        """True if any label says more than "undisclosed"."""
        known = {label.id: label for facet in self.taxonomy.facets if facet.id == facet_id for label in facet.labels}
        return any(label not in known or not known[label].undisclosed for label in labels)
