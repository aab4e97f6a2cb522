"""Classification: what a chat model says about each facet of one write-up, and in which words it finds that."""

from __future__ import annotations

from typing import Protocol

from pydantic import BaseModel, Field

from triage.domain.annotation import Labels
from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import Neighbour
from triage.models.chat import Reply
from triage.pipeline.classification.sentences import Sentence


class Subject(BaseModel, frozen=True):
    """What a model is shown of one incident: its redacted sentences, shortened to the model's budget."""

    sentences: tuple[Sentence, ...]
    neighbours: tuple[Neighbour, ...] = ()


class Answer(BaseModel, frozen=True):
    """What the model says about one facet.

    `distribution` maps label to probability, and `prior` is the same for a write-up without content: what the model
    favours before it has read anything. `quotes` are in the model's words and not verified yet.
    """

    distribution: dict[str, float]
    prior: dict[str, float] = Field(default_factory=dict)
    quotes: tuple[str, ...] = ()
    rationale: str = ""


class Usage(BaseModel, frozen=True):
    """What the calls for one incident took.

    `calls` and the tokens are all of them; `cached` counts the calls, and `cached_prompt_tokens` and
    `cached_completion_tokens` the tokens, that were answered from the cache and paid for before.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    calls: int = 0
    retries: int = 0
    cached: int = 0
    cached_prompt_tokens: int = 0
    cached_completion_tokens: int = 0

    @classmethod
    def of(cls, reply: Reply) -> Usage:
        """What one call took."""
        prompt, completion, cached = reply.prompt_tokens, reply.completion_tokens, int(reply.is_cached)
        return cls(
            prompt_tokens=prompt,
            completion_tokens=completion,
            calls=1,
            retries=reply.retries,
            cached=cached,
            cached_prompt_tokens=prompt * cached,
            cached_completion_tokens=completion * cached,
        )

    @property
    def provenance(self) -> dict[str, int]:
        """The fields of a result's `Provenance` that tell what it took."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "model_calls": self.calls,
            "retries": self.retries,
            "cached_calls": self.cached,
            "cached_prompt_tokens": self.cached_prompt_tokens,
            "cached_completion_tokens": self.cached_completion_tokens,
        }

    def __add__(self, other: Usage) -> Usage:
        mine, others = self.model_dump(), other.model_dump()
        return Usage(**{key: mine[key] + others[key] for key in mine})


class Classification(BaseModel, frozen=True):
    """A model's answers, one per facet that was asked and answered."""

    answers: dict[str, Answer]
    usage: Usage


class Classifier(Protocol):
    """A way to get answers from a chat model."""

    @property
    def prompts(self) -> tuple[str, ...]:
        """Each prompt used, as `id@version`."""
        ...

    async def prepare(self, taxonomy: Taxonomy) -> None:
        """Ask beforehand what is asked once only. Raises `ModelUnavailable`."""
        ...

    async def classify(self, subject: Subject, taxonomy: Taxonomy) -> Classification:
        """An answer for each facet in `taxonomy.triaged`. Raises `ModelUnavailable`."""
        ...

    async def quote(
        self, subject: Subject, taxonomy: Taxonomy, labels: Labels, /
    ) -> tuple[dict[str, tuple[str, ...]], Usage]:
        """For each facet of `labels`, the words of the write-up that show them. Raises `ModelUnavailable`."""
        ...


def normalised(scores: dict[str, float]) -> dict[str, float]:
    """`scores` scaled to sum to 1, best first; uniform where all are 0."""
    total = sum(scores.values())
    shares = {k: v / total if total > 0 else 1 / len(scores) for k, v in scores.items()}
    return dict(sorted(shares.items(), key=lambda item: -item[1]))
