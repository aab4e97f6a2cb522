"""The result of triage for one incident: labels with evidence, neighbours, suggestions and provenance."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, Field

from triage.domain.annotation import Labels
from triage.domain.incident import TtmUntil


class Evidence(BaseModel, frozen=True):
    """A span of the incident's text that supports a label. Offsets count characters of the original `Incident.text`.

    `label` is the label that it shows; None for a quote that a model gave for all labels of the facet.
    """

    start: int = Field(ge=0)
    end: int = Field(ge=0)
    quote: str
    label: str | None = None

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
    `evidence` is empty where no sentence shows the labels; where the facet abstains, it shows the close labels.
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
    """A past incident retrieved for a new one. `similarity` is the cosine of the two embeddings, -1 to 1.

    `ttm_minutes` ends at `ttm_until`, which is None where it was not recorded.
    """

    incident_id: str
    title: str = ""
    url: str = ""
    excerpt: str = ""
    similarity: float
    is_near_duplicate: bool = False
    labels: Labels = Field(default_factory=dict)
    occurred_at: AwareDatetime | None = None
    ttm_minutes: float | None = None
    ttm_until: TtmUntil | None = None


class Precedent(BaseModel, frozen=True):
    """The nearest past incident that is close and whose mitigations are known.

    Of the close incidents, those of the likely failure mode come first. `sentence` says what ended it, verbatim from
    its redacted text; empty if no such sentence was found.
    """

    incident_id: str
    title: str = ""
    url: str = ""
    similarity: float
    is_near_duplicate: bool = False
    mitigations: tuple[str, ...]
    sentence: str = ""
    ttm_minutes: float | None = None
    ttm_until: TtmUntil | None = None


class Supporter(BaseModel, frozen=True):
    """A past incident in which a suggested mitigation was used."""

    incident_id: str
    title: str = ""
    url: str = ""


class Step(BaseModel, frozen=True):
    """A sentence that says what was done, verbatim from the text of that incident."""

    text: str
    incident_id: str


class KindCount(BaseModel, frozen=True):
    """How many incidents of one kind used a mitigation: `used` of the `known` ones whose mitigation is known.

    The kind is a `label` of a `facet`, the finest one that was given. Both are None for the whole history.
    """

    facet: str | None
    label: str | None
    used: int = Field(ge=0)
    known: int = Field(ge=0)


class Suggestion(BaseModel, frozen=True):
    """A mitigation that ended similar incidents, or others of the same kind.

    `score` estimates the share of such incidents that it ends, 0 to 1: its share among the neighbours, shrunk towards
    that in the likely failure modes, their categories and the history. `support` counts the neighbours that used it,
    out of the `considered` ones whose mitigation is known; with `is_general_advice` there is none. `ended` counts those
    with a recorded TTM and no other mitigation: with several, it is unknown which one ended the incident. `supporters`
    and `incidents` (their ids) are sorted nearest first.

    `of_kind` counts the incidents of the same kind. TTM figures are in minutes over the `ttm_count` of these that used
    the mitigation and have a time that ends at `ttm_until`, the more frequent end; the interquartile range (25th and
    75th percentile) needs two.
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
    ttm_until: TtmUntil | None = None
    of_kind: KindCount | None = None
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

    `model` is the one that answered, or should have. Calls, tokens and cost include those of models that failed. `cost`
    is in US dollars, None if the price is unknown.
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


class LabelChange(BaseModel, frozen=True):
    """A facet whose labels the model's answer changed: those without it, and those with it; none if it abstains."""

    facet: str
    before: tuple[str, ...]
    after: tuple[str, ...]


class Triage(BaseModel, frozen=True):
    """The result for one incident. A degraded result, for which a model failed, gives its reason.

    A provisional one was decided without the model, which is still being asked. `changes` says where the model's answer
    differs from it. `warnings` says what else impairs it, such as a calibrator that no longer fits, and the next step.
    `nothing_close` says why there is no `precedent`.
    """

    incident_id: str
    facets: dict[str, FacetResult]
    neighbours: tuple[Neighbour, ...] = ()
    contrast: Contrast | None = None
    precedent: Precedent | None = None
    nothing_close: str | None = None
    suggestions: tuple[Suggestion, ...] = ()
    degraded: bool = False
    degraded_reason: str | None = None
    is_provisional: bool = False
    changes: tuple[LabelChange, ...] = ()
    warnings: tuple[str, ...] = ()
    provenance: Provenance
    created_at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
