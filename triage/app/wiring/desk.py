"""Everything that is needed to triage incidents and to keep them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

from triage.app.settings import Settings
from triage.app.wiring.models import (
    INCIDENT_DEADLINE_S,
    build_classifier,
    check_models,
    daily_budget,
    find_price,
    incident_deadline_s,
    is_replayed,
    open_model,
    provider_name,
    shared_gate,
)
from triage.app.wiring.records import Records, build_definition_reader, open_records, ranking
from triage.domain.taxonomy import Taxonomy
from triage.models.chat.gate import Gate
from triage.observability.progress import Progress, silent
from triage.pipeline.pipeline import Pipeline, PipelineOptions, Way, circumstances

if TYPE_CHECKING:
    from triage.app.wiring.models import Model
    from triage.history.casebook import Casebook
    from triage.labels.preview import Previewer
    from triage.models.chat import ChatModel
    from triage.models.chat.observing import ModelObserver
    from triage.pipeline.calibration import Calibrator, Circumstances
    from triage.store import Store

LOCAL_WRITE_UP_CHARACTERS = 1_600
"""What the local model reads of a write-up: it reads about 70 tokens a second on two cores."""


class Desk(NamedTuple):
    """Everything that is needed to triage incidents and to keep them."""

    taxonomy: Taxonomy
    store: Store
    casebook: Casebook
    pipeline: Pipeline
    model: Model | None
    previewer: Previewer


@asynccontextmanager
async def open_desk(
    settings: Settings,
    progress: Progress = silent,
    *,
    index_in_memory: bool = True,
    observer: ModelObserver | None = None,
    starts_model: bool = True,
) -> AsyncIterator[Desk]:
    """The desk for `settings`, with the shipped history in place; everything is closed again at the end.

    `observer` is told of every call to a model. Without `starts_model` a local one starts with the first question.
    """
    from triage.labels.preview import Previewer

    async with (
        open_records(settings, progress, index_in_memory=index_in_memory) as records,
        open_ways(settings, records, progress, observer, starts_model=starts_model) as (model, ways),
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
            definitions=build_definition_reader(settings, records.embedder, records.taxonomy),
        )
        previewer = Previewer(records.store, records.casebook, pipeline, ranking(settings))
        yield Desk(records.taxonomy, records.store, records.casebook, pipeline, model, previewer)


@asynccontextmanager
async def open_ways(
    settings: Settings,
    records: Records,
    progress: Progress = silent,
    observer: ModelObserver | None = None,
    *,
    starts_model: bool = True,
) -> AsyncIterator[tuple[Model | None, tuple[Way, ...]]]:
    """The model that the settings name, bare, and the ways to an answer: through it and through each fallback.

    Their calls keep the rate limits and the budget of the day together with all other processes on the same database.
    Raises `MisconfiguredService` where something is missing.
    """
    from triage.models.chat.guarded import guarded
    from triage.models.chat.observing import Unobserved
    from triage.models.chat.weights import QWEN_CODER_1_5B

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
            opened = open_model(own, progress, gates[provider], records.taxonomy, is_started=starts_model and not ways)
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


def calibrators_folder(settings: Settings) -> Path:
    """Where `triage calibrate` keeps calibrators."""
    return settings.data_dir / "calibrators"


def find_calibrator(settings: Settings, now: Circumstances) -> Calibrator | None:
    """The calibrator that the settings name; with `auto` the newest that was made here and fits, else a shipped one.

    Raises `NotFound` or `MisconfiguredService` for one that is named and is missing or damaged.
    """
    from triage.pipeline.calibration import Calibrator

    if settings.calibrator == "none":
        return None
    if isinstance(settings.calibrator, Path):
        return Calibrator.read(settings.calibrator)
    shipped = Path(__file__).parents[2] / "calibrators"
    for folder in (calibrators_folder(settings), shipped):
        found = [Calibrator.read(path) for path in sorted(folder.glob("*.json"))]
        fitting = [one for one in found if not one.circumstances.differences(now)]
        if fitting:
            return max(fitting, key=lambda one: one.created_at)
    return None
