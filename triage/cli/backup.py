"""`triage backup` and `restore`: everything that is kept, in one file."""

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
        print_json(manifest)
        return
    output().print(f"{escape(str(file))}: {manifest.rows} rows of {len(manifest.tables)} tables.")
    if manifest.is_sealed:
        messages().print("Its texts are sealed: it can't be read without TRIAGE_ENCRYPTION_KEYS.")


async def _backup(file: Path, *, with_keys: bool) -> Manifest:
    from triage.store import write_backup

    with watching() as progress:
        return await write_backup(Settings().sql_url, file, with_keys=with_keys, progress=progress)


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `triage backup` wrote.")],
    replace: Annotated[bool, typer.Option("--replace", help="Lose what the database holds.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check the file and the database; change nothing.")
    ] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Fill the database with a backup, all or nothing, bring it to this version, and build the index anew.

    Stop the service before. The backup may come from SQLite or PostgreSQL, and from an earlier version.
    """
    manifest = run(_restore(file, replace=replace, dry_run=dry_run))
    if as_json:
        print_json(manifest)
        return
    done = "is whole and can be restored" if dry_run else "is restored"
    output().print(
        f"{escape(str(file))} of {manifest.created_at:%Y-%m-%d %H:%M} UTC {done}: {manifest.rows} rows of "
        f"{len(manifest.tables)} tables."
    )
    if not manifest.has_keys:
        messages().print("It was made without API keys: make new ones.")


async def _restore(file: Path, *, replace: bool, dry_run: bool) -> Manifest:
    from triage.app.wiring.storage import make_data_folder, open_records
    from triage.domain.errors import TriageError
    from triage.store import restore_backup

    settings = Settings()
    make_data_folder(settings)
    with watching() as progress:
        manifest = await restore_backup(settings.sql_url, file, replace=replace, dry_run=dry_run, progress=progress)
        if dry_run:
            return manifest
        try:
            async with open_records(settings, progress, index_in_memory=False) as records:
                await records.casebook.indexer.rebuild(progress)
        except TriageError as error:
            messages().print(
                f"[yellow]The database is restored, and the index is not built yet: {escape(error.detail)}[/yellow]"
            )
    return manifest
