"""What a suite examines, built from the settings and from what the suite changes of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from triage.app.settings import Settings
from triage.app.wiring.desk import find_calibrator, pipeline_options
from triage.app.wiring.models import _REPLAY, build_classifier, is_replayed, open_model
from triage.app.wiring.records import build_definition_reader, build_embedder, ranking
from triage.domain.errors import MisconfiguredService
from triage.domain.incident import Scalar
from triage.domain.taxonomy import Taxonomy
from triage.models.chat.gate import Gate
from triage.observability.progress import Progress, silent
from triage.pipeline.decision import RULE, WEIGHTS
from triage.pipeline.pipeline import Pipeline, PipelineOptions, circumstances

if TYPE_CHECKING:
    from triage.evaluation.prompted import ModelUnderTest
    from triage.evaluation.runner import TriageUnderTest
    from triage.evaluation.subject import PipelineUnderTest
    from triage.evaluation.suites import Suite
    from triage.models.chat import ChatModel
    from triage.pipeline.classification import Classifier


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
    history = ChromaHistory.open(None, embedder.fingerprint, ranking=ranking(settings))
    try:
        name = model.name if model else None
        # A calibrator is fitted on the runs of a suite: it joins in only where the suite asks for it.
        wants_calibrator = "calibrator" in suite.pipeline
        now = circumstances(taxonomy, embedder, classifier, name)
        calibrator = find_calibrator(settings, now) if wants_calibrator else None
        narrow = suite.narrow(taxonomy)
        definitions = build_definition_reader(settings, embedder, narrow)
        pipeline = Pipeline(
            narrow, redactor, embedder, history, classifier, name, options, calibrator, definitions=definitions
        )
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


@contextmanager
def _cached(model: ChatModel | None, settings: Settings, folder: Path | None) -> Iterator[ChatModel | None]:
    """`model` with a cache of its replies in `folder`; as it is without a folder."""
    from triage.models.chat.cache import CachedChat, ReplyCache

    if model is None or folder is None or is_replayed(settings):
        yield model
        return
    with ReplyCache.of(folder, model.name, "local" if settings.is_local else settings.base_url or "openai") as cache:
        yield CachedChat(model, cache)
