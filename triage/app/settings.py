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
    """Every setting with its default, read from `TRIAGE_<NAME>`. `make docs` writes docs/settings.md from it."""

    model_config = SettingsConfigDict(env_prefix="TRIAGE_", env_file=".env", extra="ignore", populate_by_name=True)

    taxonomy: str = "llm_inference"
    """The name of a shipped taxonomy (`cloud_faults`, `cloud_reports`, `engine_issues`, `llm_inference`) or the path
    of a YAML file."""
    model: str = "local"
    """`local`, `none`, a model at an OpenAI-compatible endpoint, `provider:model` for LangChain, or recorded answers:
    `replay:FILE.jsonl#RUN` (rows with a field `recorded`) or `replay:FOLDER` (an earlier run)."""
    base_url: str | None = Field(
        default=None, validation_alias=AliasChoices("TRIAGE_BASE_URL", "OPENAI_BASE_URL", "base_url")
    )
    """The OpenAI-compatible endpoint. Default: OpenAI."""
    api_key: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("TRIAGE_API_KEY", "OPENAI_API_KEY", "api_key")
    )
    """The key for that endpoint."""
    answers: Literal["auto", "letters", "structured"] = "auto"
    """How the model is asked: `letters` or `structured`. `auto` uses letters for the local model."""
    samples: int | None = Field(default=None, ge=1)
    """Answers per question: the first at temperature 0, the others at 0.7; the probabilities are their mean. Each
    costs one more call. For letters, used only where the endpoint returns no log-probabilities. Default: 1, or 5
    with letters."""
    requests_per_minute: int | None = Field(default=None, ge=1)
    """The provider's request limit. All processes on one database share it; calls wait for their turn."""
    tokens_per_minute: int | None = Field(default=None, ge=1)
    """The provider's token limit, shared in the same way."""
    prices: Path | None = None
    """A YAML file with one line per model, such as `gpt-5-mini: {prompt: 0.25, completion: 2}`, in US dollars per
    million tokens. The cost of a model without a price is unknown."""
    model_deadline_s: float | None = Field(default=None, gt=0)
    """Time limit in seconds for all model calls of one incident, with retries and fallbacks. In suites: the limit of
    one call. Default: 60, or 600 with `local` (300 in suites)."""
    write_up_characters: int | None = Field(default=None, ge=200)
    """How many characters of a write-up the model reads; the most relevant sentences are chosen. Default: 24,000, or
    1,600 with `local`."""
    turns: int | None = Field(default=None, ge=1, le=256)
    """How many incidents the model is asked about at once. Default: 16, or 1 with `local`."""
    quotes: bool = False
    """Ask a model that answers with letters for evidence, instead of using the sentence that shows the label
    best. Doubles its time."""
    prompts: Path | None = None
    """A folder of prompt files that replace the shipped ones with the same id. Results then name the prompt with a
    hash of its text."""
    calibrator: Path | Literal["auto", "none"] = "auto"
    """The path of a calibrator, `none`, or `auto`: the newest in `TRIAGE_DATA_DIR/calibrators` that fits, else a
    shipped one."""
    half_life_days: float | None = Field(default=None, gt=0)
    """When neighbours are ranked, an incident this many days old counts half as much as one from today. Default: all
    count the same."""

    embedding_model: str = "local"
    """`local`, or an embedding model at an OpenAI-compatible endpoint."""
    embedding_base_url: str | None = None
    """The endpoint of the embedding model. Default: `TRIAGE_BASE_URL`."""

    local_model_path: Path | None = None
    """A GGUF file to use instead of the packaged one. Its SHA-256 must match."""
    local_threads: int | None = Field(default=None, ge=1, le=256)
    """The threads of the local model. Fewer leave cores to other work. Default: one per core that the process may
    use."""
    cache_dir: Path = Field(default_factory=lambda: Path(platformdirs.user_cache_dir("triage")))
    """The folder where model weights are assembled. Default: the user's cache folder."""
    data_dir: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("triage")))
    """The folder of the database, queue, index, cached vectors and the local model's log. Default: the user's data
    folder."""
    database_url: str | None = None
    """The database: `postgresql://user:password@host/name`. Default: SQLite in the data folder."""
    chroma_url: str | None = None
    """A Chroma server, such as `http://host:8000`. Default: Chroma in this process."""
    shipped_history: bool = True
    """Start with the shipped incidents."""
    runs: Path = Path("runs")
    """The folder of eval runs that the pages show."""
    suites: Path = Path("evals/suites")
    """The folder of suites that the checklist counts."""
    study_roles: Path | None = None
    """A YAML file that says what labels mean to the study; see [study](study.md#roles). Default: the roles shipped
    with the taxonomy."""

    live_kappa_gate: float | None = Field(default=None, ge=-1, le=1)
    """Alert when the whole confidence interval of live kappa lies below this value. Default: no alert."""
    live_window_days: float = Field(default=30.0, gt=0)
    """The window of live agreement, in days."""
    live_window_cases: int = Field(default=500, ge=1, le=10_000)
    """The most cases in the window of live agreement."""
    live_refresh_s: float = Field(default=60.0, ge=0)
    """Compute live agreement at most this often, in seconds."""

    host: str = "127.0.0.1"
    """The address the service listens on."""
    port: Port = 8350
    """The port the service listens on."""
    max_write_up_bytes: int = Field(default=1_000_000, ge=1_000)
    """The largest write-up that is accepted, in bytes."""
    wait_limit_s: float = Field(default=120.0, gt=0)
    """The longest `Prefer: wait`, in seconds."""
    request_limit_s: float = Field(default=30.0, gt=0)
    """How long the body of a request may take to arrive, in seconds."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The lowest level that is logged."""
    log_format: Literal["text", "json"] = "text"
    """`text`, or `json`: one object per line with the ids of request, incident and trace."""

    auth: Literal["auto", "on", "off"] = "auto"
    """`auto`: require keys on every address but loopback. `on`: always. `off`: never, and refused on any address but
    loopback. See [security](security.md)."""
    requests_per_key_and_minute: int = Field(default=600, ge=1)
    """Rate limit for keys without their own; counted in each process."""
    cors_origins: tuple[str, ...] = ()
    """Websites whose pages may use the service, as JSON: `["https://wiki.example"]`."""
    encryption_keys: SecretStr | None = None
    """Comma-separated keys. The first encrypts, all of them decrypt. `none` in first place: decrypt only. `triage
    encrypt --new-key` makes one. See [encryption](encryption.md)."""
    private_webhooks: bool = False
    """Allow messages to receivers in private networks and on this machine, and over plain HTTP. See
    [webhooks](webhooks.md)."""
    public_url: str | None = None
    """The public address of the service, for links in messages and the URLs that `triage webhooks add` prints."""

    serve_works: bool = True
    """`false`: `triage serve` only accepts incidents and `triage worker` triages them; needs PostgreSQL and a Chroma
    server. See [deploying](deploying.md)."""
    concurrency: int | None = Field(default=None, ge=1)
    """How many incidents a process triages at a time; give all workers the same. Default: 16."""
    most_pending: int = Field(default=10_000, ge=1)
    """When this many incidents wait, new ones get 503."""
    metrics_port: Port | None = None
    """The port where a worker serves `/metrics`."""

    fallback_models: tuple[str, ...] = ()
    """Models to ask when the one before fails, as JSON: `["gpt-5-nano", "local"]`; same endpoint and key. See
    [providers](providers.md)."""
    daily_tokens: int | None = Field(default=None, ge=1)
    """The most tokens that all processes use in a day (UTC). Above it, labels come from the history and the
    definitions alone."""
    daily_cost: float | None = Field(default=None, gt=0)
    """The same limit in US dollars; needs `TRIAGE_PRICES`."""

    telemetry: bool = False
    """Send traces over OTLP/gRPC to `OTEL_EXPORTER_OTLP_ENDPOINT`. See [observability](observability.md)."""
    telemetry_content: bool = False
    """Record prompts and answers in the spans of model calls."""

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
    """What must never appear in a log or an answer: keys, and the passwords and tokens in addresses."""
    set_keys = [key.get_secret_value() for key in (settings.api_key, settings.encryption_keys) if key is not None]
    keys = [key for each in set_keys for key in each.split(",")]
    urls = (settings.base_url, settings.embedding_base_url, settings.database_url, settings.chroma_url)
    return [*keys, *(secret for url in urls for secret in _secrets_in(url or ""))]


def shown_settings(settings: Settings) -> dict[str, str]:
    """Every setting in effect as TRIAGE_NAME -> value, with secrets masked."""
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
    # A name without a password is a user in a database URL, and mostly a token elsewhere.
    secret = parts.password or (parts.username if parts.scheme in ("http", "https") else None)
    return [secret, unquote(secret)] if secret else []
