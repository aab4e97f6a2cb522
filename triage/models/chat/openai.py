"""Chat models behind any OpenAI-compatible endpoint, through the `openai` client."""

from __future__ import annotations

import json
import math
from typing import Any

import openai
from pydantic_core import from_json, to_json

from triage.domain.errors import ModelUnavailable
from triage.models.chat import Reply, Request
from triage.models.chat.dialect import Dialect, LearnedDialect
from triage.models.chat.gate import Gate
from triage.models.chat.retry import Retries, RetryPolicy, UnusableReply
from triage.models.chat.tracing import Endpoint, traced

_PING_TIMEOUT_S = 3.0


class OpenAIChat:
    """A chat model behind an OpenAI-compatible endpoint. It learns once what the endpoint supports."""

    def __init__(
        self,
        model: str,
        base_url: str | None,
        api_key: str,
        *,
        policy: RetryPolicy | None = None,
        gate: Gate | None = None,
    ) -> None:
        self.name = self.model_id = model
        self._retries = Retries(policy, gate, secret=api_key)
        self._dialect = LearnedDialect()
        self._client = openai.AsyncOpenAI(
            api_key=api_key, base_url=base_url, max_retries=0, http_client=openai.DefaultAioHttpClient()
        )
        self._url = str(self._client.base_url.join("chat/completions"))
        self.endpoint = Endpoint.of("openai", str(self._client.base_url))

    @traced
    async def complete(self, request: Request) -> Reply:
        """See `ChatModel.complete`. A reply cut off by `max_tokens` has finish_reason `length`."""
        return await self._retries.complete(lambda: self._dialect.ask(self._send, request), request)

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
        return f"{self.name}: {self._client.base_url} is reachable"

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _send(self, request: Request, dialect: Dialect) -> Reply:
        # `chat.completions.create` converts arguments and answer to its types, which takes half of a call's CPU time
        # and isn't needed here.
        body = await self._client.post(
            self._url,
            cast_to=bytes,
            content=to_json({"model": self.model_id, **dialect.arguments(request)}),
            options={"timeout": request.deadline_s},
        )
        return _read(body)


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
