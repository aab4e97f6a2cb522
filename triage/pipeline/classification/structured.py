"""Classification in one call, as JSON that is checked against the taxonomy, for large models."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, Field, ValidationError

from triage.domain.annotation import Labels
from triage.domain.errors import InvalidInput, UnusableAnswer
from triage.domain.taxonomy import Facet, Taxonomy
from triage.models.chat import ChatModel, Message, Reply, Request
from triage.models.chat.dialect import append_schema
from triage.pipeline.classification import Answer, Classification, Subject, Usage
from triage.pipeline.classification.codebook import definitions, examples, plain
from triage.pipeline.classification.prompts import load
from triage.pipeline.classification.samples import mean, sample

_MAX_TOKENS = 2_000


class _FacetAnswer(BaseModel):
    labels: list[str] = Field(min_length=1)
    certainty: float = Field(ge=0, le=100)
    runner_up: str = ""
    quotes: list[str] = Field(default_factory=list)


class _Codebook(NamedTuple):
    """The parts of a request that depend only on the taxonomy."""

    scope: str
    definitions: str
    schema: dict[str, Any]


class StructuredClassifier:
    """One call with a JSON schema of the taxonomy; an invalid answer is sent back once with its mistakes.

    The probability of a label is the certainty that the model states; use it for ranking only until it is calibrated.
    With `samples` above 1, that many answers are requested at once, the first at temperature 0 and the others at 0.7,
    and averaged (Xiong et al., 'Can LLMs express their uncertainty?', 2024, arXiv:2306.13063).
    """

    def __init__(
        self, model: ChatModel, *, deadline_s: float = 60.0, samples: int = 1, prompts: Path | None = None
    ) -> None:
        self._model = model
        self._samples = samples
        self._deadline_s = deadline_s
        self._prompt = load("structured", prompts)
        self._codebooks: dict[tuple[str, str, tuple[str, ...]], _Codebook] = {}

    @property
    def prompts(self) -> tuple[str, ...]:
        return (self._prompt.name,)

    async def prepare(self, taxonomy: Taxonomy) -> None:
        """Nothing to ask in advance."""

    async def classify(self, subject: Subject, taxonomy: Taxonomy) -> AsyncIterator[Classification]:
        """See `Classifier.classify`. Raises `UnusableAnswer` if the second answer is invalid too."""
        codebook = self._codebook(taxonomy)
        messages = self._prompt.messages(
            scope=codebook.scope,
            definitions=codebook.definitions,
            neighbours=examples(subject),
            write_up=plain(subject),
        )
        request = Request(
            messages=messages, schema_=codebook.schema, max_tokens=_MAX_TOKENS, deadline_s=self._deadline_s
        )
        others = asyncio.create_task(sample(self._model, request, self._samples - 1))
        answers: dict[str, Answer] = {}
        try:
            async for part in self._first(request, taxonomy):
                answers = part.answers
                yield part
            if self._samples > 1:
                yield _averaged(answers, await others, taxonomy)
        finally:
            others.cancel()

    def known_prior(self, _taxonomy: Taxonomy, _facet: Facet) -> dict[str, float]:
        """See `Classifier.known_prior`: there is none."""
        return {}

    async def quote(
        self, _subject: Subject, _taxonomy: Taxonomy, _labels: Labels
    ) -> tuple[dict[str, tuple[str, ...]], Usage]:
        """Nothing to ask: the quotes come with the labels."""
        return {}, Usage()

    async def _first(self, request: Request, taxonomy: Taxonomy) -> AsyncIterator[Classification]:
        reply = await self._model.complete(request)
        read = _read(reply, taxonomy)
        yield Classification(answers=read.answers, usage=Usage.of(reply))
        if read.mistake is None:
            return
        reply = await self._model.complete(_sent_back(request, reply, read.mistake))
        read = _read(reply, taxonomy)
        yield Classification(answers=read.answers, usage=Usage.of(reply))
        if read.mistake is not None:
            raise UnusableAnswer(
                f"{self._model.name} gave no usable answer in two tries: {read.mistake.rstrip('.')}. "
                "Choose another model with TRIAGE_MODEL, or set TRIAGE_ANSWERS=letters."
            )

    def _codebook(self, taxonomy: Taxonomy) -> _Codebook:
        # A narrowed taxonomy keeps its version.
        key = (taxonomy.id, taxonomy.version, tuple(facet.id for facet in taxonomy.triaged))
        if key not in self._codebooks:
            scope = " ".join(taxonomy.description.split())
            self._codebooks[key] = _Codebook(scope, definitions(taxonomy), _schema(taxonomy))
        return self._codebooks[key]


def _sent_back(request: Request, reply: Reply, mistakes: str) -> Request:
    """`request` with the invalid answer, its mistakes, and the schema in words, which the endpoint may have ignored."""
    repair = Message(role="user", content=f"That answer can't be used: {mistakes}\nAnswer again, corrected.")
    messages = (*request.messages, Message(role="assistant", content=reply.text), repair)
    if request.schema_ is not None:
        messages = append_schema(messages, request.schema_)
    return request.model_copy(update={"messages": messages})


def _averaged(first: dict[str, Answer], others: list[Reply], taxonomy: Taxonomy) -> Classification:
    """The `first` answers with the mean distributions of all usable ones; they keep their quotes and rationale."""
    usage = sum(map(Usage.of, others), start=Usage())
    sampled = [read.answers for read in (_read(reply, taxonomy) for reply in others) if read.mistake is None]
    answers = {
        facet: answer.model_copy(
            update={"distribution": mean([answer.distribution, *(other[facet].distribution for other in sampled)])}
        )
        for facet, answer in first.items()
        if sampled
    }
    return Classification(answers=answers, usage=usage)


def _schema(taxonomy: Taxonomy) -> dict[str, Any]:
    properties = {facet.id: _facet_schema(facet) for facet in taxonomy.triaged}
    properties["rationale"] = {"type": "string"}
    return _object(properties)


def _facet_schema(facet: Facet) -> dict[str, Any]:
    label = {"type": "string", "enum": facet.ids}
    return _object(
        {
            "labels": {"type": "array", "items": label},
            "certainty": {"type": "integer"},
            "runner_up": label,
            "quotes": {"type": "array", "items": {"type": "string"}},
        }
    )


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


class _Read(NamedTuple):
    """The valid answers of a reply, and its first mistake; None without any."""

    answers: dict[str, Answer]
    mistake: str | None


def _read(reply: Reply, taxonomy: Taxonomy) -> _Read:
    if reply.finish_reason == "length":
        return _Read({}, "it was cut off; keep the rationale and the quotes short")
    found = re.search(r"\{.*\}", reply.text, re.DOTALL)
    try:
        content = json.loads(found.group() if found else reply.text)
    except json.JSONDecodeError as error:
        return _Read({}, f"it is not JSON ({error.msg} at character {error.pos})")
    if not isinstance(content, dict):
        return _Read({}, "it is not a JSON object")
    rationale = str(content.get("rationale", ""))[:1_000]
    answers: dict[str, Answer] = {}
    mistakes: list[str] = []
    for facet in taxonomy.triaged:
        try:
            answer = _FacetAnswer.model_validate(content.get(facet.id))
            answers[facet.id] = _answer(answer, facet, taxonomy, rationale)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in (facet.id, *first["loc"]))
            mistakes.append(f"{place}: {first['msg']}")
        except InvalidInput as error:
            mistakes.append(error.detail)
    return _Read(answers, mistakes[0] if mistakes else None)


def _answer(given: _FacetAnswer, facet: Facet, taxonomy: Taxonomy, rationale: str) -> Answer:
    labels = taxonomy.canonical(facet.id, given.labels[:1] if facet.cardinality == "single" else given.labels)
    certainty = given.certainty / 100
    if facet.cardinality == "multi":
        distribution = dict.fromkeys(labels, certainty)
    else:
        others = [label for label in (*labels[1:], given.runner_up) if label in facet.ids and label != labels[0]]
        shares = {label: (1 - certainty) / 2**n for n, label in enumerate(dict.fromkeys(others), start=1)}
        distribution = {labels[0]: certainty, **shares}
    return Answer(distribution=distribution, quotes=tuple(given.quotes[:3]), rationale=rationale)
