"""The result of triage for one incident: labels with evidence, neighbours, suggestions and where it all came from."""

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
        """Find `quote` in `text`, word for word or else ignoring case and white space; None if it is not there."""
        exact = quote.strip()
        start = text.find(exact) if exact else -1
        if start >= 0:
            return cls(start=start, end=start + len(exact), quote=exact)
        pattern = r"\s+".join(re.escape(word) for word in quote.split())
        match = re.search(pattern, text, re.IGNORECASE) if pattern else None
        return match and cls(start=match.start(), end=match.end(), quote=match.group())


class LabelProbability(BaseModel, frozen=True):
    """One label of a facet with its probability."""

    label: str
    probability: float = Field(ge=0, le=1)


class FacetResult(BaseModel, frozen=True):
    """What triage says about one facet.

    `labels` is empty where it abstains, and `abstention` then says why, which labels were close, and what would settle
    it. `distribution` is over all labels considered, best first; for a facet with several labels each probability
    stands alone. `is_calibrated` is False until a calibrator was fitted for these settings: the probabilities are then
    scores to rank by, no frequencies. `sources` keeps what was combined: label -> probability for the `model` alone,
    its `prior`, the `neighbours` alone, the labels' `definitions`, and the classifiers trained on the `words` and the
    `embedding` of the history.
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
    """A historical incident retrieved for a new one. `similarity` is the cosine of the two embeddings, -1 to 1."""

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
    """A sentence that tells what was done, verbatim from the text of that incident."""

    text: str
    incident_id: str


class Suggestion(BaseModel, frozen=True):
    """A mitigation that helped in similar incidents, or general advice where none of them used it.

    `support` counts the neighbours in which it was used, out of the `considered` ones whose mitigation is known;
    `ended` those of them that are known to be over (a TTM is recorded) with no other mitigation recorded: where several
    were used, it isn't known which one ended the incident. `score` is the similarity-weighted share of neighbours that
    used it, drawn towards its share in the history, 0 to 1. TTM figures are in minutes over the `ttm_count` supporting
    incidents that published one; the interquartile range (25th and 75th percentile) needs two. `supporters` and
    `incidents` (their ids) stand nearest first.

    With `is_general_advice` no similar incident used it: it is what ended others of the same kind, and has only the
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
    """A historical incident to compare with. `sentence` is the one of it that speaks for its label."""

    incident_id: str
    title: str = ""
    url: str = ""
    similarity: float
    label: str
    sentence: str = ""


class Contrast(BaseModel, frozen=True):
    """The nearest incident with the same label of a facet beside the nearest with another one.

    `evidence` is the sentence of the new write-up that separates the two: it speaks for its label and against the
    label of `different`.
    """

    facet: str
    same: ContrastedIncident | None = None
    different: ContrastedIncident
    evidence: Evidence | None = None


class Provenance(BaseModel, frozen=True):
    """Everything needed to say how a result came about and to repeat it. Times are in seconds, per step.

    `model` is the one that answered; where none did, the one that should have. `cost` is what its answer took in US
    dollars, None where its price is unknown. `model_deadline_s` bounds all that was asked of models together, None
    where each call had a bound of its own.
    `retries` counts the tries of model calls beyond the first; `cached_calls` of the `model_calls` were answered from a
    cache, with `cached_prompt_tokens` and `cached_completion_tokens` of the tokens. `withheld_sentences` counts those
    that read like orders to a model and were not shown to it. With `as_of` the incident was triaged as it could have
    been at that moment.
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
    """The result for one incident. A degraded result says so, and why."""

    incident_id: str
    facets: dict[str, FacetResult]
    neighbours: tuple[Neighbour, ...] = ()
    contrast: Contrast | None = None
    suggestions: tuple[Suggestion, ...] = ()
    degraded: bool = False
    degraded_reason: str | None = None
    provenance: Provenance
    created_at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
