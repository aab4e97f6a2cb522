"""Classification: a chat model's answer for each facet of a write-up, with quotes that support it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from pydantic import BaseModel, Field

from triage.domain.annotation import Labels
from triage.domain.taxonomy import Facet, Taxonomy
from triage.domain.triage_result import Neighbour
from triage.models.chat import Reply
from triage.pipeline.classification.sentences import Sentence


class Subject(BaseModel, frozen=True):
    """What a model is shown of an incident: redacted sentences within its budget, and similar incidents.

    `likely` is facet -> label -> probability without the model. It counts for parents that the model isn't asked about.
    """

    sentences: tuple[Sentence, ...]
    neighbours: tuple[Neighbour, ...] = ()
    likely: Mapping[str, dict[str, float]] = Field(default_factory=dict)


class Answer(BaseModel, frozen=True):
    """A model's answer for one facet.

    `distribution` maps label to probability. `prior` is the same for a write-up without content. `quotes` are the
    model's and not verified yet.
    """

    distribution: dict[str, float]
    prior: dict[str, float] = Field(default_factory=dict)
    quotes: tuple[str, ...] = ()
    rationale: str = ""


class Usage(BaseModel, frozen=True):
    """The calls and tokens of one incident, named as in `Provenance`.

    `cached_calls` counts the calls that were answered from the cache, and `cached_prompt_tokens` and
    `cached_completion_tokens` their tokens, which cost nothing.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    model_calls: int = 0
    retries: int = 0
    cached_calls: int = 0
    cached_prompt_tokens: int = 0
    cached_completion_tokens: int = 0

    @classmethod
    def of(cls, reply: Reply) -> Usage:
        """The usage of one call."""
        prompt, completion, cached = reply.prompt_tokens, reply.completion_tokens, int(reply.is_cached)
        return cls(
            prompt_tokens=prompt,
            completion_tokens=completion,
            model_calls=1,
            retries=reply.retries,
            cached_calls=cached,
            cached_prompt_tokens=prompt * cached,
            cached_completion_tokens=completion * cached,
        )

    def __add__(self, other: Usage) -> Usage:
        mine, others = self.model_dump(), other.model_dump()
        return Usage(**{key: mine[key] + others[key] for key in mine})


class Classification(BaseModel, frozen=True):
    """A model's answers by facet, or some of them, and the calls that they took."""

    answers: dict[str, Answer] = Field(default_factory=dict)
    usage: Usage = Usage()

    def __add__(self, later: Classification) -> Classification:
        return Classification(answers=self.answers | later.answers, usage=self.usage + later.usage)


class Classifier(Protocol):
    """Gets answers for facets from a chat model."""

    @property
    def prompts(self) -> tuple[str, ...]:
        """Each prompt used, as `id@version`."""
        ...

    async def prepare(self, taxonomy: Taxonomy) -> None:
        """Ask in advance what is asked only once. Raises `ModelUnavailable`."""
        ...

    def classify(self, subject: Subject, taxonomy: Taxonomy) -> AsyncIterator[Classification]:
        """An answer for each facet in `taxonomy.triaged`, in parts as they come.

        A later answer replaces an earlier one. Raises `ModelUnavailable` after the parts that did come.
        """
        ...

    def known_prior(self, taxonomy: Taxonomy, facet: Facet) -> dict[str, float] | None:
        """The prior of answers about this facet; empty if there is none, None while it is not measured."""
        ...

    async def quote(
        self, subject: Subject, taxonomy: Taxonomy, labels: Labels, /
    ) -> tuple[dict[str, tuple[str, ...]], Usage]:
        """For each facet of `labels`, quotes of the write-up that support them. Raises `ModelUnavailable`."""
        ...


async def whole(parts: AsyncIterator[Classification]) -> Classification:
    """All parts of a classification as one."""
    found = Classification()
    async for part in parts:
        found += part
    return found


def normalised(scores: dict[str, float]) -> dict[str, float]:
    """`scores` scaled to sum to 1, best first; uniform if all are 0."""
    total = sum(scores.values())
    shares = {k: v / total if total > 0 else 1 / len(scores) for k, v in scores.items()}
    return dict(sorted(shares.items(), key=lambda item: -item[1]))
