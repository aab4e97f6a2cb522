"""Answers as single letters with log-probabilities: made for small local models with a cached prompt prefix."""

from __future__ import annotations

import math
import re
import string
from collections.abc import Sequence

from triage.annotation import Labels
from triage.classification import Answer, Classification, Subject, Usage, normalised
from triage.classification.codebook import numbered, plain
from triage.classification.priors import measured_prior
from triage.classification.prompts import load
from triage.classification.sentences import Sentence
from triage.errors import ModelUnavailable
from triage.llm import ChatModel, Message, Reply, Request
from triage.taxonomy import Facet, Label, Taxonomy

_WITHOUT_CONTENT = Subject(sentences=(Sentence(start=0, text="N/A"),))
_CONSIDERED_PARENT = 0.25
"""A parent label this likely has its children asked for too."""
_LEAST_PRIOR = 0.02


class LetterClassifier:
    """One question per facet, answered with one letter; the letters' log-probabilities are the labels'.

    What a model favours anyway is handed on as the prior. It is shipped where it was measured, see `priors.py`; else
    the model is asked once about a write-up without content, and half of what it says then is believed (contextual
    calibration: Zhao et al., 'Calibrate before use', 2021, arXiv:2102.09690).
    """

    def __init__(self, model: ChatModel, *, deadline_s: float = 60.0) -> None:
        self._model = model
        self._deadline_s = deadline_s
        self._letters, self._quote = load("letters"), load("quote")
        self._priors: dict[tuple[str, str, tuple[str, ...]], dict[str, float]] = {}

    @property
    def prompts(self) -> tuple[str, ...]:
        return self._letters.name, self._quote.name

    async def prepare(self, taxonomy: Taxonomy) -> None:
        """See `Classifier.prepare`: the priors."""
        for facet in taxonomy.triaged:
            for options in facet.groups:
                await self._prior(taxonomy, facet, options)

    async def classify(self, subject: Subject, taxonomy: Taxonomy) -> Classification:
        """See `Classifier.classify`. A child facet is asked for under each likely parent label."""
        answers: dict[str, Answer] = {}
        usage = Usage()
        for facet in taxonomy.triaged:
            parents = _beyond_prior(answers[facet.parent]) if facet.parent in answers else {"": 1.0}
            distribution: dict[str, float] = {}
            prior: dict[str, float] = {}
            for parent, weight in parents.items():
                if weight < _CONSIDERED_PARENT and distribution:
                    continue
                options = facet.children([parent]) if parent else list(facet.labels)
                said, used = await self._ask(subject, facet, options)
                favoured, extra = await self._prior(taxonomy, facet, options)
                distribution |= {label: weight * share for label, share in said.items()}
                prior |= favoured
                usage += used + extra
            answers[facet.id] = Answer(distribution=normalised(distribution), prior=prior)
        return Classification(answers=answers, usage=usage)

    async def quote(
        self, subject: Subject, taxonomy: Taxonomy, labels: Labels
    ) -> tuple[dict[str, tuple[str, ...]], Usage]:
        """See `Classifier.quote`. The model names a sentence by its number, so no word is wrong."""
        quotes: dict[str, tuple[str, ...]] = {}
        usage = Usage()
        for facet_id, ids in labels.items():
            facet = taxonomy.facet(facet_id)
            label = facet.label(ids[0])
            question = self._quote.messages(
                write_up=numbered(subject), facet=facet.name, label=f"{label.name}: {label.definition}"
            )
            reply = await self._complete(question, max_tokens=3)
            usage += _usage(reply)
            number = re.search(r"\d+", reply.text)
            if number and 1 <= int(number.group()) <= len(subject.sentences):
                quotes[facet_id] = (subject.sentences[int(number.group()) - 1].text,)
        return quotes, usage

    async def _ask(self, subject: Subject, facet: Facet, options: Sequence[Label]) -> tuple[dict[str, float], Usage]:
        if len(options) == 1:
            return {options[0].id: 1.0}, Usage()
        lettered = dict(zip(string.ascii_uppercase, options, strict=False))
        messages = self._letters.messages(
            write_up=plain(subject),
            question=f"{facet.name}: {facet.question}",
            options="\n".join(f"{letter}. {label.name}: {label.definition}" for letter, label in lettered.items()),
        )
        reply = await self._complete(messages, max_tokens=1, top_logprobs=20)
        return _distribution(reply, {letter: label.id for letter, label in lettered.items()}), _usage(reply)

    async def _prior(
        self, taxonomy: Taxonomy, facet: Facet, options: Sequence[Label]
    ) -> tuple[dict[str, float], Usage]:
        key = (f"{taxonomy.id}@{taxonomy.version}", facet.id, tuple(label.id for label in options))
        if key in self._priors:
            return self._priors[key], Usage()
        used = Usage()
        measured = measured_prior(self._model.name, self._letters.name, taxonomy).get(facet.id, {})
        if all(label.id in measured for label in options):
            self._priors[key] = normalised({label.id: measured[label.id] for label in options})
        else:
            said, used = await self._ask(_WITHOUT_CONTENT, facet, options)
            self._priors[key] = normalised({label: math.sqrt(share) for label, share in said.items()})
        return self._priors[key], used

    async def _complete(self, messages: tuple[Message, ...], max_tokens: int, top_logprobs: int = 0) -> Reply:
        return await self._model.complete(
            Request(messages=messages, max_tokens=max_tokens, top_logprobs=top_logprobs, deadline_s=self._deadline_s)
        )


def _beyond_prior(answer: Answer) -> dict[str, float]:
    """Label -> what the model says of it beyond what it always says, normalised and best first."""
    return normalised(
        {k: share / max(answer.prior.get(k, 1.0), _LEAST_PRIOR) for k, share in answer.distribution.items()}
    )


def _distribution(reply: Reply, letters: dict[str, str]) -> dict[str, float]:
    """Label -> probability among the letters offered, from the first token's log-probabilities."""
    scores = dict.fromkeys(letters.values(), 0.0)
    for token, logprob in reply.first_token_logprobs.items():
        label = letters.get(token.strip())
        if label is not None:
            scores[label] += math.exp(logprob)
    if not any(scores.values()):
        answer = reply.text.strip()[:1].upper()
        if answer not in letters:
            raise ModelUnavailable(
                f"The model answered {reply.text[:40]!r} where one letter was asked for: "
                "choose another model, or set TRIAGE_ANSWERS=structured."
            )
        scores[letters[answer]] = 1.0
    return normalised(scores)


def _usage(reply: Reply) -> Usage:
    return Usage(
        prompt_tokens=reply.prompt_tokens, completion_tokens=reply.completion_tokens, calls=1, retries=reply.retries
    )
