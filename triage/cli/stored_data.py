"""`triage backup`, `restore`, `encrypt` and `delete`: everything that is kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from triage.app.settings import Settings
from triage.cli.terminal import FAILURE, JSON_OPTION, messages, output, print_json, run, user_name, watching
from triage.domain.errors import MisconfiguredService, NotFound, TriageError


async def backup(
    file: Annotated[Path, typer.Argument(help="Where to write it; a zip. An older one there is replaced.")],
    without_keys: Annotated[bool, typer.Option("--without-keys", help="Leave the hashes of API keys out.")] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Write everything that the database holds, as it is at this moment, to one file. Services may run meanwhile.

    It is restored into SQLite or PostgreSQL, whichever it came from. Texts that are sealed stay sealed: keep the keys.
    """
    from triage.store import write_backup

    with watching() as progress:
        manifest = await write_backup(Settings().sql_url, file, with_keys=not without_keys, progress=progress)
    if as_json:
        print_json(manifest)
        return
    output().print(f"{escape(str(file))}: {manifest.rows} rows of {len(manifest.tables)} tables.")
    if manifest.is_sealed:
        messages().print("Its texts are sealed: it can't be read without TRIAGE_ENCRYPTION_KEYS.")


async def restore(
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
    from triage.app.wiring.storage import make_data_folder, open_records
    from triage.store import restore_backup

    settings = Settings()
    make_data_folder(settings)
    with watching() as progress:
        manifest = await restore_backup(settings.sql_url, file, replace=replace, dry_run=dry_run, progress=progress)
        try:
            if not dry_run:
                async with open_records(settings, progress, index_in_memory=False) as records:
                    await records.casebook.indexer.rebuild(progress)
        except TriageError as error:
            messages().print(
                f"[yellow]The database is restored, and the index is not built yet: {escape(error.detail)}[/yellow]"
            )
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


async def encrypt(
    new_key: Annotated[bool, typer.Option("--new-key", help="Print a new random key, and do nothing else.")] = False,
    off: Annotated[bool, typer.Option("--off", help="Back to plain text.")] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Bring all that is stored to the state that TRIAGE_ENCRYPTION_KEYS asks for.

    What is plain, or sealed with an earlier key, is sealed with the first key; where the first key is `none`, or with
    --off, everything is made plain again. It may be stopped and started again, and services may run meanwhile if they
    were started with the same keys.
    """
    from triage.app.wiring.storage import make_data_folder
    from triage.store import reencrypt, upgrade
    from triage.store.encryption import OFF, Cipher
    from triage.store.encryption import new_key as make

    if new_key:
        output().print(make(), soft_wrap=True)
        return
    settings = Settings()
    keys = settings.encryption_keys.get_secret_value() if settings.encryption_keys else ""
    if not keys:
        raise MisconfiguredService(
            "TRIAGE_ENCRYPTION_KEYS is not set: make a key with `triage encrypt --new-key`, keep it where secrets are "
            "kept, and set it for every process.",
            setting="TRIAGE_ENCRYPTION_KEYS",
        )
    cipher = Cipher.parse(f"{OFF},{keys}" if off else keys)
    make_data_folder(settings)
    await upgrade(settings.sql_url)
    with watching() as progress:
        result = await reencrypt(settings.sql_url, cipher, progress)
    if as_json:
        print_json(result._asdict())
        return
    output().print(f"{result.changed} of {result.rows} rows changed.")
    if not result.is_scrubbed:
        messages().print(
            "[yellow]Earlier texts may still be found in the database's files, because others were reading from them: "
            "run the command again, or once without a service beside it.[/yellow]"
        )


def delete(
    incident_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="The incidents to delete.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Delete incidents with their triages, labels, vectors and jobs.

    A service that is running takes them out of its index within seconds. The audit log keeps that they were deleted.
    """
    ids = list(dict.fromkeys(incident_ids))
    if not yes:
        asked = f"Delete {len(ids)} incident(s) for good?" if len(ids) > 1 else f"Delete {ids[0]!r} for good?"
        typer.confirm(asked, abort=True, err=True)
    deleted, unknown = run(_delete(ids))
    if as_json:
        print_json({"deleted": deleted, "unknown": unknown})
    else:
        output().print(f"{len(deleted)} of {len(ids)} deleted.")
        for incident_id in unknown:
            messages().print(f"There is no incident {escape(incident_id)!r}.")
    if unknown:
        raise typer.Exit(FAILURE)


async def _delete(incident_ids: list[str]) -> tuple[list[str], list[str]]:
    """The ids that were deleted and those that don't exist. The index is updated later: a service may have it open."""
    from triage.app.wiring.storage import open_store
    from triage.server.jobs.workflows import forget_jobs

    settings = Settings()
    deleted, unknown = list[str](), list[str]()
    async with open_store(settings) as (store, _):
        for incident_id in incident_ids:
            try:
                await store.incidents.delete(incident_id, f"cli:{user_name()}")
            except NotFound:
                unknown.append(incident_id)
            else:
                deleted.append(incident_id)
    await forget_jobs(settings.queue_url, deleted)
    return deleted, unknown
