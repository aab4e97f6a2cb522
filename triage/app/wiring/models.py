"""The models that the settings name: chat models with their limits and prices, and the embedder."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple, Protocol
from urllib.parse import urlsplit

from triage.app.settings import Settings
from triage.domain.errors import MisconfiguredService
from triage.domain.taxonomy import Taxonomy
from triage.models.chat import ChatModel
from triage.models.chat.gate import Gate, Limits
from triage.observability.progress import Progress, silent

if TYPE_CHECKING:
    from triage.models.chat.breaker import Breaker, State
    from triage.models.chat.budget import Budget, Ledger
    from triage.models.chat.observer import ModelObserver
    from triage.models.chat.prices import Price
    from triage.models.embedding import Embedder
    from triage.pipeline.classification import Classifier
    from triage.store import Store

_log = logging.getLogger(__name__)

LOCAL_DEADLINE_S = 300.0
"""Deadline of one call: the local model takes over a minute for its first prompt, and longer on busy cores."""

LOCAL_WRITE_UP_CHARACTERS = 1_600
"""How much of a write-up the local model reads: it takes a second for 70 tokens on two cores."""

_WRITE_UP_CHARACTERS = 24_000
_DEADLINE_S = 60.0
_LOCAL_INCIDENT_DEADLINE_S = 600.0
REPLAY = "replay:"
"""Begins the name of a model whose answers are recorded ones."""


def is_replayed(settings: Settings) -> bool:
    """True if the model's answers are recorded ones."""
    return settings.model.startswith(REPLAY)


class Model(ChatModel, Protocol):
    """A chat model of a provider, as the registry opens it."""

    async def ping(self) -> str:
        """Describe the provider's state without a charge. Raises `ModelUnavailable` if it can't be reached."""
        ...

    async def aclose(self) -> None:
        """Close connections and stop processes."""
        ...


class _Order(NamedTuple):
    """What an adapter may need to open a chat model."""

    settings: Settings
    progress: Progress
    gate: Gate
    taxonomy: Taxonomy | None


@asynccontextmanager
async def open_model(
    settings: Settings,
    progress: Progress = silent,
    gate: Gate | None = None,
    taxonomy: Taxonomy | None = None,
) -> AsyncIterator[Model | None]:
    """The chat model that the settings name, None for `none`. It is closed at the end.

    A local model starts with the first question. Calls of a remote model go through `gate`, or
    through one with the settings' limits. A replayed model answers for `taxonomy`. Raises `MisconfiguredService` if
    something is missing.
    """
    if settings.model == "none":
        yield None
        return
    order = _Order(settings, progress, gate or provider_gate(settings), taxonomy)
    provider, separator, _ = settings.model.partition(":")
    # Unknown providers are opened through LangChain, unless an endpoint is set.
    other = _open_langchain if separator and not settings.base_url else _open_openai
    model = await _CHAT_MODELS.get(provider + separator, other)(order)
    try:
        yield model
    finally:
        await model.aclose()


def guard(
    model: ChatModel, ledger: Ledger, observer: ModelObserver | None, budget: Budget, price: Price | None
) -> Breaker:
    """Put `model` behind a circuit breaker and a budget. A call that the breaker rejects costs no budget."""
    from triage.models.chat.breaker import Breaker
    from triage.models.chat.budget import BudgetedChat
    from triage.models.chat.observer import ObservedChat

    def log_change(name: str, state: State) -> None:
        _log.log(logging.INFO if state == "half_open" else logging.WARNING, "Circuit breaker of %s: %s", name, state)
        if observer is not None:
            observer.breaker_changed(name, state)

    observed = ObservedChat(model, observer, price) if observer is not None else model
    return Breaker(BudgetedChat(observed, ledger, budget, price), on_change=log_change)


def build_classifier(settings: Settings, model: ChatModel | None) -> Classifier | None:
    """The classifier that the settings name for `model`, or that suits it."""
    if model is None:
        return None
    deadline_s = settings.model_deadline_s or (LOCAL_DEADLINE_S if settings.is_local else _DEADLINE_S)
    answers = settings.answers
    if answers == "auto":
        answers = "letters" if settings.is_local else getattr(model, "answers", "structured")
    if answers == "letters":
        from triage.pipeline.classification.letters import SAMPLES, LetterClassifier

        return LetterClassifier(
            model, deadline_s=deadline_s, samples=settings.samples or SAMPLES, prompts=settings.prompts
        )
    from triage.pipeline.classification.structured import StructuredClassifier

    return StructuredClassifier(model, deadline_s=deadline_s, samples=settings.samples or 1, prompts=settings.prompts)


def build_embedder(settings: Settings) -> Embedder:
    """The embedder that the settings name. Raises `MisconfiguredService` if its key is missing."""
    provider, separator, _ = settings.embedding_model.partition(":")
    return _EMBEDDERS.get(provider + separator, _endpoint_embedder)(settings)


def find_price(settings: Settings) -> Price | None:
    """What the model charges, by the price file of the settings: 0 for the local one, None where unknown."""
    from triage.models.chat.prices import Price, load_prices

    if settings.is_local or settings.model == "none" or is_replayed(settings):
        return Price(prompt=0, completion=0)
    prices = load_prices(settings.prices) if settings.prices else {}
    return prices.get(settings.model) or prices.get(settings.model.removeprefix("openai:"))


def incident_deadline_s(settings: Settings, *, alone: bool = False) -> float:
    """How long all calls for one incident may take together; with `alone`, those of the first model."""
    is_local = settings.is_local or (not alone and "local" in settings.fallback_models)
    return settings.model_deadline_s or (_LOCAL_INCIDENT_DEADLINE_S if is_local else _DEADLINE_S)


def write_up_characters(settings: Settings) -> int:
    """How much of a write-up the model reads, by the settings or by the kind of model."""
    return settings.write_up_characters or (LOCAL_WRITE_UP_CHARACTERS if settings.is_local else _WRITE_UP_CHARACTERS)


def check_models(settings: Settings) -> None:
    """Raise `MisconfiguredService` for an impossible fallback, or for a budget in dollars without a price."""
    for name in settings.fallback_models:
        if name in ("none", settings.model) or name.startswith(REPLAY):
            raise MisconfiguredService(
                f"TRIAGE_FALLBACK_MODELS names {name!r}: name models other than TRIAGE_MODEL. The history and the "
                "definitions answer behind the last of them in any case.",
                setting="TRIAGE_FALLBACK_MODELS",
            )
    if settings.daily_cost is None:
        return
    for name in (settings.model, *settings.fallback_models):
        if find_price(settings.model_copy(update={"model": name})) is None:
            raise MisconfiguredService(
                f"TRIAGE_DAILY_COST sets a budget in US dollars, and there is no price for {name!r}: add it to the "
                "file that TRIAGE_PRICES names, or set TRIAGE_DAILY_TOKENS instead.",
                setting="TRIAGE_DAILY_COST",
            )


def provider_name(settings: Settings) -> str:
    """The provider's name in shared rate limits: its endpoint, without credentials."""
    if settings.is_local or is_replayed(settings):
        return "local"
    if settings.base_url:
        parts = urlsplit(settings.base_url)
        return f"{parts.hostname}:{parts.port or parts.scheme}{parts.path.rstrip('/')}"
    provider, separator, _ = settings.model.partition(":")
    return provider if separator and provider != "ft" else "openai"


def provider_gate(settings: Settings, at_once: int | None = None) -> Gate:
    """A gate with the settings' rate limits and at most `at_once` requests in flight."""
    return Gate(Limits(at_once, settings.requests_per_minute, settings.tokens_per_minute))


def shared_gate(settings: Settings, store: Store) -> Gate:
    """A gate that shares the provider's rate limits with all other processes on the same database."""
    from triage.models.chat.shared_rate_limit import SharedRateLimit

    limits = Limits(None, settings.requests_per_minute, settings.tokens_per_minute)
    return Gate(shared=SharedRateLimit(store.rate_limits, provider_name(settings), limits)) if any(limits) else Gate()


async def _open_local(order: _Order) -> Model:
    from triage.models.chat.local import LocalChat, LocalModelServer
    from triage.models.chat.weights import find_weights

    settings, progress = order.settings, order.progress
    weights = await asyncio.to_thread(find_weights, settings.local_model_path, settings.cache_dir, progress)
    return LocalChat(LocalModelServer(weights, settings.data_dir / "local-model.log", threads=settings.local_threads))


async def _open_replay(order: _Order) -> Model:
    from triage.evaluation.recordings import open_replay

    source = order.settings.model.removeprefix(REPLAY)
    return open_replay(source, order.taxonomy or Taxonomy.load(order.settings.taxonomy))


async def _open_openai(order: _Order) -> Model:
    from triage.models.chat.openai import OpenAIChat

    settings = order.settings
    key = _api_key(settings, "TRIAGE_MODEL", settings.base_url)
    return OpenAIChat(settings.model.removeprefix("openai:"), settings.base_url, key, gate=order.gate)


async def _open_langchain(order: _Order) -> Model:
    from triage.models.chat.langchain import LangChainChat

    provider, _, name = order.settings.model.partition(":")
    return LangChainChat(name, provider, gate=order.gate)


def _minilm(_: Settings) -> Embedder:
    from triage.models.embedding.onnx import MiniLM

    return MiniLM()


def _endpoint_embedder(settings: Settings) -> Embedder:
    from triage.models.embedding.openai import OpenAIEmbedder

    base_url = settings.embedding_base_url or settings.base_url
    return OpenAIEmbedder(settings.embedding_model, base_url, _api_key(settings, "TRIAGE_EMBEDDING_MODEL", base_url))


_CHAT_MODELS: dict[str, Callable[[_Order], Awaitable[Model]]] = {
    "local": _open_local,
    REPLAY: _open_replay,
    "openai:": _open_openai,
    "ft:": _open_openai,  # OpenAI's fine-tuned models
}
"""Chat models by name, or by provider with a colon. A new adapter needs its file and a line here."""

_EMBEDDERS: dict[str, Callable[[Settings], Embedder]] = {"local": _minilm}
"""Embedders by name, or by provider with a colon. All others are models of an OpenAI-compatible endpoint."""


def _api_key(settings: Settings, variable: str, base_url: str | None) -> str:
    if settings.api_key is not None:
        return settings.api_key.get_secret_value()
    if base_url:
        # Self-hosted endpoints (vLLM, Ollama, llama.cpp) often need no key, but the client requires one.
        return "none"
    raise MisconfiguredService(
        f"{variable} names a model at api.openai.com, which needs a key: set OPENAI_API_KEY, or TRIAGE_BASE_URL for an "
        f"endpoint of your own, or {variable}=local.",
        setting=variable,
    )
