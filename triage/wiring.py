"""The one place that knows which adapters are in use: it builds everything from the settings, at the edge."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

from triage.errors import MisconfiguredService, TriageError
from triage.incident import Incident, Scalar, content_id
from triage.pipeline import Pipeline, PipelineOptions
from triage.settings import Settings
from triage.taxonomy import Taxonomy
from triage.triage_result import Triage

if TYPE_CHECKING:
    from triage.casebook import Casebook
    from triage.classification import Classifier
    from triage.embedding import Embedder
    from triage.history.chroma import ChromaHistory
    from triage.evaluation.suites import Suite
    from triage.evaluation.subject import PipelineUnderTest
    from triage.llm import ChatModel
    from triage.llm.langchain import LangChainChat
    from triage.llm.openai import OpenAIChat
    from triage.store import Store

LOCAL_WRITE_UP_CHARACTERS = 1_600
"""What the local model reads of a write-up: it reads about 80 tokens a second on two cores."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""


def silent(_what: str, _done: int, _total: int) -> None:
    """Progress that nobody watches."""


class Desk(NamedTuple):
    """Everything that is needed to triage incidents and to keep them."""

    settings: Settings
    taxonomy: Taxonomy
    store: Store
    casebook: Casebook
    pipeline: Pipeline


@asynccontextmanager
async def open_desk(settings: Settings, progress: Progress = silent, *, index_in_memory: bool = True) -> AsyncIterator[Desk]:
    """The desk for `settings`, with the shipped history in place; everything is closed again at the end.

    With `index_in_memory` the index is built from the system of record for this process alone, so that commands run
    beside a service on the same data; the service keeps its index in the data folder.
    """
    from triage.casebook import Casebook
    from triage.redaction import Redactor
    from triage.store import Store, upgrade

    taxonomy = Taxonomy.load(settings.taxonomy)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    await upgrade(settings.sql_url)
    store = Store(settings.sql_url)
    embedder = build_embedder(settings)
    redactor = Redactor()
    history = open_history(settings, embedder, None if index_in_memory else settings.data_dir / "index")
    try:
        casebook = Casebook(store, history, redactor, embedder, taxonomy)
        await fill(casebook, store, settings, progress)
        async with open_classifier(settings, progress) as (classifier, model_name):
            options = pipeline_options(settings)
            pipeline = Pipeline(taxonomy, redactor, embedder, history, classifier, model_name, options)
            yield Desk(settings, taxonomy, store, casebook, pipeline)
    finally:
        history.close()
        await store.close()


async def fill(casebook: Casebook, store: Store, settings: Settings, progress: Progress) -> None:
    """Bring the shipped history in, once, and the index up to date with the system of record."""
    from triage.evaluation.datasets import shipped_history

    if settings.shipped_history and settings.taxonomy == "llm_inference" and not await store.has_gold():
        records = shipped_history()
        await casebook.import_history(
            records,
            annotator="llm_incidents",
            origin="derived",
            progress=lambda done: progress("Loading the shipped history", done, len(records)),
        )
    if not await casebook.verify_index():
        await casebook.rebuild_index(progress=lambda done, total: progress("Building the index", done, total))


def build_embedder(settings: Settings) -> Embedder:
    """The embedder that the settings name."""
    if settings.embedding_model == "local":
        from triage.embedding.onnx import MiniLM

        return MiniLM()
    from triage.embedding.openai import OpenAIEmbedder

    return OpenAIEmbedder(
        settings.embedding_model, settings.embedding_base_url or settings.base_url, _key(settings, "embedding_model")
    )


def open_history(settings: Settings, embedder: Embedder, folder: Path | None) -> ChromaHistory:
    """The index of the history: a Chroma server if one is set, else in `folder`, or in memory where that is None."""
    from triage.history.chroma import ChromaHistory

    if settings.chroma_url:
        return ChromaHistory.connect(settings.chroma_url, embedder.fingerprint)
    return ChromaHistory.open(folder, embedder.fingerprint)


def suite_options(options: PipelineOptions, suite: Suite) -> PipelineOptions:
    """`options` with what the suite sets of them. Raises `InvalidSuite` for one that there is not, or of another type."""
    from triage.evaluation.suites import InvalidSuite

    for name, value in suite.pipeline.items():
        default = getattr(PipelineOptions(), name, None) if name in PipelineOptions._fields else None
        if type(value) is not type(default):
            known = ", ".join(f"{key} ({type(of).__name__})" for key, of in PipelineOptions()._asdict().items())
            raise InvalidSuite(
                f"Suite {suite.name!r} sets pipeline option {name!r} to {value!r}; there are: {known}.",
                field=f"pipeline.{name}",
            )
    return options._replace(**suite.pipeline)


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


@asynccontextmanager
async def open_subject(
    settings: Settings, suite: Suite, taxonomy: Taxonomy, progress: Progress = silent
) -> AsyncIterator[tuple[PipelineUnderTest, dict[str, Scalar]]]:
    """What `suite` examines, over an empty history of its own, and everything that decides its results, by name.

    The taxonomy's facets that the suite doesn't score, nor needs for a scored one, are not asked for.
    """
    from triage.evaluation.subject import PipelineUnderTest
    from triage.history.chroma import ChromaHistory
    from triage.redaction import Redactor

    options = suite_options(pipeline_options(settings), suite)
    redactor, embedder = Redactor(), build_embedder(settings)
    history = ChromaHistory.open(None, embedder.fingerprint)
    try:
        async with open_classifier(settings, progress) as (classifier, model_name):
            scored = suite.narrow(taxonomy)
            pipeline = Pipeline(scored, redactor, embedder, history, classifier, model_name, options)
            decisive: dict[str, Scalar] = {
                "model": model_name or "none",
                "prompts": " ".join(classifier.prompts) if classifier else "none",
                "embedder": embedder.fingerprint,
                **{name: value for name, value in options._asdict().items() if name != "turns"},
            }
            yield PipelineUnderTest(pipeline, history, redactor, embedder), decisive
    finally:
        history.close()


@asynccontextmanager
async def open_classifier(
    settings: Settings, progress: Progress = silent
) -> AsyncIterator[tuple[Classifier | None, str | None]]:
    """The classifier over the model that the settings name, and that model's name; the local server runs meanwhile."""
    if settings.model == "none":
        yield None, None
        return
    async with open_model(settings, progress) as model:
        answers = settings.answers
        if answers == "auto":
            answers = "letters" if settings.is_local else "structured"
        if answers == "letters":
            from triage.classification.letters import LetterClassifier

            yield LetterClassifier(model, deadline_s=settings.model_deadline_s), model.name
        else:
            from triage.classification.structured import StructuredClassifier

            yield StructuredClassifier(model, deadline_s=settings.model_deadline_s), model.name


@asynccontextmanager
async def open_model(settings: Settings, progress: Progress = silent) -> AsyncIterator[ChatModel]:
    """The chat model that the settings name. Raises `MisconfiguredService` where something is missing."""
    if settings.is_local:
        from triage.llm.local import LocalChat, LocalModelServer
        from triage.llm.weights import find_weights

        weights = await asyncio.to_thread(
            find_weights,
            settings.local_model_path,
            settings.cache_dir,
            lambda done, total: progress("Putting the model weights together", done, total),
        )
        server = LocalModelServer(weights, settings.data_dir / "local-model.log")
        progress("Starting the local model", 0, 1)
        await server.start()
        progress("Starting the local model", 1, 1)
        local = LocalChat(server)
        try:
            yield local
        finally:
            await local.aclose()
        return
    remote = _remote_model(settings)
    try:
        yield remote
    finally:
        await remote.aclose()


def _remote_model(settings: Settings) -> OpenAIChat | LangChainChat:
    provider, separator, name = settings.model.partition(":")
    if separator and not settings.base_url and provider not in ("openai", "ft"):
        from triage.llm.langchain import LangChainChat

        return LangChainChat(name, provider)
    from triage.llm.openai import OpenAIChat

    return OpenAIChat(settings.model.removeprefix("openai:"), settings.base_url, _key(settings, "model"))


def _key(settings: Settings, what: str) -> str:
    if settings.api_key is not None:
        return settings.api_key.get_secret_value()
    if settings.base_url or settings.embedding_base_url:
        # Endpoints of one's own (vLLM, Ollama, llama.cpp) often want no key, but the client insists on one.
        return "none"
    raise MisconfiguredService(
        f"TRIAGE_{what.upper()} is {getattr(settings, what)!r}, which needs a key: set OPENAI_API_KEY, or "
        f"TRIAGE_BASE_URL for an endpoint of your own, or TRIAGE_{what.upper()}=local.",
        setting=what,
    )


class Triager:
    """Triage from Python: `async with Triager() as triager: result = await triager.triage("the write-up")`."""

    def __init__(self, settings: Settings | None = None, progress: Progress = silent) -> None:
        self._context = open_desk(settings or Settings(), progress)
        self._desk: Desk | None = None

    async def __aenter__(self) -> Self:
        self._desk = await self._context.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._desk = None
        await self._context.__aexit__(kind, error, traceback)

    async def triage(self, incident: Incident | str) -> Triage:
        """Triage one incident, or the text of one. Nothing is stored."""
        if self._desk is None:
            raise TriageError("Use Triager as a context manager: `async with Triager() as triager: ...`.")
        if isinstance(incident, str):
            incident = Incident(id=content_id("", incident), write_up=incident)
        return await self._desk.pipeline.run(incident)
