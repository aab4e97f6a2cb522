"""Classification by single letters with log-probabilities, for small local models with a cached prompt prefix."""

from __future__ import annotations

import math
import re
import string
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path

import yaml
from pydantic import BaseModel, Field, TypeAdapter

from triage.domain.annotation import Labels
from triage.domain.errors import ModelUnavailable
from triage.domain.taxonomy import Facet, Label, Taxonomy
from triage.models.chat import ChatModel, Message, Reply, Request
from triage.pipeline.classification import Answer, Classification, Subject, Usage, normalised
from triage.pipeline.classification.codebook import numbered, plain
from triage.pipeline.classification.prompts import load
from triage.pipeline.classification.samples import sample, smoothed_shares
from triage.pipeline.classification.sentences import Sentence

SAMPLES = 5
"""Default number of letters per question if an endpoint returns no log-probabilities."""

WITHOUT_CONTENT = "N/A"
"""The write-up for which the model's answer shows its prior."""

_WITHOUT_CONTENT = Subject(sentences=(Sentence(start=0, text=WITHOUT_CONTENT),))
_CONSIDERED_PARENT = 0.25
"""The children of a parent label this likely are asked for."""
_LEAST_PRIOR = 0.02
_WHOLE_ANSWER_TOKENS = 16
_ANSWERED = re.compile(r"""\s*(?:```(?:json)?\s*)?(?:\{\s*"answer"\s*:\s*)?[\s("'*<]*([A-Za-z])(?![A-Za-z])""")


class LetterClassifier:
    """One question per facet, answered with one letter; its log-probabilities are those of the labels.

    The prior is what the model favours whatever the write-up says. It is shipped if it was measured, see
    `MeasuredPrior`. Otherwise it is the square root of the model's answer for a write-up without content (contextual
    calibration: Zhao et al., 'Calibrate before use', 2021, arXiv:2102.09690).

    An endpoint without log-probabilities is asked for `samples` letters, the first at temperature 0 and the others at
    0.7; a label's probability is its smoothed share.
    """

    def __init__(
        self, model: ChatModel, *, deadline_s: float = 60.0, samples: int = SAMPLES, prompts: Path | None = None
    ) -> None:
        self._model = model
        self._samples = samples
        self._deadline_s = deadline_s
        self._letters, self._quote = load("letters", prompts), load("quote", prompts)
        self._priors: dict[tuple[str, str, tuple[str, ...]], dict[str, float]] = {}

    @property
    def prompts(self) -> tuple[str, ...]:
        return self._letters.name, self._quote.name

    async def prepare(self, taxonomy: Taxonomy) -> None:
        """See `Classifier.prepare`: measures the priors."""
        for facet in taxonomy.triaged:
            for options in facet.groups:
                await self.prior(taxonomy, facet, options)

    async def classify(self, subject: Subject, taxonomy: Taxonomy) -> AsyncIterator[Classification]:
        """See `Classifier.classify`. A child facet is asked for under each likely parent label."""
        answers: dict[str, Answer] = {}
        for facet in taxonomy.triaged:
            distribution: dict[str, float] = {}
            prior: dict[str, float] = {}
            for parent, weight in _parents(facet, answers, subject).items():
                if weight < _CONSIDERED_PARENT and distribution:
                    continue
                options = facet.children([parent]) if parent else list(facet.labels)
                probabilities, used = await self._ask(subject, facet, options)
                yield Classification(usage=used)
                group_prior, used = await self.prior(taxonomy, facet, options)
                yield Classification(usage=used)
                distribution |= {label: weight * share for label, share in probabilities.items()}
                prior |= group_prior
            answers[facet.id] = Answer(distribution=normalised(distribution), prior=prior)
            yield Classification(answers={facet.id: answers[facet.id]})

    def known_prior(self, taxonomy: Taxonomy, facet: Facet) -> dict[str, float] | None:
        """See `Classifier.known_prior`."""
        found: dict[str, float] = {}
        for options in facet.groups:
            prior = self._known_prior(taxonomy, facet, options)
            if prior is None:
                return None
            found |= prior
        return found

    async def quote(
        self, subject: Subject, taxonomy: Taxonomy, labels: Labels
    ) -> tuple[dict[str, tuple[str, ...]], Usage]:
        """See `Classifier.quote`. The model gives the number of a sentence, so the quote is exact."""
        quotes: dict[str, tuple[str, ...]] = {}
        usage = Usage()
        for facet_id, ids in labels.items():
            facet = taxonomy.facet(facet_id)
            label = facet.label(ids[0])
            question = self._quote.messages(
                write_up=numbered(subject), facet=facet.name, label=f"{label.name}: {label.definition}"
            )
            reply = await self._model.complete(self._request(question, max_tokens=3))
            usage += Usage.of(reply)
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
        letters = {letter: label.id for letter, label in lettered.items()}
        reply = await self._model.complete(self._request(messages, max_tokens=1, top_logprobs=20))
        distribution = _distribution(reply, letters)
        if distribution:
            return distribution, Usage.of(reply)
        return await self._sampled(messages, reply, letters)

    async def _sampled(
        self, messages: tuple[Message, ...], first: Reply, letters: dict[str, str]
    ) -> tuple[dict[str, float], Usage]:
        """The labels' smoothed shares of `samples` letters; `first` counts if it is a letter."""
        votes = [label for label in [_label(first, letters)] if label]
        # A hosted model rarely continues the answer that was begun for it: it needs tokens to begin again.
        more = self._request(messages, max_tokens=_WHOLE_ANSWER_TOKENS)
        others = await sample(self._model, more, self._samples - len(votes))
        votes += [label for label in (_label(other, letters) for other in others) if label]
        if not votes:
            text = (others[0] if others else first).text
            raise ModelUnavailable(
                f"The model answered {text[:40]!r} instead of one letter: "
                "choose another model, or set TRIAGE_ANSWERS=structured."
            )
        usage = sum((Usage.of(other) for other in others), start=Usage.of(first))
        return normalised(smoothed_shares(votes, letters.values())), usage

    async def prior(self, taxonomy: Taxonomy, facet: Facet, options: Sequence[Label]) -> tuple[dict[str, float], Usage]:
        """The model's prior over labels that are offered together; measured once unless it is shipped."""
        known = self._known_prior(taxonomy, facet, options)
        if known is not None:
            return known, Usage()
        answer, used = await self._ask(_WITHOUT_CONTENT, facet, options)
        prior = normalised({label: math.sqrt(share) for label, share in answer.items()})
        self._priors[_offered(taxonomy, facet, options)] = prior
        return prior, used

    def _known_prior(self, taxonomy: Taxonomy, facet: Facet, options: Sequence[Label]) -> dict[str, float] | None:
        key = _offered(taxonomy, facet, options)
        measured = measured_prior(self._model.name, self._letters.name, taxonomy).get(facet.id, {})
        if key not in self._priors and all(label.id in measured for label in options):
            self._priors[key] = normalised({label.id: measured[label.id] for label in options})
        return self._priors.get(key)

    def _request(self, messages: tuple[Message, ...], max_tokens: int, top_logprobs: int = 0) -> Request:
        return Request(messages=messages, max_tokens=max_tokens, top_logprobs=top_logprobs, deadline_s=self._deadline_s)


class MeasuredPrior(BaseModel, frozen=True, extra="forbid"):
    """A model's average probability per label and facet; children are normalised under their parent.

    It is the mean of log-probabilities over `incidents` unlabelled write-ups (batch calibration: Zhou et al., 2023,
    arXiv:2309.17249). If that was no better, it is what `LetterClassifier` would ask for at its first incident, shipped
    to save time. Made by `evals/bench/priors.py`.
    """

    model: str
    prompt: str
    taxonomy: str
    incidents: int = Field(ge=1)
    source: str
    facets: dict[str, dict[str, float]]


def measured_prior(model: str, prompt: str, taxonomy: Taxonomy) -> dict[str, dict[str, float]]:
    """The shipped prior for exactly this model, prompt and taxonomy, by facet; empty if none was measured."""
    key = (model, prompt, f"{taxonomy.id}@{taxonomy.version}")
    return next((p.facets for p in shipped_priors() if (p.model, p.prompt, p.taxonomy) == key), {})


@cache
def shipped_priors() -> list[MeasuredPrior]:
    text = resources.files("triage.pipeline.classification").joinpath("priors.yaml").read_text(encoding="utf-8")
    return TypeAdapter(list[MeasuredPrior]).validate_python(yaml.safe_load(text))


def _offered(taxonomy: Taxonomy, facet: Facet, options: Sequence[Label]) -> tuple[str, str, tuple[str, ...]]:
    """What a prior belongs to: the labels that are offered together."""
    return f"{taxonomy.id}@{taxonomy.version}", facet.id, tuple(label.id for label in options)


def _parents(facet: Facet, answers: Mapping[str, Answer], subject: Subject) -> Mapping[str, float]:
    """The labels under which a facet is asked for, likeliest first; "" for all labels at once."""
    parent = facet.parent or ""
    return _beyond_prior(answers[parent]) if parent in answers else subject.likely.get(parent) or {"": 1.0}


def _beyond_prior(answer: Answer) -> dict[str, float]:
    """Label -> the model's probability divided by its prior, normalised and best first."""
    return normalised(
        {k: share / max(answer.prior.get(k, 1.0), _LEAST_PRIOR) for k, share in answer.distribution.items()}
    )


def _distribution(reply: Reply, letters: dict[str, str]) -> dict[str, float]:
    """Label -> probability among the offered letters, from the first token's log-probabilities; empty without any."""
    scores = dict.fromkeys(letters.values(), 0.0)
    for token, logprob in reply.first_token_logprobs.items():
        label = letters.get(token.strip())
        if label is not None:
            scores[label] += math.exp(logprob)
    return normalised(scores) if any(scores.values()) else {}


def _label(reply: Reply, letters: dict[str, str]) -> str | None:
    """The label whose letter is the answer, bare or as JSON; None for any other answer."""
    found = _ANSWERED.match(reply.text)
    return letters.get(found.group(1).upper()) if found else None
