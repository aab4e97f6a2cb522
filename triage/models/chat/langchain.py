"""Chat models of all other providers, through LangChain's `init_chat_model`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from triage.domain.errors import MisconfiguredService
from triage.models.chat import Reply, Request
from triage.models.chat.dialect import AnswerFormat, Dialect, LearnedDialect, append_schema
from triage.models.chat.gate import Gate
from triage.models.chat.retry import Retries, RetryPolicy, SettingNames, UnusableReply
from triage.models.chat.tracing import Endpoint, traced

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage
    from langchain_core.runnables import Runnable


class LangChainChat:
    """A chat model that LangChain can build, such as `LangChainChat("claude-sonnet-4-5", "anthropic")`.

    Log-probabilities differ between providers, so `first_token_logprobs` stays empty. `options` go to the provider's
    class (`api_key`, `base_url`, ...). Raises `MisconfiguredService` if the model can't be built.
    """

    def __init__(
        self,
        model: str,
        provider: str,
        *,
        policy: RetryPolicy | None = None,
        gate: Gate | None = None,
        **options: Any,
    ) -> None:
        self.name = f"{provider}:{model}"
        self.model_id = model
        self._provider = provider
        self.endpoint = Endpoint(provider)
        self._options = options
        # LangChain handles everything but the format and the temperature itself.
        start = Dialect(takes_strict=False, most_logprobs=0, tokens_field="max_completion_tokens")
        self._dialect = LearnedDialect(start)
        self._models: dict[tuple[int, float | None], BaseChatModel] = {}
        self._key_name = f"the key of {provider} (usually {provider.upper()}_API_KEY)"
        settings = SettingNames(model="TRIAGE_MODEL", base_url="TRIAGE_BASE_URL", api_key=self._key_name)
        self._retries = Retries(policy, gate, settings, secret=str(options.get("api_key", "")))
        self._model_for(max_tokens=800, temperature=0.0)

    @traced
    async def complete(self, request: Request) -> Reply:
        """See `ChatModel.complete`."""
        return await self._retries.complete(lambda: self._dialect.ask(self._send, request), request)

    async def ping(self) -> str:
        """Describe the configuration; LangChain can't check a provider without a charge."""
        return f"{self.name} is configured, not checked"

    async def aclose(self) -> None:
        """Do nothing: LangChain's clients manage their own connections."""

    async def _send(self, request: Request, dialect: Dialect) -> Reply:
        model = self._model_for(request.max_tokens, request.temperature if dialect.takes_temperature else None)
        messages, schema, answer_format = request.messages, request.schema_, dialect.answer_format
        if schema is not None and answer_format in {"json_object", "text"}:
            messages = append_schema(messages, schema)
        pairs = [(message.role, message.content) for message in messages]
        if schema is None or answer_format == "text":
            return self._read(await model.ainvoke(pairs))
        return self._read((await _structured(model, schema, _METHODS[answer_format]).ainvoke(pairs))["raw"])

    def _read(self, message: AIMessage) -> Reply:
        text = _text(message)
        metadata = message.response_metadata
        finish_reason = _finish_reason(metadata)
        if not text and finish_reason != "length":
            raise UnusableReply(f"the answer is empty (finish reason {finish_reason!r})")
        usage = message.usage_metadata
        return Reply(
            text=text,
            finish_reason=finish_reason,
            model=str(metadata.get("model_name") or metadata.get("model") or self.model_id),
            prompt_tokens=usage["input_tokens"] if usage else 0,
            completion_tokens=usage["output_tokens"] if usage else 0,
        )

    def _model_for(self, max_tokens: int, temperature: float | None) -> BaseChatModel:
        key = (max_tokens, temperature)
        if key not in self._models:
            chosen = {} if temperature is None else {"temperature": temperature}
            self._models[key] = self._build(max_tokens=max_tokens, max_retries=0, **chosen, **self._options)
        return self._models[key]

    def _build(self, **arguments: Any) -> BaseChatModel:
        from langchain.chat_models import init_chat_model

        try:
            model: BaseChatModel = init_chat_model(self.model_id, model_provider=self._provider, **arguments)
        except ImportError as error:
            raise MisconfiguredService(
                f"LangChain needs a package for the provider {self._provider!r}: "
                f"`pip install langchain-{self._provider.replace('_', '-')}` ({_first_line(error)}).",
                provider=self._provider,
            ) from error
        except Exception as error:  # noqa: BLE001  each provider's class raises its own kinds
            raise MisconfiguredService(
                f"LangChain can't build {self.name}: {_first_line(error)} Check TRIAGE_MODEL and {self._key_name}.",
                provider=self._provider,
            ) from None
        return model


_METHODS: dict[AnswerFormat, dict[str, str]] = {
    "json_schema": {},  # the default of the provider's package: a schema if it supports one, else a tool
    "tool": {"method": "function_calling"},
    "json_object": {"method": "json_mode"},
}


class _Unsupported(Exception):
    """A provider's package doesn't support this way to structure the output."""

    status_code = 501


def _structured(model: BaseChatModel, schema: dict[str, Any], method: dict[str, str]) -> Runnable[Any, Any]:
    described = {"title": "answer", "description": "The answer.", **schema}
    try:
        # With `include_raw` LangChain neither raises nor repairs: the answer is read as the model wrote it.
        return model.with_structured_output(described, include_raw=True, **method)
    except (NotImplementedError, TypeError, ValueError) as error:
        raise _Unsupported(f"no structured output of this kind: {error}") from error


def _text(raw: AIMessage) -> str:
    """The answer as the model wrote it: a tool's arguments, else the text."""
    if raw.tool_calls:
        return json.dumps(raw.tool_calls[0]["args"], ensure_ascii=False)
    if raw.invalid_tool_calls:
        return raw.invalid_tool_calls[0]["args"] or ""
    return str(raw.text)


def _finish_reason(metadata: dict[str, Any]) -> str:
    """The finish reason in OpenAI's terms."""
    reasons = (metadata.get(name) for name in ("finish_reason", "stop_reason", "done_reason"))
    reason = str(next(filter(None, reasons), "stop")).lower()
    return {"max_tokens": "length", "end_turn": "stop", "tool_use": "stop", "tool_calls": "stop"}.get(reason, reason)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
