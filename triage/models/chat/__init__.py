"""Chat models: the port. Adapters: `openai.py` (any OpenAI-compatible endpoint) and `langchain.py` (all others)."""

from __future__ import annotations

from typing import Any, Literal, Protocol

from pydantic import BaseModel, Field


class Message(BaseModel, frozen=True):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class Request(BaseModel, frozen=True):
    """One question to a chat model.

    With `schema_` (a JSON schema) the model is asked for a JSON object of that shape; the caller still validates it.
    `top_logprobs` asks for the log-probabilities of that many candidates for the first token.
    `sample` numbers the samples of one question at a temperature above 0.
    `deadline_s` bounds the call including all retries.
    """

    messages: tuple[Message, ...]
    schema_: dict[str, Any] | None = None
    max_tokens: int = Field(default=800, gt=0)
    temperature: float = 0.0
    top_logprobs: int = Field(default=0, ge=0, le=20)
    sample: int = Field(default=0, ge=0)
    deadline_s: float = Field(default=60.0, gt=0)


class Reply(BaseModel, frozen=True):
    """A model's reply. `first_token_logprobs` maps candidates for the first token to natural log-probabilities.

    A reply with `is_cached` was paid for earlier; its token counts are those of the original call.
    """

    text: str
    finish_reason: str = "stop"
    model: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    retries: int = 0
    is_cached: bool = False
    first_token_logprobs: dict[str, float] = Field(default_factory=dict)


class ChatModel(Protocol):
    """A chat model of any provider. It handles retries and the deadline itself."""

    @property
    def name(self) -> str: ...

    async def complete(self, request: Request) -> Reply:
        """Return one reply. Raises `ModelUnavailable` with the cause if none arrives before the deadline."""
        ...


def is_transient_status(status: int) -> bool:
    """True for HTTP statuses after which another try may succeed."""
    return status in {408, 409, 425, 429} or status >= 500
