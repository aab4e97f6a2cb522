"""A chat model that replays recorded answers, without calls and without a key."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, Field

from triage.domain.errors import ModelUnavailable
from triage.models.chat import Reply, Request

UNSTATED = 0.9
"""The certainty of a recorded label without one."""

_SHINGLE = 4
_LEAST_OVERLAP = 0.5
_FENCE = re.compile(r"<write_up>\n(.*?)\n</write_up>", re.DOTALL)
_OPTION = re.compile(r"^([A-Z])\. (.+?): ", re.MULTILINE)


class RecordedAnswer(BaseModel, frozen=True):
    """The answer for one facet: probability by label name or id, as recorded, and the quoted passages."""

    labels: dict[str, float] = Field(min_length=1)
    quotes: tuple[str, ...] = ()


class Recording(BaseModel, frozen=True):
    """The answers for one write-up, by facet."""

    incident_id: str
    text: str
    answers: dict[str, RecordedAnswer]


class ReplayChat:
    """Answers from recordings, found by the write-up in the prompt. Implements the `ChatModel` port.

    It answers both kinds of the classifiers' questions: an object with a schema, from the recorded labels and quotes,
    or one letter, with log-probabilities from the recorded probabilities. `answers` says which of the two suits the
    recordings. `names` maps facet -> label -> the label's name. A write-up without a recording, or with several that
    fit equally well, raises `ModelUnavailable`.
    """

    def __init__(
        self,
        name: str,
        recordings: Iterable[Recording],
        names: Mapping[str, Mapping[str, str]],
        answers: Literal["letters", "structured"] = "structured",
    ) -> None:
        self.answers = answers
        self.name = name
        self._recordings = list(recordings)
        self._words = [_shingles(recording.text) for recording in self._recordings]
        self._names = names

    async def complete(self, request: Request) -> Reply:
        """See `ChatModel.complete`. Takes no time and no tokens."""
        prompt = next((message.content for message in request.messages if "<write_up>" in message.content), "")
        recording = self._find(prompt)
        if request.schema_ is not None:
            return Reply(text=_as_json(recording, request.schema_), model=self.name)
        return self._as_letter(recording, prompt)

    async def ping(self) -> str:
        return f"{self.name}: {len(self._recordings)} recorded write-ups"

    async def aclose(self) -> None:
        """Do nothing: there is no connection."""

    def _find(self, prompt: str) -> Recording:
        found = _FENCE.search(prompt)
        prompted = _shingles(found.group(1)) if found else frozenset()
        shares = [len(prompted & words) / len(prompted) if prompted else 0.0 for words in self._words]
        best = max(shares, default=0.0)
        if best < _LEAST_OVERLAP:
            raise ModelUnavailable(f"{self.name} has no recorded answer for this write-up: replay its own data only.")
        candidates = [i for i, share in enumerate(shares) if share == best]
        # Among write-ups with equally many of the words, choose the one with the fewest others.
        shortest = min(len(self._words[i]) for i in candidates)
        candidates = [i for i in candidates if len(self._words[i]) == shortest]
        answers = {self._recordings[i].model_dump_json(include={"answers"}) for i in candidates}
        if len(answers) > 1:
            ids = ", ".join(self._recordings[i].incident_id for i in candidates)
            raise ModelUnavailable(f"{self.name} has several answers for this write-up: {ids} read the same.")
        return self._recordings[candidates[0]]

    def _as_letter(self, recording: Recording, prompt: str) -> Reply:
        options = dict(_OPTION.findall(prompt))
        for facet, answer in recording.answers.items():
            names = self._names.get(facet, {})
            ids = {letter: label for letter, name in options.items() for label in names if names[label] == name}
            if options and len(ids) == len(options):
                shares = {letter: answer.labels.get(label, 0.0) for letter, label in ids.items()}
                total = sum(shares.values())
                # Options without a recorded probability are equally likely.
                likely = {k: v / total if total else 1 / len(shares) for k, v in shares.items()}
                logprobs = {letter: math.log(max(share, 1e-9)) for letter, share in likely.items()}
                best = max(likely, key=lambda letter: likely[letter])
                return Reply(text=best, model=self.name, first_token_logprobs=logprobs)
        raise ModelUnavailable(f"{self.name} has no recorded answer for these options.")


def recordings_in(rows: Sequence[Mapping[str, Any]], run: str) -> list[Recording]:
    """Read the answers of one run from rows with a `recorded` field: run name -> field -> label or labels.

    Field `x_text` holds the quote for field `x`. Empty labels count as not answered.
    """
    recordings = []
    for row in rows:
        recorded = row.get("recorded", {}).get(run) or {}
        answers = {}
        for field, value in recorded.items():
            labels = [value] if isinstance(value, str) else value if isinstance(value, list) else []
            named = [label for label in labels if isinstance(label, str) and label]
            if named and not field.endswith("_text"):
                quote = recorded.get(f"{field}_text")
                quotes = (quote,) if isinstance(quote, str) and quote else ()
                answers[field] = RecordedAnswer(labels=dict.fromkeys(named, UNSTATED), quotes=quotes)
        if answers:
            text = f"{row.get('title') or ''}\n\n{row.get('text') or ''}"
            recordings.append(Recording(incident_id=str(row.get("id")), text=text, answers=answers))
    return recordings


def _as_json(recording: Recording, schema: Mapping[str, Any]) -> str:
    content: dict[str, Any] = {"rationale": "recorded answer"}
    for facet in schema["properties"]:
        answer = recording.answers.get(facet)
        if facet != "rationale" and answer is not None:
            ranked = sorted(answer.labels, key=lambda label: -answer.labels[label])
            likely = [label for label in ranked if answer.labels[label] >= 0.5] or ranked[:1]
            content[facet] = {
                "labels": likely,
                "certainty": round(100 * answer.labels[likely[0]]),
                "runner_up": next((label for label in ranked if label not in likely), ""),
                "quotes": list(answer.quotes),
            }
    return json.dumps(content, ensure_ascii=False)


def _shingles(text: str) -> frozenset[tuple[str, ...]]:
    """All runs of four consecutive words; a shorter text is one run."""
    words = re.findall(r"\w+", text.lower())
    starts = range(max(1, len(words) - _SHINGLE + 1)) if words else ()
    return frozenset(tuple(words[start : start + _SHINGLE]) for start in starts)
