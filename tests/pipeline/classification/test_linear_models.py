from __future__ import annotations

import asyncio

import numpy as np
import pytest

from tests.parts import HashingEmbedder
from triage.domain.annotation import Labels
from triage.domain.taxonomy import Taxonomy
from triage.history import Example
from triage.pipeline.classification.linear_models import LEAST_INCIDENTS, Learner

WITH_CUES = Taxonomy.load("llm_inference")
TAXONOMY = WITH_CUES.model_copy(
    update={
        "facets": tuple(
            facet.model_copy(update={"labels": tuple(label.model_copy(update={"cues": ()}) for label in facet.labels)})
            for facet in WITH_CUES.facets
        )
    }
)
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


async def say(
    learner: Learner, known: list[Example], text: str, taxonomy: Taxonomy = TAXONOMY
) -> dict[str, dict[str, dict[str, float]]]:
    vector = (await HashingEmbedder().embed([text]))[0]
    return learner.distributions(taxonomy, known, text, vector)


async def test_words_and_embedding_each_tell_the_label_that_similar_incidents_had() -> None:
    said = await say(Learner(), await examples(LEAST_INCIDENTS), "The racks lost power after a breaker tripped")

    assert set(said) == {"category", "failure_mode"}
    for source in ("words", "embedding"):
        category = said["category"][source]
        assert max(category, key=lambda label: category[label]) == "infrastructure"
        assert sum(category.values()) == pytest.approx(1)


async def test_cues_of_the_taxonomy_join_the_embedding() -> None:
    sources = (await say(Learner(), await examples(LEAST_INCIDENTS), "A generator failed", WITH_CUES))["category"]

    assert set(sources) == {"words", "cues"}
    assert max(sources["cues"], key=lambda label: sources["cues"][label]) == "infrastructure"
    assert sum(sources["cues"].values()) == pytest.approx(1)


async def test_a_cue_outweighs_other_words() -> None:
    known = [e._replace(vector=np.zeros_like(e.vector)) for e in await examples(LEAST_INCIDENTS)]
    vector = np.zeros_like(known[0].vector)
    of = [
        Learner().distributions(WITH_CUES, known, text, vector)["category"]["cues"]
        for text in ("Power was lost in the hall, UPS and all", "We rolled back the deploy")
    ]

    assert of[0]["infrastructure"] > 0.5 > of[1]["infrastructure"]


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
