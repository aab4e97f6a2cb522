"""The components of a service: store, history, models, calibrator and pipeline, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from triage.app.settings import Settings
from triage.app.wiring.models import (
    build_classifier,
    build_embedder,
    check_models,
    find_price,
    guard,
    incident_deadline_s,
    is_replayed,
    open_model,
    provider_name,
    shared_gate,
    write_up_characters,
)
from triage.app.wiring.storage import Records, build_definition_reader, open_records, ranking
from triage.domain.taxonomy import Taxonomy
from triage.observability.progress import Progress, silent
from triage.pipeline.pipeline import DEFAULT_OPTIONS, Pipeline, PipelineOptions, circumstances
from triage.pipeline.ways import Way

if TYPE_CHECKING:
    from triage.app.wiring.models import Model
    from triage.history.casebook import Casebook
    from triage.labels.preview import Previewer
    from triage.models.chat import ChatModel
    from triage.models.chat.gate import Gate
    from triage.models.chat.observer import ModelObserver
    from triage.store import Store


class Components(NamedTuple):
    """Everything needed to triage incidents and to keep them."""

    taxonomy: Taxonomy
    store: Store
    casebook: Casebook
    pipeline: Pipeline
    model: Model | None
    previewer: Previewer


@asynccontextmanager
async def open_components(
    settings: Settings,
    progress: Progress = silent,
    *,
    index_in_memory: bool = True,
    observer: ModelObserver | None = None,
    facets: Collection[str] = (),
) -> AsyncIterator[Components]:
    """The components for `settings`, with the shipped history loaded. All are closed at the end.

    `observer` is called for every model call. With `facets` only these, and those they refine, are triaged. Raises
    `UnknownFacet`.
    """
    from triage.labels.preview import Previewer

    async with (
        open_records(settings, progress, index_in_memory=index_in_memory) as records,
        _open_ways(settings, records, progress, observer) as (model, ways),
    ):
        taxonomy = records.taxonomy.narrow(facets) if facets else records.taxonomy
        now = circumstances(taxonomy, records.embedder, None, None)
        pipeline = Pipeline(
            taxonomy,
            records.redactor,
            records.embedder,
            records.history,
            ways,
            pipeline_options(settings),
            calibration=find_calibration(settings, now, is_fallback=bool(ways)),
            deadline_s=incident_deadline_s(settings),
            definitions=build_definition_reader(settings, records.embedder, taxonomy),
        )
        previewer = Previewer(records.store, records.casebook, pipeline, ranking(settings))
        yield Components(taxonomy, records.store, records.casebook, pipeline, model, previewer)


@asynccontextmanager
async def _open_ways(
    settings: Settings, records: Records, progress: Progress, observer: ModelObserver | None
) -> AsyncIterator[tuple[Model | None, list[Way]]]:
    """The first model that the settings name, without its guards, and the ways: that model, then each fallback.

    Their calls share rate limits and the daily budget with all other processes on the same database. Raises
    `MisconfiguredService` if something is missing.
    """
    from triage.models.chat.budget import Budget
    from triage.models.chat.weights import QWEN_CODER_1_5B

    check_models(settings)
    ways: list[Way] = []
    first: Model | None = None
    gates: dict[str, Gate] = {}
    async with AsyncExitStack() as stack:
        for name in [] if settings.model == "none" else [settings.model, *settings.fallback_models]:
            own = settings.model_copy(update={"model": name})
            provider = provider_name(own)
            if provider not in gates:
                gates[provider] = shared_gate(own, records.store)
            opened = open_model(own, progress, gates[provider], records.taxonomy)
            model = await stack.enter_async_context(opened)
            first = first or model
            chat: ChatModel | None = model
            price = find_price(own)
            if model is not None and not is_replayed(own):
                # The local model costs nothing.
                budget = Budget() if own.is_local else Budget(own.daily_tokens, own.daily_cost)
                ledger = records.store.spending.excluding(QWEN_CODER_1_5B.name)
                chat = guard(model, ledger, observer, budget, price)
            if chat is not None and (classifier := build_classifier(own, chat)) is not None:
                now = circumstances(records.taxonomy, records.embedder, classifier, chat.name)
                calibration = find_calibration(own, now, is_fallback=bool(ways))
                most_s = incident_deadline_s(own, alone=True)
                ways.append(Way(chat.name, classifier, calibration, write_up_characters(own), most_s, price))
        yield first, ways


def pipeline_options(settings: Settings) -> PipelineOptions:
    """The options of the pipeline by the settings, or by the kind of model where those are unset."""
    return PipelineOptions(
        # The local server caches one prompt: incidents that share it take turns.
        turns=settings.turns or (1 if settings.is_local else DEFAULT_OPTIONS.turns),
        ask_for_quotes=settings.quotes,
    )


if TYPE_CHECKING:
    from triage.pipeline.calibration import Calibration, Circumstances


def calibrators_folder(settings: Settings) -> Path:
    """Where `triage calibrate` keeps calibrators."""
    return settings.data_dir / "calibrators"


def find_calibration(settings: Settings, now: Circumstances, *, is_fallback: bool = False) -> Calibration:
    """The calibration that the settings name; with `auto` the newest in the data folder that fits, else a shipped one.

    With `auto`, a warning says if one was fitted for this model and taxonomy but no longer fits. A named one that does
    not fit a fallback model is not used for it. Raises `NotFound` or `MisconfiguredService` if a named one is missing,
    is damaged, or does not fit the first model.
    """
    from triage.pipeline.calibration import UNCALIBRATED, Calibration, Calibrator

    if settings.calibrator == "none":
        return UNCALIBRATED
    if isinstance(settings.calibrator, Path):
        named = Calibrator.read(settings.calibrator)
        return UNCALIBRATED if is_fallback and named.misfit(now) else named.calibration(now)
    outdated: Calibrator | None = None
    shipped = Path(__file__).parents[2] / "calibrators"
    for folder in (calibrators_folder(settings), shipped):
        calibrators = [Calibrator.read(path) for path in sorted(folder.glob("*.json"))]
        calibrators.sort(key=lambda calibrator: calibrator.created_at, reverse=True)
        if fitting := next((calibrator for calibrator in calibrators if not calibrator.misfit(now)), None):
            return fitting.calibration(now)
        outdated = outdated or next((calibrator for calibrator in calibrators if calibrator.is_meant_for(now)), None)
    return Calibration(warning=outdated.misfit(now)) if outdated else UNCALIBRATED


async def examine_calibration(settings: Settings) -> Calibration:
    """The calibration of the first model that the settings name, without starting the model. Raises `TriageError`."""
    from triage.pipeline.pipeline import circumstances

    taxonomy, embedder = Taxonomy.load(settings.taxonomy), build_embedder(settings)
    try:
        async with open_model(settings, taxonomy=taxonomy) as model:
            classifier = build_classifier(settings, model)
            now = circumstances(taxonomy, embedder, classifier, model.name if model else None)
            return find_calibration(settings, now)
    finally:
        await embedder.aclose()
