"""Settings: read once from the environment (and a `.env` file), passed on as values."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

import platformdirs
from pydantic import AliasChoices, Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

_CREDENTIALS = re.compile(r"(?<=://)[^/?#\s]*@")

Port = Annotated[int, Field(ge=0, le=65535)]


class Settings(BaseSettings):
    """Every setting with its default; each is read from `TRIAGE_<NAME>`.

    `model` is `local`, `none`, the name of a model at an OpenAI-compatible endpoint, `provider:model` for any other
    provider that LangChain knows, or `replay:FILE#RUN` or `replay:FOLDER` for answers that were recorded. The key is
    also read from OPENAI_API_KEY and the endpoint from OPENAI_BASE_URL.
    """

    model_config = SettingsConfigDict(env_prefix="TRIAGE_", env_file=".env", extra="ignore", populate_by_name=True)

    taxonomy: str = "llm_inference"
    model: str = "local"
    base_url: str | None = Field(
        default=None, validation_alias=AliasChoices("TRIAGE_BASE_URL", "OPENAI_BASE_URL", "base_url")
    )
    api_key: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("TRIAGE_API_KEY", "OPENAI_API_KEY", "api_key")
    )
    answers: Literal["auto", "letters", "structured"] = "auto"
    samples: int | None = Field(default=None, ge=1)
    requests_per_minute: int | None = Field(default=None, ge=1)
    tokens_per_minute: int | None = Field(default=None, ge=1)
    prices: Path | None = None
    model_deadline_s: float | None = Field(default=None, gt=0)
    write_up_characters: int | None = Field(default=None, ge=200)
    turns: int | None = Field(default=None, ge=1, le=256)
    quotes: bool = False
    prompts: Path | None = None
    calibrator: Path | Literal["auto", "none"] = "auto"
    half_life_days: float | None = Field(default=None, gt=0)

    embedding_model: str = "local"
    embedding_base_url: str | None = None

    local_model_path: Path | None = None
    cache_dir: Path = Field(default_factory=lambda: Path(platformdirs.user_cache_dir("triage")))
    data_dir: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("triage")))
    database_url: str | None = None
    chroma_url: str | None = None
    shipped_history: bool = True
    runs: Path = Path("runs")
    suites: Path = Path("evals/suites")
    study_roles: Path | None = None

    live_kappa_gate: float | None = Field(default=None, ge=-1, le=1)
    live_window_days: float = Field(default=30.0, gt=0)
    live_window_cases: int = Field(default=500, ge=1, le=10_000)
    live_refresh_s: float = Field(default=60.0, ge=0)

    host: str = "127.0.0.1"
    port: Port = 8350
    max_write_up_bytes: int = Field(default=1_000_000, ge=1_000)
    wait_limit_s: float = Field(default=120.0, gt=0)
    request_limit_s: float = Field(default=30.0, gt=0)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"

    auth: Literal["auto", "on", "off"] = "auto"
    requests_per_key_and_minute: int = Field(default=600, ge=1)
    cors_origins: tuple[str, ...] = ()
    encryption_keys: SecretStr | None = None
    private_webhooks: bool = False
    public_url: str | None = None

    serve_works: bool = True
    concurrency: int | None = Field(default=None, ge=1)
    most_pending: int = Field(default=10_000, ge=1)
    metrics_port: Port | None = None

    fallback_models: tuple[str, ...] = ()
    daily_tokens: int | None = Field(default=None, ge=1)
    daily_cost: float | None = Field(default=None, gt=0)

    telemetry: bool = False
    telemetry_content: bool = False

    @field_validator(
        "base_url",
        "api_key",
        "embedding_base_url",
        "database_url",
        "chroma_url",
        "encryption_keys",
        "public_url",
        mode="before",
    )
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @property
    def sql_url(self) -> str:
        """The system of record: the database set, else SQLite in the data folder."""
        return self.database_url or f"sqlite+aiosqlite:///{self.data_dir / 'triage.db'}"

    @property
    def queue_url(self) -> str:
        """Where the queue is kept: the database set if it is PostgreSQL, else a SQLite file of its own."""
        if self.database_url and not self.database_url.startswith("sqlite"):
            return self.database_url
        return f"sqlite:///{self.data_dir / 'jobs.db'}"

    @property
    def is_local(self) -> bool:
        """True if the chat model runs on this machine, started by triage itself."""
        return self.model == "local"


def secrets(settings: Settings) -> list[str]:
    """What must never be seen in a log or an answer: keys, and the passwords and tokens in addresses."""
    found = [settings.api_key, settings.encryption_keys]
    said = [part for secret in found if secret is not None for part in secret.get_secret_value().split(",")]
    urls = (settings.base_url, settings.embedding_base_url, settings.database_url, settings.chroma_url)
    return [*said, *(secret for url in urls for secret in _secrets_in(url or ""))]


def told(settings: Settings) -> dict[str, str]:
    """Every setting in effect as TRIAGE_NAME -> value, for people to read: secrets are named, and not shown."""
    shown = {}
    for name in sorted(Settings.model_fields):
        value = getattr(settings, name)
        text = "" if value is None else ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        for secret in secrets(settings):
            text = text.replace(secret, "…") if secret else text
        shown[f"TRIAGE_{name.upper()}"] = _CREDENTIALS.sub("…@", text)
    return shown


def _secrets_in(url: str) -> list[str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return []
    # What stands alone before the host is a user of a database, and elsewhere mostly a token.
    secret = parts.password or (parts.username if parts.scheme in ("http", "https") else None)
    return [secret, unquote(secret)] if secret else []
