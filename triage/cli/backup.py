"""`triage backup`: everything that is kept, in one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from triage.app.settings import Settings
from triage.cli.terminal import JSON_OPTION, messages, output, print_json, run, watching

if TYPE_CHECKING:
    from triage.store import Manifest


def backup(
    file: Annotated[Path, typer.Argument(help="Where to write it; a zip. An older one there is replaced.")],
    without_keys: Annotated[bool, typer.Option("--without-keys", help="Leave the hashes of API keys out.")] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Write everything that the database holds, as it is at this moment, to one file. Services may run meanwhile.

    It is restored into SQLite or PostgreSQL, whichever it came from. Texts that are sealed stay sealed: keep the keys.
    """
    manifest = run(_backup(file, with_keys=not without_keys))
    if as_json:
        print_json(manifest.model_dump(mode="json"))
        return
    output().print(f"{escape(str(file))}: {manifest.rows} rows of {len(manifest.tables)} tables.")
    if manifest.is_sealed:
        messages().print("Its texts are sealed: it can't be read without TRIAGE_ENCRYPTION_KEYS.")


async def _backup(file: Path, *, with_keys: bool) -> Manifest:
    from triage.store import write_backup

    with watching() as progress:
        return await write_backup(Settings().sql_url, file, with_keys=with_keys, progress=progress)
