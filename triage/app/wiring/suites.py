"""What a suite examines, built from the settings and the suite's changes to them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from triage.app.settings import Settings
from triage.app.wiring.components import find_calibration, pipeline_options
from triage.app.wiring.models import (
    REPLAY,
    build_classifier,
    build_embedder,
    is_replayed,
    open_model,
    write_up_characters,
)
from triage.app.wiring.storage import build_definition_reader, ranking
from triage.domain.errors import MisconfiguredService
from triage.domain.incident import Scalar
from triage.domain.taxonomy import Taxonomy
from triage.models.chat.gate import Gate
from triage.models.embedding.cache import CachedEmbedder
from triage.observability.progress import Progress, silent
from triage.pipeline.calibration import UNCALIBRATED
from triage.pipeline.decision import RULE, WEIGHTS, WEIGHTS_WITH_CUES
from triage.pipeline.pipeline import DEFAULT_OPTIONS, Pipeline, PipelineOptions, circumstances
from triage.pipeline.ways import Way
from triage.redaction import Redactor

if TYPE_CHECKING:
    from triage.evaluation.runner import TriageUnderTest
    from triage.evaluation.subjects import ModelUnderTest, PipelineUnderTest
    from triage.evaluation.suites import Suite
    from triage.models.chat import ChatModel
    from triage.pipeline.classification import Classifier

_SUITE_SETTINGS = (
    "model",
    "answers",
    "samples",
    "calibrator",
    "prompts",
    "half_life_days",
    "embedding_model",
    "write_up_characters",
)


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
    """What `suite` examines, over an empty history, and everything that determines its results, by name.

    Only the facets that the suite scores, and those they depend on, are asked for. Calls of a remote model go through
    `gate`. With a folder `cache`, replies and vectors are stored in it and reused.
    """
    settings = suite_settings(settings, suite)
    # What a model's answers are worth is learned from all of them.
    options = suite_options(pipeline_options(settings)._replace(ask_about_all=True), suite)
    async with open_model(settings, progress, gate, taxonomy) as model:
        with _cached(model, settings, cache) as asked:
            classifier = build_classifier(settings, asked)
            decisive: dict[str, Scalar] = {
                "model": asked.name if asked else "none",
                **({"replayed": settings.model.removeprefix(REPLAY)} if is_replayed(settings) else {}),
                "prompts": " ".join(classifier.prompts) if classifier else "none",
                **({"samples": settings.samples} if settings.samples else {}),
            }
            if suite.subject == "model":
                decisive["write_up_characters"] = write_up_characters(settings)
                yield _model_under_test(settings, suite, taxonomy, asked, classifier), decisive
                return
            async with _pipeline_under_test(settings, suite, taxonomy, asked, classifier, options, cache) as subject:
                yield subject[0], decisive | subject[1]


def suite_options(options: PipelineOptions, suite: Suite) -> PipelineOptions:
    """`options` with the suite's changes. Raises `InvalidSuite` for an unknown option or a value of another type."""
    from triage.evaluation.suites import InvalidSuite

    defaults = DEFAULT_OPTIONS._asdict()
    changed = {name: value for name, value in suite.pipeline.items() if name not in _SUITE_SETTINGS}
    for name, value in changed.items():
        if type(value) is not type(defaults.get(name)):
            types = [f"{key} ({type(default).__name__})" for key, default in defaults.items()]
            raise InvalidSuite(
                f"Suite {suite.name!r} sets pipeline option {name!r} to {value!r}; there are: "
                f"{', '.join([*_SUITE_SETTINGS, *types])}.",
                field=f"pipeline.{name}",
            )
    return options._replace(**changed)  # type: ignore[arg-type]


def suite_settings(settings: Settings, suite: Suite) -> Settings:
    """`settings` with the suite's changes. Raises `InvalidSuite` for an invalid value.

    A suite can't change the endpoint: one from elsewhere must not send write-ups and the key to another place.
    """
    from triage.evaluation.suites import InvalidSuite

    changed = {name: value for name, value in suite.pipeline.items() if name in _SUITE_SETTINGS}
    try:
        return Settings.model_validate({**settings.model_dump(), **changed}) if changed else settings
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise InvalidSuite(f"Suite {suite.name!r}, pipeline: {problems}", field="pipeline") from error


def _model_under_test(
    settings: Settings, suite: Suite, taxonomy: Taxonomy, model: ChatModel | None, classifier: Classifier | None
) -> ModelUnderTest:
    from triage.evaluation.subjects import ModelUnderTest

    if model is None or classifier is None:
        raise MisconfiguredService(
            f"Suite {suite.name!r} examines the chat model alone, and TRIAGE_MODEL is none: set it to a model.",
            setting="TRIAGE_MODEL",
        )
    return ModelUnderTest(suite.narrow(taxonomy), Redactor(), classifier, model.name, write_up_characters(settings))


@asynccontextmanager
async def _pipeline_under_test(
    settings: Settings,
    suite: Suite,
    taxonomy: Taxonomy,
    model: ChatModel | None,
    classifier: Classifier | None,
    options: PipelineOptions,
    cache: Path | None,
) -> AsyncIterator[tuple[PipelineUnderTest, dict[str, Scalar]]]:
    from triage.evaluation.runner import MOST_OPEN
    from triage.evaluation.subjects import PipelineUnderTest
    from triage.history.chroma import ChromaHistory

    if not settings.is_local:
        # The gate limits concurrent requests; a call that waits for its retry must not delay the others.
        options = options._replace(turns=MOST_OPEN * suite.concurrency)
    redactor, embedder = Redactor(), build_embedder(settings)
    if cache is not None:
        embedder = CachedEmbedder(embedder, cache / "vectors.db")
    history = ChromaHistory.open(None, embedder.fingerprint, ranking=ranking(settings))
    try:
        # A calibrator is fitted on the runs of a suite: it is used only if the suite asks for it.
        wants_calibrator = "calibrator" in suite.pipeline
        now = circumstances(taxonomy, embedder, classifier, model.name if model else None)
        calibration = find_calibration(settings, now) if wants_calibrator else UNCALIBRATED
        read = write_up_characters(settings)
        ways = [Way(model.name, classifier, calibration, read)] if model and classifier else []
        narrow = suite.narrow(taxonomy)
        definitions = build_definition_reader(settings, embedder, narrow)
        pipeline = Pipeline(
            narrow,
            redactor,
            embedder,
            history,
            ways,
            options,
            calibration=UNCALIBRATED if ways else calibration,
            definitions=definitions,
        )
        decisive: dict[str, Scalar] = {
            "embedder": embedder.fingerprint,
            "decision": RULE,
            "weights": f"{WEIGHTS._asdict()}, with cues {WEIGHTS_WITH_CUES._asdict()}",
            **({"calibrator": calibration.calibrator or "none"} if wants_calibrator else {}),
            **({"half_life_days": settings.half_life_days} if settings.half_life_days else {}),
            "write_up_characters": read,
            **{option: value for option, value in options._asdict().items() if option != "turns"},
        }
        yield PipelineUnderTest(pipeline, history, redactor, embedder), decisive
    finally:
        history.close()
        await embedder.aclose()


@contextmanager
def _cached(model: ChatModel | None, settings: Settings, folder: Path | None) -> Iterator[ChatModel | None]:
    """`model` with a cache of its replies in `folder`; unchanged without a folder."""
    from triage.models.chat.cache import CachedChat, ReplyCache

    if model is None or folder is None or is_replayed(settings):
        yield model
        return
    with ReplyCache.of(folder, model.name, "local" if settings.is_local else settings.base_url or "openai") as cache:
        yield CachedChat(model, cache)
