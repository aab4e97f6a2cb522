"""The result of triage for one incident: labels with evidence, neighbours, suggestions and provenance."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, Field

from triage.domain.annotation import Labels


class Evidence(BaseModel, frozen=True):
    """A span of the incident's text that supports a label. Offsets count characters of the original `Incident.text`."""

    start: int = Field(ge=0)
    end: int = Field(ge=0)
    quote: str

    @classmethod
    def locate(cls, quote: str, text: str) -> Evidence | None:
        """Find `quote` in `text`, exactly or else ignoring case and white space; None if it is missing."""
        exact = quote.strip()
        start = text.find(exact) if exact else -1
        if start >= 0:
            return cls(start=start, end=start + len(exact), quote=exact)
        pattern = r"\s+".join(re.escape(word) for word in quote.split())
        match = re.search(pattern, text, re.IGNORECASE) if pattern else None
        return match and cls(start=match.start(), end=match.end(), quote=match.group())


class LabelProbability(BaseModel, frozen=True):
    """A label of a facet with its probability."""

    label: str
    probability: float = Field(ge=0, le=1)


class FacetResult(BaseModel, frozen=True):
    """The triage of one facet.

    `labels` is empty if it abstains; `abstention` then gives the reason, the close labels, and what would settle it.
    `distribution` covers all labels considered, best first; in a facet with several labels the probabilities are
    independent. Without a calibrator for these settings `is_calibrated` is False, and the probabilities serve for
    ranking only. `sources` holds what was combined: label -> probability by the `model` alone, its `prior`, the
    `neighbours`, the labels' `definitions`, and classifiers trained on the `words` and the `embedding` of the history.
    """

    facet: str
    labels: tuple[str, ...]
    probability: float | None = Field(default=None, ge=0, le=1)
    distribution: tuple[LabelProbability, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    rationale: str = ""
    abstention: str | None = None
    origin: Literal["model", "model and history", "history"] = "model"
    sources: dict[str, dict[str, float]] = Field(default_factory=dict)
    is_calibrated: bool = False


class Neighbour(BaseModel, frozen=True):
    """A past incident retrieved for a new one. `similarity` is the cosine of the two embeddings, -1 to 1."""

    incident_id: str
    title: str = ""
    url: str = ""
    excerpt: str = ""
    similarity: float
    is_near_duplicate: bool = False
    labels: Labels = Field(default_factory=dict)
    occurred_at: AwareDatetime | None = None
    ttm_minutes: float | None = None


class Supporter(BaseModel, frozen=True):
    """A past incident in which a suggested mitigation was used."""

    incident_id: str
    title: str = ""
    url: str = ""


class Step(BaseModel, frozen=True):
    """A sentence that says what was done, verbatim from the text of that incident."""

    text: str
    incident_id: str


class Suggestion(BaseModel, frozen=True):
    """A mitigation that helped in similar incidents, or general advice if none of them used it.

    `support` counts the neighbours that used it, out of the `considered` ones whose mitigation is known. `ended` counts
    those with a recorded TTM and no other mitigation: with several, it is unknown which one ended the incident. `score`
    is the similarity-weighted share of neighbours that used it, shrunk towards its share in the history, 0 to 1. TTM
    figures are in minutes over the `ttm_count` supporting incidents that have one; the interquartile range (25th and
    75th percentile) needs two. `supporters` and `incidents` (their ids) are sorted nearest first.

    With `is_general_advice`, no similar incident used it, but others of the same kind did. It then has only the
    taxonomy's `definition`; all figures are 0 or None.
    """

    mitigation: str
    definition: str = ""
    score: float = Field(ge=0, le=1)
    support: int = Field(default=0, ge=0)
    considered: int = Field(default=0, ge=0)
    ended: int = Field(default=0, ge=0)
    incidents: tuple[str, ...] = ()
    supporters: tuple[Supporter, ...] = ()
    steps: tuple[Step, ...] = ()
    median_ttm_minutes: float | None = None
    ttm_interquartile_range_minutes: tuple[float, float] | None = None
    ttm_count: int = 0
    is_general_advice: bool = False


class ContrastedIncident(BaseModel, frozen=True):
    """A past incident to compare with. `sentence` is its sentence that supports its label."""

    incident_id: str
    title: str = ""
    url: str = ""
    similarity: float
    label: str
    sentence: str = ""


class Contrast(BaseModel, frozen=True):
    """The nearest incident with the same label of a facet, and the nearest with another label.

    `evidence` is the sentence of the new write-up that supports its label rather than the label of `different`.
    """

    facet: str
    same: ContrastedIncident | None = None
    different: ContrastedIncident
    evidence: Evidence | None = None


class Provenance(BaseModel, frozen=True):
    """What is needed to explain a result and to repeat it. `seconds` holds the duration of each step.

    `model` is the one that answered, or should have. `cost` is in US dollars, None if the price is unknown.
    `model_deadline_s` limits all model calls together, None if each call has its own limit. `retries` counts the
    attempts of model calls beyond the first. A cache answered `cached_calls` of the `model_calls`, with the
    `cached_*_tokens` of the tokens. `withheld_sentences` counts the suspected prompt injections that the model was not
    shown. With `as_of`, the incident was triaged as of that time.
    """

    taxonomy: str
    taxonomy_version: str
    prompts: tuple[str, ...] = ()
    model: str | None = None
    embedder: str = ""
    calibrator: str | None = None
    history_size: int = 0
    redactions: dict[str, int] = Field(default_factory=dict)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    model_calls: int = 0
    retries: int = 0
    cached_calls: int = 0
    cached_prompt_tokens: int = 0
    cached_completion_tokens: int = 0
    cost: float | None = None
    model_deadline_s: float | None = None
    dropped_quotes: int = 0
    was_condensed: bool = False
    withheld_sentences: int = 0
    as_of: AwareDatetime | None = None
    seconds: dict[str, float] = Field(default_factory=dict)


class Triage(BaseModel, frozen=True):
    """The result for one incident. A degraded result gives its reason.

    `warnings` says what else impairs it, such as a calibrator that no longer fits, and the next step.
    """

    incident_id: str
    facets: dict[str, FacetResult]
    neighbours: tuple[Neighbour, ...] = ()
    contrast: Contrast | None = None
    suggestions: tuple[Suggestion, ...] = ()
    degraded: bool = False
    degraded_reason: str | None = None
    warnings: tuple[str, ...] = ()
    provenance: Provenance
    created_at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
