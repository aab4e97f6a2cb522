from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from evals.bench.learning_curve import RememberingEmbedder
from tests.fake_openai import FakeOpenAI
from tests.pipeline.outages import HISTORY
from triage.domain.incident import Incident
from triage.history.chroma import ChromaHistory
from triage.models.chat.openai import OpenAIChat
from triage.models.embedding.onnx import MiniLM


@pytest.fixture(scope="session")
def embedder() -> RememberingEmbedder:
    return RememberingEmbedder(MiniLM())


@pytest.fixture
async def history(embedder: RememberingEmbedder) -> AsyncIterator[ChromaHistory]:
    history = ChromaHistory.open(None, embedder.fingerprint)
    incidents = [(Incident(id=key, write_up=text), labels) for key, (text, labels) in HISTORY.items()]
    await history.remember(incidents, await embedder.embed([text for text, _ in HISTORY.values()]))
    yield history
    history.close()


@pytest.fixture
async def model(fake_openai: FakeOpenAI) -> AsyncIterator[OpenAIChat]:
    chat = OpenAIChat("any-model", fake_openai.base_url, "key")
    yield chat
    await chat.aclose()
