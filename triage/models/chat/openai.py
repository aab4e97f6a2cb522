"""Chat models behind any OpenAI-compatible endpoint, through the `openai` client."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, replace
from typing import Any, Literal

import openai
from pydantic_core import from_json, to_json

from triage.domain.errors import ModelUnavailable
from triage.models.chat import Reply, Request
from triage.models.chat.answer_format import UNSUPPORTED_STATUSES, AnswerFormat, append_schema, looser_format
from triage.models.chat.gate import Gate
from triage.models.chat.retry import DEFAULT_POLICY, RetryPolicy, UnusableReply, complete_with_retries
from triage.models.chat.tracing import Endpoint, traced


class OpenAIChat:
    """A chat model behind an OpenAI-compatible endpoint. It learns once what the endpoint supports, its `Dialect`."""

    def __init__(
        self,
        model: str,
        base_url: str | None,
        api_key: str,
        *,
        policy: RetryPolicy = DEFAULT_POLICY,
        gate: Gate | None = None,
    ) -> None:
        self._model = model
        self._api_key = api_key
        self._policy = policy
        self._gate = gate or Gate()
        self._dialect = Dialect()
        self._client = openai.AsyncOpenAI(
            api_key=api_key, base_url=base_url, max_retries=0, http_client=openai.DefaultAioHttpClient()
        )
        self._url = str(self._client.base_url.join("chat/completions"))
        self.endpoint = Endpoint.of("openai", str(self._client.base_url))

    @property
    def name(self) -> str:
        return self._model

    @property
    def model_id(self) -> str:
        """The model's name at the endpoint."""
        return self._model

    @traced
    async def complete(self, request: Request) -> Reply:
        """See `ChatModel.complete`. A reply cut off by `max_tokens` has finish_reason `length`."""
        return await complete_with_retries(self._ask, request, self._gate, policy=self._policy, secret=self._api_key)

    async def ping(self) -> str:
        """Describe the endpoint's state without a charge. Raises `ModelUnavailable` if it can't be reached."""
        try:
            await self._client.models.list(timeout=_PING_TIMEOUT_S)
        except openai.AuthenticationError as error:
            raise ModelUnavailable(f"{self._client.base_url} rejects the key: check OPENAI_API_KEY.") from error
        except openai.APIStatusError as error:
            # Many compatible endpoints can't list their models, but work.
            if error.status_code >= 500:
                raise ModelUnavailable(f"{self._client.base_url} answers {error.status_code}.") from error
        except openai.APIConnectionError as error:
            raise ModelUnavailable(f"{self._client.base_url} is not reachable: check TRIAGE_BASE_URL.") from error
        return f"{self._model}: {self._client.base_url} is reachable"

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _ask(self, request: Request) -> Reply:
        known = dialect = self._dialect
        while True:
            try:
                # `chat.completions.create` converts arguments and answer to its types, which takes half of a call's
                # CPU time and isn't needed here.
                body = await self._client.post(
                    self._url,
                    cast_to=bytes,
                    content=to_json({"model": self._model, **dialect.arguments(request)}),
                    options={"timeout": request.deadline_s},
                )
            except openai.APIStatusError as error:
                simpler = dialect.simpler(error, request)
                if simpler is None:
                    raise
                dialect = simpler
                continue
            reply = _read(body)
            # Remember only what led to an answer: a wrong guess then costs one call. A call that learned nothing
            # must not overwrite what others learned meanwhile.
            if dialect is not known:
                self._dialect = dialect
            return reply


@dataclass(frozen=True)
class Dialect:
    """What an endpoint supports of the chat completions API."""

    answer_format: AnswerFormat = "json_schema"
    takes_strict: bool = True
    most_logprobs: int = 20
    tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    takes_temperature: bool = True

    def arguments(self, request: Request) -> dict[str, Any]:
        """The body of `request`, without the model."""
        messages = request.messages
        arguments: dict[str, Any] = {self.tokens_field: request.max_tokens}
        if self.takes_temperature:
            arguments["temperature"] = request.temperature
        if request.schema_ is not None:
            arguments |= self._format_of(request.schema_)
            if self.answer_format in {"json_object", "text"}:
                messages = append_schema(messages, request.schema_)
        if request.top_logprobs and self.most_logprobs:
            arguments |= {"logprobs": True, "top_logprobs": min(request.top_logprobs, self.most_logprobs)}
        arguments["messages"] = [{"role": message.role, "content": message.content} for message in messages]
        return arguments

    def simpler(self, error: openai.APIStatusError, request: Request) -> Dialect | None:
        """The next dialect to try after `error`. None if the error is about something else."""
        if error.status_code not in UNSUPPORTED_STATUSES:
            return None
        complaint = f"{error.param or ''} {error.message}".lower()
        if "logprob" in complaint and request.top_logprobs and self.most_logprobs:
            return replace(self, most_logprobs=5 if min(request.top_logprobs, self.most_logprobs) > 5 else 0)
        if "max_completion_tokens" in complaint and self.tokens_field == "max_tokens":
            return replace(self, tokens_field="max_completion_tokens")
        if "temperature" in complaint and self.takes_temperature:
            return replace(self, takes_temperature=False)
        return self._simpler_format(error.status_code, complaint) if request.schema_ is not None else None

    def _simpler_format(self, status: int, complaint: str) -> Dialect | None:
        if re.search(r"\bstrict\b", complaint) and self.takes_strict and self.answer_format in {"json_schema", "tool"}:
            return replace(self, takes_strict=False)
        looser = looser_format(self.answer_format, status, complaint)
        return looser and replace(self, answer_format=looser)

    def _format_of(self, schema: dict[str, Any]) -> dict[str, Any]:
        strict = {"strict": True} if self.takes_strict else {}
        match self.answer_format:
            case "json_schema":
                described = {"name": _ANSWER, **strict, "schema": schema}
                return {"response_format": {"type": "json_schema", "json_schema": described}}
            case "tool":
                function = {"name": _ANSWER, "description": "Give the answer.", **strict, "parameters": schema}
                return {
                    "tools": [{"type": "function", "function": function}],
                    "tool_choice": {"type": "function", "function": {"name": _ANSWER}},
                }
            case "json_object":
                return {"response_format": {"type": "json_object"}}
            case "text":
                return {}


_PING_TIMEOUT_S = 3.0
_ANSWER = "answer"


def _read(body: bytes) -> Reply:
    """Read the reply in a completion. Endpoints may send anything, so nothing is assumed."""
    try:
        completion = _mapping(from_json(body))
    except ValueError as error:
        raise UnusableReply(f"the body is not JSON ({error})") from error
    choices = completion.get("choices")
    if not isinstance(choices, list) or not choices:
        raise UnusableReply("the reply has no choices")
    choice, usage = _mapping(choices[0]), _mapping(completion.get("usage"))
    message, finish_reason = _mapping(choice.get("message")), str(choice.get("finish_reason") or "stop")
    refusal = message.get("refusal")
    if refusal or finish_reason == "content_filter":
        raise ModelUnavailable(
            f"The model refused to answer: {refusal or 'stopped by the content filter'}. Choose another model.",
            finish_reason="refusal" if refusal else finish_reason,
        )
    text = _text(message)
    logprobs = _first_token_logprobs(choice)
    if not text and not logprobs and finish_reason != "length":
        raise UnusableReply(f"the answer is empty (finish reason {finish_reason!r})")
    return Reply(
        text=text,
        finish_reason="stop" if finish_reason == "tool_calls" else finish_reason,
        model=completion.get("model") or "",
        prompt_tokens=usage.get("prompt_tokens") or 0,
        completion_tokens=usage.get("completion_tokens") or 0,
        first_token_logprobs=logprobs,
    )


def _text(message: dict[str, Any]) -> str:
    """The arguments of the tool that the model called, else the content."""
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        arguments = _mapping(_mapping(call).get("function")).get("arguments")
        if isinstance(arguments, dict):  # some endpoints don't serialise them
            return json.dumps(arguments, ensure_ascii=False)
        if isinstance(arguments, str) and arguments.strip():
            return arguments
    content = message.get("content")
    return content if isinstance(content, str) else ""


def _first_token_logprobs(choice: dict[str, Any]) -> dict[str, float]:
    tokens = _mapping(choice.get("logprobs")).get("content")
    if not tokens:
        return {}
    first = tokens[0]
    logprobs: dict[str, float] = {}
    for candidate in first.get("top_logprobs") or ():
        # Different tokens can have the same text: add their probabilities.
        token, logprob = candidate["token"], candidate["logprob"]
        others = logprobs.get(token, -math.inf)
        logprobs[token] = max(others, logprob) + math.log1p(math.exp(-abs(others - logprob)))
    logprobs.setdefault(first["token"], first["logprob"])
    return logprobs


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
