"""What is told of the settings in effect."""

from __future__ import annotations

from typing import Any

import pytest

from triage.app.settings import Settings, secrets, shown_settings


def test_no_credentials_in_an_address_are_shown() -> None:
    urls: dict[str, Any] = {
        "base_url": "https://gateway:first-pass@llm.example/v1",
        "embedding_base_url": "https://lone-token@embedder.example/v1",
        "database_url": "postgresql://triage:third%40pass@db.example/triage",
        "chroma_url": "http://index:fourth-pass@chroma.example:8000",
        "public_url": "https://triage.example/",
        "fallback_models": ("openai:one",),
        "cors_origins": ("https://wiki:fifth-pass@wiki.example",),
    }
    settings = Settings(**urls, _env_file=None)
    shown = shown_settings(settings)
    for secret in ("first-pass", "lone-token", "third", "fourth-pass", "fifth-pass"):
        assert secret not in str(shown)
    assert shown["TRIAGE_CHROMA_URL"] == "http://…@chroma.example:8000"
    assert shown["TRIAGE_DATABASE_URL"] == "postgresql://…@db.example/triage"
    assert shown["TRIAGE_PUBLIC_URL"] == "https://triage.example/"
    assert shown["TRIAGE_FALLBACK_MODELS"] == "openai:one"
    # In the log they are masked wherever they turn up, as they stand in the address and as they are meant.
    assert {"first-pass", "lone-token", "third%40pass", "third@pass", "fourth-pass"} <= set(secrets(settings))


@pytest.mark.parametrize("url", ["http://[chroma", "chroma", "http://chroma:8000", "postgresql://triage@db/triage"])
def test_an_address_without_credentials_hides_nothing(url: str) -> None:
    settings = Settings(chroma_url=url, _env_file=None)  # type: ignore[call-arg]
    assert [secret for secret in secrets(settings) if secret in url] == []
