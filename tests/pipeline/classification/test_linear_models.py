from __future__ import annotations

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest

from tests.parts import HashingEmbedder
from triage.domain.annotation import Labels
from triage.domain.incident import Incident
from triage.domain.taxonomy import Taxonomy
from triage.history import Example
from triage.history.chroma import ChromaHistory
from triage.pipeline.classification.linear_models import LEAST_INCIDENTS, Learner

TAXONOMY = Taxonomy.load("llm_inference")
POWER = "A breaker tripped in hall {n} and the racks lost power until the generators of building {n} started"
DEPLOY = "A release of service {n} was rolled out to region {n} with a broken setting and was rolled back"


def told(n: int) -> tuple[str, Labels]:
    if n % 2:
        return POWER.format(n=n), {"category": ("infrastructure",), "failure_mode": ("power_cooling",)}
    return DEPLOY.format(n=n), {"category": ("operational",), "failure_mode": ("deployment",)}


async def examples(count: int) -> list[Example]:
    made = [told(n) for n in range(count)]
    vectors = await HashingEmbedder().embed([text for text, _ in made])
    return [Example(f"i{n}", text, vectors[n], labels) for n, (text, labels) in enumerate(made)]


async def say(learner: Learner, known: list[Example], text: str) -> dict[str, dict[str, dict[str, float]]]:
    vector = (await HashingEmbedder().embed([text]))[0]
    return learner.distributions(TAXONOMY, known, text, vector)


async def test_words_and_embedding_each_tell_the_label_that_similar_incidents_had() -> None:
    said = await say(Learner(), await examples(LEAST_INCIDENTS), "The racks lost power after a breaker tripped")

    assert set(said) == {"category", "failure_mode"}
    for source in ("words", "embedding"):
        category = said["category"][source]
        assert max(category, key=lambda label: category[label]) == "infrastructure"
        assert sum(category.values()) == pytest.approx(1)


async def test_a_small_history_teaches_nothing() -> None:
    assert await say(Learner(), await examples(LEAST_INCIDENTS - 1), "The racks lost power") == {}


async def test_a_history_with_one_label_teaches_nothing() -> None:
    known = [
        example for example in await examples(2 * LEAST_INCIDENTS) if example.labels["category"] != ("operational",)
    ]

    assert await say(Learner(), known, "The racks lost power") == {}


async def test_a_label_that_stands_there_once_is_left_out() -> None:
    known = await examples(LEAST_INCIDENTS)
    odd = Example("odd", "A disk filled up", known[0].vector, {"category": ("inference_engine",)})

    assert "inference_engine" not in (await say(Learner(), [*known, odd], "A disk filled up"))["category"]["words"]


async def test_texts_without_a_word_in_common_are_learned_from_their_embeddings_alone() -> None:
    known = [e._replace(text=f"only{n} words{n}") for n, e in enumerate(await examples(LEAST_INCIDENTS))]

    assert set((await say(Learner(), known, "The racks lost power"))["category"]) == {"embedding"}


async def test_a_corrected_label_is_learned_at_once() -> None:
    learner, known = Learner(), await examples(LEAST_INCIDENTS)
    await say(learner, known, POWER)
    corrected = [e._replace(labels={"category": ("model_configuration",)}) if "breaker" in e.text else e for e in known]
    said = (await say(learner, corrected, POWER))["category"]["words"]

    assert max(said, key=lambda label: said[label]) == "model_configuration"


async def test_the_order_of_the_history_does_not_matter() -> None:
    known = await examples(LEAST_INCIDENTS)

    assert await say(Learner(), known, DEPLOY) == await say(Learner(), known[::-1], DEPLOY)


async def test_what_is_known_is_not_learned_again() -> None:
    learner, known = Learner(), await examples(300)
    vector = np.asarray((await HashingEmbedder().embed([POWER]))[0])
    learner.distributions(TAXONOMY, known, POWER, vector)
    learned = {key: id(fitted) for key, fitted in learner._fitted.items()}
    await asyncio.gather(*(asyncio.to_thread(learner.distributions, TAXONOMY, known, DEPLOY, vector) for _ in range(2)))

    assert learned
    assert {key: id(fitted) for key, fitted in learner._fitted.items()} == learned


@pytest.fixture
def history() -> Iterator[ChromaHistory]:
    history = ChromaHistory.open(None, HashingEmbedder.fingerprint)
    yield history
    history.close()


async def test_the_examples_of_the_index_leave_out_what_is_excluded_and_near_duplicates(history: ChromaHistory) -> None:
    known = await examples(6)
    vectors = np.stack([example.vector for example in known])
    await history.remember([(Incident(id=e.incident_id, write_up=e.text), e.labels) for e in known], vectors)

    every = await history.examples(known[0].text)
    assert {e.incident_id for e in every} == {e.incident_id for e in known}
    assert every[0].labels == next(e for e in known if e.incident_id == every[0].incident_id).labels
    left = await history.examples(known[1].text, exclude={"i0"}, duplicates=False)
    assert {e.incident_id for e in left} == {"i2", "i4"}
