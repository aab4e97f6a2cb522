from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np
import pytest

from tests.fake_openai import FakeOpenAI, Status
from triage.domain.errors import MisconfiguredService, ModelUnavailable
from triage.models.embedding.onnx import DIMENSION, MiniLM, _verified
from triage.models.embedding.openai import OpenAIEmbedder


@pytest.fixture(scope="module")
def minilm() -> MiniLM:
    return MiniLM()


async def test_texts_that_mean_the_same_are_closer_than_others(minilm: MiniLM) -> None:
    vectors = await minilm.embed(
        ["The GPU ran out of memory.", "CUDA allocation failed on the accelerator.", "The invoice was sent twice."]
    )

    assert vectors.shape == (3, DIMENSION)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.1


async def test_the_same_text_has_the_same_vector_alone_and_among_others(minilm: MiniLM) -> None:
    alone = await minilm.embed(["The node lost power."])
    among = await minilm.embed(["Something else entirely.", "The node lost power."])

    assert among[1] == pytest.approx(alone[0], abs=1e-5)


async def test_empty_and_huge_texts_can_be_embedded(minilm: MiniLM) -> None:
    assert (await minilm.embed([])).shape == (0, DIMENSION)
    assert np.isfinite(await minilm.embed(["", "word " * 100_000])).all()


def test_a_missing_package_is_named_with_what_to_install() -> None:
    with pytest.raises(MisconfiguredService, match=r"needs the package no-such-weights.*triage\[local\]"):
        _verified("no-such-weights", "model.onnx", "0")


def test_a_file_with_another_content_is_not_used() -> None:
    with pytest.raises(MisconfiguredService, match="not the file that triage expects"):
        _verified("numpy", "numpy/__init__.py", "0" * 64)


@pytest.fixture
async def remote(fake_openai: FakeOpenAI) -> AsyncIterator[OpenAIEmbedder]:
    embedder = OpenAIEmbedder("embed-1", fake_openai.base_url, "key", deadline_s=5)
    yield embedder
    await embedder.aclose()


async def test_a_remote_embedder_gives_unit_vectors_in_order(remote: OpenAIEmbedder) -> None:
    texts = [f"text number {n}" for n in range(200)]
    vectors = await remote.embed(texts)

    assert vectors.shape[0] == 200
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert vectors[150] == pytest.approx((await remote.embed([texts[150]]))[0], abs=1e-6)


async def test_a_remote_embedder_retries_and_reports_why_it_gave_up(
    fake_openai: FakeOpenAI, remote: OpenAIEmbedder
) -> None:
    fake_openai.script(Status(429, headers={"retry-after": "0.01"}))
    assert (await remote.embed(["again"])).shape[0] == 1

    fake_openai.keys = {"another"}
    with pytest.raises(ModelUnavailable, match="key"):
        await remote.embed(["refused"])


def test_the_fingerprint_names_model_and_endpoint() -> None:
    one = OpenAIEmbedder("embed-1", "http://one.example/v1", "key")
    other = OpenAIEmbedder("embed-1", "http://two.example/v1", "key")

    assert one.fingerprint != other.fingerprint
