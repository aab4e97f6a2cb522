"""Chat models behind any OpenAI-compatible endpoint, through the `openai` client."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import openai

from triage.errors import ModelUnavailable
from triage.llm import Reply, Request
from triage.llm.answer_format import OBJECTIONS, AnswerFormat, asked_in_words, looser_format
from triage.llm.retry import DEFAULT_POLICY, RetryPolicy, UnusableReply, call_with_retries

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletion, ChatCompletionMessage
    from openai.types.chat.chat_completion import Choice


class OpenAIChat:
    """A chat model behind an OpenAI-compatible endpoint; the endpoint's dialect is learned once and remembered."""

    def __init__(self, model: str, base_url: str | None, api_key: str, *, policy: RetryPolicy = DEFAULT_POLICY) -> None:
        self._model = model
        self._api_key = api_key
        self._policy = policy
        self._dialect = Dialect()
        self._client = openai.AsyncOpenAI(
            api_key=api_key, base_url=base_url, max_retries=0, http_client=openai.DefaultAioHttpClient()
        )

    @property
    def name(self) -> str:
        return self._model

    async def complete(self, request: Request) -> Reply:
        """See `ChatModel.complete`. A reply cut off by `max_tokens` has finish_reason `length`."""
        reply, retries = await call_with_retries(
            lambda: self._ask(request), request.deadline_s, policy=self._policy, secret=self._api_key
        )
        return reply.model_copy(update={"retries": retries})

    async def ping(self) -> str:
        """A word on the endpoint's state, without a charge. Raises `ModelUnavailable` if it is not reachable."""
        try:
            await self._client.models.list(timeout=_PING_WITHIN_S)
        except openai.AuthenticationError as error:
            raise ModelUnavailable(f"{self._client.base_url} refuses the key: check OPENAI_API_KEY.") from error
        except openai.APIStatusError as error:
            # Many a compatible endpoint has no list of its models, and answers all the same.
            if error.status_code >= 500:
                raise ModelUnavailable(f"{self._client.base_url} answers {error.status_code}.") from error
        except openai.APIConnectionError as error:
            raise ModelUnavailable(f"{self._client.base_url} is not reachable: check TRIAGE_BASE_URL.") from error
        return f"{self._model}: {self._client.base_url} is reachable"

    async def aclose(self) -> None:
        """End the connections."""
        await self._client.close()

    async def _ask(self, request: Request) -> Reply:
        known = dialect = self._dialect
        while True:
            try:
                completion = await self._client.chat.completions.create(
                    model=self._model, **dialect.arguments(request), timeout=request.deadline_s
                )
            except openai.APIStatusError as error:
                simpler = dialect.simpler(error, request)
                if simpler is None:
                    raise
                dialect = simpler
                continue
            except json.JSONDecodeError as error:
                raise UnusableReply(f"the body is not JSON ({error.msg})") from error
            reply = _read(completion)
            # Only what led to an answer is remembered: a wrong guess costs one call, not the endpoint's abilities.
            # A call that learned nothing leaves alone what others learned meanwhile.
            if dialect is not known:
                self._dialect = dialect
            return reply


@dataclass(frozen=True)
class Dialect:
    """What an endpoint understands of the chat completions interface."""

    answer_format: AnswerFormat = "json_schema"
    takes_strict: bool = True
    most_logprobs: int = 20
    tokens_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    takes_temperature: bool = True

    def arguments(self, request: Request) -> dict[str, Any]:
        """`request` as keyword arguments of `chat.completions.create`."""
        messages = request.messages
        arguments: dict[str, Any] = {self.tokens_field: request.max_tokens}
        if self.takes_temperature:
            arguments["temperature"] = request.temperature
        if request.schema_ is not None:
            arguments |= self._format_of(request.schema_)
            if self.answer_format in {"json_object", "text"}:
                messages = asked_in_words(messages, request.schema_)
        if request.top_logprobs and self.most_logprobs:
            arguments |= {"logprobs": True, "top_logprobs": min(request.top_logprobs, self.most_logprobs)}
        arguments["messages"] = [{"role": message.role, "content": message.content} for message in messages]
        return arguments

    def simpler(self, error: openai.APIStatusError, request: Request) -> Dialect | None:
        """The next dialect to try after `error`, or None where the error is about something else."""
        if error.status_code not in OBJECTIONS:
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


_PING_WITHIN_S = 3.0
_ANSWER = "answer"


def _read(completion: ChatCompletion) -> Reply:
    """The reply in a completion. The client doesn't validate what endpoints send, so nothing is taken for granted."""
    choices = getattr(completion, "choices", None)
    if not choices:
        raise UnusableReply("the reply holds no answer (no choices)")
    choice: Choice = choices[0]
    message, finish_reason = choice.message, str(choice.finish_reason or "stop")
    refusal = getattr(message, "refusal", None)
    if refusal or finish_reason == "content_filter":
        raise ModelUnavailable(
            f"The model refused to answer: {refusal or 'stopped by the content filter'}. Choose another model.",
            finish_reason="refusal" if refusal else finish_reason,
        )
    text = _written(message)
    logprobs = _first_token_logprobs(choice)
    if not text and not logprobs and finish_reason != "length":
        raise UnusableReply(f"the answer is empty (finish reason {finish_reason!r})")
    usage = completion.usage
    return Reply(
        text=text,
        finish_reason="stop" if finish_reason == "tool_calls" else finish_reason,
        model=completion.model or "",
        prompt_tokens=(usage.prompt_tokens if usage else 0) or 0,
        completion_tokens=(usage.completion_tokens if usage else 0) or 0,
        first_token_logprobs=logprobs,
    )


def _written(message: ChatCompletionMessage | None) -> str:
    """What the model wrote: the arguments of the tool it called, else the content."""
    calls = getattr(message, "tool_calls", None)
    for call in calls if isinstance(calls, list) else ():
        arguments = getattr(getattr(call, "function", None), "arguments", None)
        if isinstance(arguments, dict):  # some endpoints don't write them as a string
            return json.dumps(arguments, ensure_ascii=False)
        if isinstance(arguments, str) and arguments.strip():
            return arguments
    content = getattr(message, "content", None)
    return content if isinstance(content, str) else ""


def _first_token_logprobs(choice: Choice) -> dict[str, float]:
    tokens = choice.logprobs.content if choice.logprobs else None
    if not tokens:
        return {}
    first = tokens[0]
    logprobs: dict[str, float] = {}
    for candidate in first.top_logprobs or ():
        # Different tokens can print alike: their probabilities add up.
        others = logprobs.get(candidate.token, -math.inf)
        logprobs[candidate.token] = max(others, candidate.logprob) + math.log1p(
            math.exp(-abs(others - candidate.logprob))
        )
    logprobs.setdefault(first.token, first.logprob)
    return logprobs
