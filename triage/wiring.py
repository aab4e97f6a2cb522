"""The one place that knows which adapters are in use: it builds everything from the settings, at the edge."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import urlsplit

from pydantic import ValidationError

from triage.decision import RULE, WEIGHTS
from triage.errors import MisconfiguredService
from triage.incident import Scalar
from triage.llm.gate import Gate, Limits
from triage.pipeline import Pipeline, PipelineOptions, Way, circumstances
from triage.settings import Settings
from triage.taxonomy import Taxonomy

if TYPE_CHECKING:
    from triage.calibration import Calibrator, Circumstances
    from triage.casebook import Casebook
    from triage.classification import Classifier
    from triage.embedding import Embedder
    from triage.evaluation.prompted import ModelUnderTest
    from triage.evaluation.runner import TriageUnderTest
    from triage.evaluation.subject import PipelineUnderTest
    from triage.evaluation.suites import Suite
    from triage.history.chroma import ChromaHistory
    from triage.history.retrieval import Ranking
    from triage.live import LiveAgreement, LiveOptions
    from triage.llm import ChatModel
    from triage.llm.budget import Budget
    from triage.llm.langchain import LangChainChat
    from triage.llm.local import LocalChat
    from triage.llm.observing import ModelObserver
    from triage.llm.openai import OpenAIChat
    from triage.llm.prices import Price
    from triage.llm.replay import ReplayChat
    from triage.notifying import Notifier
    from triage.redaction import Redactor
    from triage.sealing import Sealer
    from triage.store import Store

    Model = LocalChat | OpenAIChat | LangChainChat | ReplayChat

LOCAL_WRITE_UP_CHARACTERS = 1_600
"""What the local model reads of a write-up: it reads about 70 tokens a second on two cores."""

LOCAL_DEADLINE_S = 300.0
"""The local model takes over a minute for its first prompt, and several where others need the cores."""

INCIDENT_DEADLINE_S = 60.0
"""How long all calls for one incident may take together."""

LOCAL_INCIDENT_DEADLINE_S = 600.0
"""The same with the local model in the chain: it is asked one question after the other."""

_REPLAY = "replay:"

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


def silent(_what: str, _done: int, _total: int) -> None:
    """Progress that nobody watches."""


class Records(NamedTuple):
    """What is kept, and what it is kept and found with."""

    taxonomy: Taxonomy
    store: Store
    history: ChromaHistory
    redactor: Redactor
    embedder: Embedder
    casebook: Casebook


class Desk(NamedTuple):
    """Everything that is needed to triage incidents and to keep them."""

    taxonomy: Taxonomy
    store: Store
    casebook: Casebook
    pipeline: Pipeline
    model: Model | None


@asynccontextmanager
async def open_desk(
    settings: Settings,
    progress: Progress = silent,
    *,
    index_in_memory: bool = True,
    observer: ModelObserver | None = None,
) -> AsyncIterator[Desk]:
    """The desk for `settings`, with the shipped history in place; everything is closed again at the end.

    `observer` is told of every call to a model.
    """
    async with (
        open_records(settings, progress, index_in_memory=index_in_memory) as records,
        open_ways(settings, records, progress, observer) as (model, ways),
    ):
        first = ways[0] if ways else None
        now = circumstances(records.taxonomy, records.embedder, None, None)
        pipeline = Pipeline(
            records.taxonomy,
            records.redactor,
            records.embedder,
            records.history,
            first.classifier if first else None,
            first.model if first else None,
            pipeline_options(settings),
            first.calibrator if first else find_calibrator(settings, now),
            fallbacks=ways[1:],
            deadline_s=incident_deadline_s(settings),
            most_s=first.most_s if first else INCIDENT_DEADLINE_S,
            price=first.price if first else None,
        )
        yield Desk(records.taxonomy, records.store, records.casebook, pipeline, model)


@asynccontextmanager
async def open_ways(
    settings: Settings, records: Records, progress: Progress = silent, observer: ModelObserver | None = None
) -> AsyncIterator[tuple[Model | None, tuple[Way, ...]]]:
    """The model that the settings name, bare, and the ways to an answer: through it and through each fallback.

    Their calls keep the rate limits and the budget of the day together with all other processes on the same database.
    Raises `MisconfiguredService` where something is missing.
    """
    from triage.llm.guarded import guarded
    from triage.llm.observing import Unobserved
    from triage.llm.weights import QWEN_CODER_1_5B

    check_models(settings)
    ways: list[Way] = []
    primary: Model | None = None
    gates: dict[str, Gate] = {}
    async with AsyncExitStack() as stack:
        for name in [] if settings.model == "none" else [settings.model, *settings.fallback_models]:
            own = settings.model_copy(update={"model": name})
            provider = provider_name(own)
            if provider not in gates:
                gates[provider] = shared_gate(own, records.store)
            # A local fallback is started when it is first needed: it takes two gigabytes.
            opened = open_model(own, progress, gates[provider], records.taxonomy, is_started=not ways)
            model = await stack.enter_async_context(opened)
            primary = primary or model
            price, asked = find_price(own), cast("ChatModel | None", model)
            if model is not None and not is_replayed(own):
                budget, ledger = daily_budget(own), records.store.spending.sparing(QWEN_CODER_1_5B.name)
                asked = guarded(model, ledger, observer or Unobserved(), budget=budget, price=price)
            if asked is not None and (classifier := build_classifier(own, asked)) is not None:
                now = circumstances(records.taxonomy, records.embedder, classifier, asked.name)
                found = find_calibrator(own, now)
                if ways and found is not None and found.circumstances.differences(now):
                    found = None
                most_s, read = incident_deadline_s(own, alone=True), pipeline_options(own).write_up_characters
                ways.append(Way(asked.name, classifier, found, read, most_s, price))
        yield primary, tuple(ways)


def check_models(settings: Settings) -> None:
    """Raise `MisconfiguredService` where the fallbacks make no chain, or a budget in dollars has no price to go by."""
    for name in settings.fallback_models:
        if name in ("none", settings.model) or name.startswith(_REPLAY):
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


def incident_deadline_s(settings: Settings, *, alone: bool = False) -> float:
    """How long all calls for one incident may take; with `alone` the share of the first model at most."""
    is_local = settings.is_local or (not alone and "local" in settings.fallback_models)
    return settings.model_deadline_s or (LOCAL_INCIDENT_DEADLINE_S if is_local else INCIDENT_DEADLINE_S)


def daily_budget(settings: Settings) -> Budget:
    """The budget that the settings give; none for the local model, which costs nothing."""
    from triage.llm.budget import Budget

    return Budget() if settings.is_local else Budget(settings.daily_tokens, settings.daily_cost)


def provider_name(settings: Settings) -> str:
    """What the shared pace calls the provider: the endpoint, without what may be secret in its address."""
    if settings.is_local or is_replayed(settings):
        return "local"
    if settings.base_url:
        parts = urlsplit(settings.base_url)
        return f"{parts.hostname}:{parts.port or parts.scheme}{parts.path.rstrip('/')}"
    provider, separator, _ = settings.model.partition(":")
    return provider if separator and provider != "ft" else "openai"


def shared_gate(settings: Settings, store: Store) -> Gate:
    """A gate that keeps the provider's limits together with all other processes on the same database."""
    from triage.llm.pace import SharedPace

    limits = Limits(None, settings.requests_per_minute, settings.tokens_per_minute)
    return Gate(pace=SharedPace(store.pace, provider_name(settings), limits)) if any(limits) else Gate()


@asynccontextmanager
async def open_records(
    settings: Settings, progress: Progress = silent, *, index_in_memory: bool = True
) -> AsyncIterator[Records]:
    """The store and the history of `settings`, filled.

    With `index_in_memory` the index is built from the system of record for this process alone, so that commands run
    beside a service on the same data; the service keeps its index in the data folder.
    """
    from triage.casebook import Casebook
    from triage.redaction import Redactor

    taxonomy = Taxonomy.load(settings.taxonomy)
    store = await prepare_store(settings)
    embedder = build_embedder(settings)
    redactor = Redactor()
    history = open_history(settings, embedder, None if index_in_memory else settings.data_dir / "index")
    try:
        casebook = Casebook(store, history, redactor, embedder, taxonomy)
        async with store.processes.one_at_a_time("fill"):
            await fill(casebook, store, settings, progress)
        yield Records(taxonomy, store, history, redactor, embedder, casebook)
    finally:
        history.close()
        await embedder.aclose()
        await store.close()


@asynccontextmanager
async def open_index(settings: Settings) -> AsyncIterator[Casebook]:
    """The casebook over the index that a service uses, as it is: nothing is brought in line first.

    Raises `MisconfiguredService` where a running service has the index in the data folder open.
    """
    from triage.casebook import Casebook
    from triage.redaction import Redactor

    async with open_store(settings) as (store, taxonomy):
        embedder = build_embedder(settings)
        history = open_history(settings, embedder, settings.data_dir / "index")
        try:
            yield Casebook(store, history, Redactor(), embedder, taxonomy)
        finally:
            history.close()
            await embedder.aclose()


@asynccontextmanager
async def open_importing(settings: Settings, progress: Progress = silent) -> AsyncIterator[tuple[Casebook, Store]]:
    """The casebook for bringing much in. The index of a Chroma server is written too, that of a service follows."""
    from triage.casebook import Casebook
    from triage.history.nothing import NoIndex
    from triage.redaction import Redactor

    async with open_store(settings) as (store, taxonomy):
        embedder = build_embedder(settings)
        history = open_history(settings, embedder, None) if settings.chroma_url else NoIndex()
        try:
            casebook = Casebook(store, history, Redactor(), embedder, taxonomy)
            await _bring_shipped_history(casebook, store, settings, progress)
            yield casebook, store
        finally:
            history.close()
            await embedder.aclose()


@asynccontextmanager
async def open_subject(
    settings: Settings,
    suite: Suite,
    taxonomy: Taxonomy,
    progress: Progress = silent,
    *,
    gate: Gate | None = None,
    cache: Path | None = None,
) -> AsyncIterator[tuple[TriageUnderTest, dict[str, Scalar]]]:
    """What `suite` examines, over an empty history of its own, and everything that decides its results, by name.

    The taxonomy's facets that the suite doesn't score, nor needs for a scored one, are not asked for. Calls of a remote
    model go through `gate`; replies are kept in, and taken from, the folder `cache` if one is given.
    """
    settings = suite_settings(settings, suite)
    options = suite_options(pipeline_options(settings), suite)
    async with open_model(settings, progress, gate, taxonomy) as model:
        with _cached(model, settings, cache) as asked:
            classifier = build_classifier(settings, asked)
            decisive: dict[str, Scalar] = {
                "model": asked.name if asked else "none",
                **({"replayed": settings.model.removeprefix(_REPLAY)} if is_replayed(settings) else {}),
                "prompts": " ".join(classifier.prompts) if classifier else "none",
                **({"samples": settings.samples} if settings.samples else {}),
            }
            if suite.subject == "model":
                read = options.write_up_characters
                decisive["write_up_characters"] = read
                yield _model_under_test(suite, taxonomy, asked, classifier, read), decisive
                return
            async with _pipeline_under_test(settings, suite, taxonomy, asked, classifier, options) as subject:
                yield subject[0], decisive | subject[1]


def _model_under_test(
    suite: Suite, taxonomy: Taxonomy, model: ChatModel | None, classifier: Classifier | None, write_up_characters: int
) -> ModelUnderTest:
    from triage.evaluation.prompted import ModelUnderTest
    from triage.redaction import Redactor

    if model is None or classifier is None:
        raise MisconfiguredService(
            f"Suite {suite.name!r} examines the chat model alone, and TRIAGE_MODEL is none: set it to a model.",
            setting="TRIAGE_MODEL",
        )
    return ModelUnderTest(suite.narrow(taxonomy), Redactor(), classifier, model.name, write_up_characters)


@asynccontextmanager
async def _pipeline_under_test(
    settings: Settings,
    suite: Suite,
    taxonomy: Taxonomy,
    model: ChatModel | None,
    classifier: Classifier | None,
    options: PipelineOptions,
) -> AsyncIterator[tuple[PipelineUnderTest, dict[str, Scalar]]]:
    from triage.evaluation.runner import MOST_OPEN
    from triage.evaluation.subject import PipelineUnderTest
    from triage.history.chroma import ChromaHistory
    from triage.redaction import Redactor

    if not settings.is_local:
        # The gate bounds what the model is asked at once, and a call that waits for its retry must hold up no other.
        options = options._replace(turns=MOST_OPEN * suite.concurrency)
    redactor, embedder = Redactor(), build_embedder(settings)
    history = ChromaHistory.open(None, embedder.fingerprint, ranking=_ranking(settings))
    try:
        name = model.name if model else None
        # A calibrator is fitted on the runs of a suite: it joins in only where the suite asks for it.
        wants_calibrator = "calibrator" in suite.pipeline
        now = circumstances(taxonomy, embedder, classifier, name)
        calibrator = find_calibrator(settings, now) if wants_calibrator else None
        pipeline = Pipeline(suite.narrow(taxonomy), redactor, embedder, history, classifier, name, options, calibrator)
        decisive: dict[str, Scalar] = {
            "embedder": embedder.fingerprint,
            "decision": RULE,
            "weights": str(WEIGHTS._asdict()),
            **({"calibrator": calibrator.name if calibrator else "none"} if wants_calibrator else {}),
            **({"half_life_days": settings.half_life_days} if settings.half_life_days else {}),
            **{option: value for option, value in options._asdict().items() if option != "turns"},
        }
        yield PipelineUnderTest(pipeline, history, redactor, embedder), decisive
    finally:
        history.close()
        await embedder.aclose()


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncIterator[tuple[Store, Taxonomy]]:
    """The system of record alone, and the taxonomy: for work that needs no index and no model."""
    taxonomy = Taxonomy.load(settings.taxonomy)
    store = await prepare_store(settings)
    try:
        yield store, taxonomy
    finally:
        await store.close()


async def prepare_store(settings: Settings) -> Store:
    """The system of record, its tables brought to this version. Raises `MisconfiguredService` for wrong keys."""
    from triage.store import Store, upgrade

    settings.data_dir.mkdir(parents=True, exist_ok=True)
    await upgrade(settings.sql_url)
    store = Store(settings.sql_url, build_sealer(settings))
    try:
        await store.check_seal()
    except BaseException:
        await store.close()
        raise
    return store


def build_sealer(settings: Settings) -> Sealer:
    """What seals texts at rest, by the keys that are set."""
    from triage.sealing import Sealer

    return Sealer.of(settings.encryption_keys.get_secret_value() if settings.encryption_keys else None)


def build_notifier(settings: Settings, store: Store, taxonomy: Taxonomy) -> Notifier:
    """What tells subscribers, over `store`; it is to be started and stopped."""
    from triage.notifying import Courier, Notifier, NotifierOptions

    options = NotifierOptions(public_url=settings.public_url or "")
    courier = Courier(private=settings.private_webhooks)
    return Notifier(store, taxonomy=taxonomy, courier=courier, options=options)


@contextmanager
def _cached(model: ChatModel | None, settings: Settings, folder: Path | None) -> Iterator[ChatModel | None]:
    """`model` with a cache of its replies in `folder`; as it is without a folder."""
    from triage.llm.cache import CachedChat, ReplyCache

    if model is None or folder is None or is_replayed(settings):
        yield model
        return
    with ReplyCache.of(folder, model.name, "local" if settings.is_local else settings.base_url or "openai") as cache:
        yield CachedChat(model, cache)


def is_replayed(settings: Settings) -> bool:
    """True if the model's answers were recorded before."""
    return settings.model.startswith(_REPLAY)


def find_price(settings: Settings) -> Price | None:
    """What the model charges, by the file that the settings name; nothing for the local one, None where unknown."""
    from triage.llm.prices import Price, load_prices

    if settings.is_local or settings.model == "none" or is_replayed(settings):
        return Price(prompt=0, completion=0)
    prices = load_prices(settings.prices) if settings.prices else {}
    return prices.get(settings.model) or prices.get(settings.model.removeprefix("openai:"))


def provider_gate(settings: Settings, at_once: int | None = None) -> Gate:
    """A gate with the limits that the settings give for the provider, and `at_once` requests in flight."""
    return Gate(Limits(at_once, settings.requests_per_minute, settings.tokens_per_minute))


async def fill(casebook: Casebook, store: Store, settings: Settings, progress: Progress) -> None:
    """Bring the shipped history in, once, and the index up to date with the system of record."""
    await _bring_shipped_history(casebook, store, settings, progress)
    await casebook.prepare_index(lambda done, total: progress("Building the index", done, total))


async def _bring_shipped_history(casebook: Casebook, store: Store, settings: Settings, progress: Progress) -> None:
    from triage.evaluation.datasets import shipped_history
    from triage.store.records import SHARED_TEAM

    if settings.shipped_history and settings.taxonomy == "llm_inference" and not await store.has_gold():
        # Of several processes that start together one does it, and the others find it done.
        async with store.only_one("shipped-history"):
            records = [] if await store.has_gold() else shipped_history()
            await casebook.import_history(
                records,
                annotator="llm_incidents",
                origin="derived",
                progress=lambda done: progress("Loading the shipped history", done, len(records)),
                team=SHARED_TEAM,
            )


def build_embedder(settings: Settings) -> Embedder:
    """The embedder that the settings name. Raises `MisconfiguredService` where something is missing."""
    if settings.embedding_model == "local":
        from triage.embedding.onnx import MiniLM

        return MiniLM()
    from triage.embedding.openai import OpenAIEmbedder

    base_url = settings.embedding_base_url or settings.base_url
    return OpenAIEmbedder(settings.embedding_model, base_url, _key(settings, "TRIAGE_EMBEDDING_MODEL", base_url))


def open_history(settings: Settings, embedder: Embedder, folder: Path | None) -> ChromaHistory:
    """The index of the history: a Chroma server if one is set, else in `folder`, or in memory where that is None."""
    from triage.history.chroma import ChromaHistory

    if settings.chroma_url:
        return ChromaHistory.connect(settings.chroma_url, embedder.fingerprint, ranking=_ranking(settings))
    return ChromaHistory.open(folder, embedder.fingerprint, ranking=_ranking(settings))


def _ranking(settings: Settings) -> Ranking:
    from triage.history.retrieval import DEFAULT_RANKING

    return DEFAULT_RANKING._replace(half_life_days=settings.half_life_days)


def live_options(settings: Settings) -> LiveOptions:
    """The window, the gate and the pace of live agreement that the settings name."""
    from triage.live import LiveOptions

    return LiveOptions(
        days=settings.live_window_days,
        cases=settings.live_window_cases,
        gate=settings.live_kappa_gate,
        refresh_s=settings.live_refresh_s,
    )


@asynccontextmanager
async def open_live(settings: Settings) -> AsyncIterator[LiveAgreement]:
    """Live agreement over the store of `settings`; neither embedder nor model is needed for it."""
    from triage.live import LiveAgreement

    taxonomy = Taxonomy.load(settings.taxonomy)
    store = await prepare_store(settings)
    try:
        yield LiveAgreement(store, taxonomy, live_options(settings))
    finally:
        await store.close()


def calibrators_folder(settings: Settings) -> Path:
    """Where `triage calibrate` keeps calibrators."""
    return settings.data_dir / "calibrators"


def find_calibrator(settings: Settings, now: Circumstances) -> Calibrator | None:
    """The calibrator that the settings name; with `auto` the newest that was made here and fits, else a shipped one.

    Raises `NotFound` or `MisconfiguredService` for one that is named and is missing or damaged.
    """
    from triage.calibration import Calibrator

    if settings.calibrator == "none":
        return None
    if isinstance(settings.calibrator, Path):
        return Calibrator.read(settings.calibrator)
    shipped = Path(__file__).parent / "calibrators"
    for folder in (calibrators_folder(settings), shipped):
        found = [Calibrator.read(path) for path in sorted(folder.glob("*.json"))]
        fitting = [one for one in found if not one.circumstances.differences(now)]
        if fitting:
            return max(fitting, key=lambda one: one.created_at)
    return None


def pipeline_options(settings: Settings) -> PipelineOptions:
    """What the settings, or the kind of model where they are silent, say of the pipeline."""
    defaults = PipelineOptions()
    return PipelineOptions(
        write_up_characters=settings.write_up_characters
        or (LOCAL_WRITE_UP_CHARACTERS if settings.is_local else defaults.write_up_characters),
        # The local server keeps one prompt in its cache: incidents that share it take turns.
        turns=settings.turns or (1 if settings.is_local else defaults.turns),
        ask_for_quotes=settings.quotes,
    )


def suite_options(options: PipelineOptions, suite: Suite) -> PipelineOptions:
    """`options` with what the suite sets of them. Raises `InvalidSuite` for one that there is not."""
    from triage.evaluation.suites import InvalidSuite

    changed: dict[str, Any] = dict(suite.pipeline)
    defaults = PipelineOptions()._asdict()
    for name, value in changed.items():
        if name in _SUITE_SETTINGS:
            continue
        if name not in defaults or type(value) is not type(defaults[name]):
            known = ", ".join(
                [*_SUITE_SETTINGS, *(f"{key} ({type(default).__name__})" for key, default in defaults.items())]
            )
            raise InvalidSuite(
                f"Suite {suite.name!r} sets pipeline option {name!r} to {value!r}; there are: {known}.",
                field=f"pipeline.{name}",
            )
    return options._replace(**{name: value for name, value in changed.items() if name in defaults})


def suite_settings(settings: Settings, suite: Suite) -> Settings:
    """`settings` with what the suite sets of them. Raises `InvalidSuite` for a value that is not valid.

    The endpoint is none of them: a suite from elsewhere must not send write-ups and the key to another place.
    """
    from triage.evaluation.suites import InvalidSuite

    changed = {name: value for name, value in suite.pipeline.items() if name in _SUITE_SETTINGS}
    try:
        return Settings.model_validate({**settings.model_dump(), **changed}) if changed else settings
    except ValidationError as error:
        said = "; ".join(one["msg"] for one in error.errors())
        raise InvalidSuite(f"Suite {suite.name!r}, pipeline: {said}", field="pipeline") from error


_SUITE_SETTINGS = ("model", "answers", "samples", "calibrator", "prompts", "half_life_days", "embedding_model")


def build_classifier(settings: Settings, model: ChatModel | None) -> Classifier | None:
    """The way of asking `model` that the settings name, or that suits it."""
    if model is None:
        return None
    deadline_s = settings.model_deadline_s or (LOCAL_DEADLINE_S if settings.is_local else 60.0)
    answers = settings.answers
    if answers == "auto":
        answers = "letters" if settings.is_local else getattr(model, "answers", "structured")
    if answers == "letters":
        from triage.classification.letters import SAMPLES, LetterClassifier

        return LetterClassifier(
            model, deadline_s=deadline_s, samples=settings.samples or SAMPLES, prompts=settings.prompts
        )
    from triage.classification.structured import StructuredClassifier

    return StructuredClassifier(model, deadline_s=deadline_s, samples=settings.samples or 1, prompts=settings.prompts)


@asynccontextmanager
async def open_model(
    settings: Settings,
    progress: Progress = silent,
    gate: Gate | None = None,
    taxonomy: Taxonomy | None = None,
    *,
    is_started: bool = True,
) -> AsyncIterator[Model | None]:
    """The chat model that the settings name, None for `none`; the local one's server runs meanwhile.

    Without `is_started` the local one starts with the first question. Calls of a remote one go through `gate`, or
    through one with the settings' limits; `taxonomy` is the one that a replayed model answers for. Raises
    `MisconfiguredService` where something is missing.
    """
    model: Model
    if settings.model == "none":
        yield None
        return
    if is_replayed(settings):
        from triage.evaluation.replaying import open_replay

        source = settings.model.removeprefix(_REPLAY)
        model = open_replay(source, taxonomy or Taxonomy.load(settings.taxonomy))
    elif settings.is_local:
        model = await _local_model(settings, progress, is_started=is_started)
    else:
        model = _remote_model(settings, gate or provider_gate(settings))
    try:
        yield model
    finally:
        await model.aclose()


async def _local_model(settings: Settings, progress: Progress, *, is_started: bool) -> LocalChat:
    from triage.llm.local import LocalChat, LocalModelServer
    from triage.llm.weights import find_weights

    weights = await asyncio.to_thread(
        find_weights,
        settings.local_model_path,
        settings.cache_dir,
        lambda done, total: progress("Putting the model weights together", done, total),
    )
    server = LocalModelServer(weights, settings.data_dir / "local-model.log")
    if is_started:
        progress("Starting the local model", 0, 1)
        await server.start()
        progress("Starting the local model", 1, 1)
    return LocalChat(server)


def _remote_model(settings: Settings, gate: Gate) -> OpenAIChat | LangChainChat:
    provider, separator, name = settings.model.partition(":")
    if separator and not settings.base_url and provider not in ("openai", "ft"):
        from triage.llm.langchain import LangChainChat

        return LangChainChat(name, provider, gate=gate)
    from triage.llm.openai import OpenAIChat

    model = settings.model.removeprefix("openai:")
    return OpenAIChat(model, settings.base_url, _key(settings, "TRIAGE_MODEL", settings.base_url), gate=gate)


def _key(settings: Settings, variable: str, base_url: str | None) -> str:
    if settings.api_key is not None:
        return settings.api_key.get_secret_value()
    if base_url:
        # Endpoints of one's own (vLLM, Ollama, llama.cpp) often want no key, but the client insists on one.
        return "none"
    raise MisconfiguredService(
        f"{variable} names a model at api.openai.com, which needs a key: set OPENAI_API_KEY, or TRIAGE_BASE_URL for an "
        f"endpoint of your own, or {variable}=local.",
        setting=variable,
    )
