"""`triage encrypt`: encrypt what is stored, change the key, or go back to plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from triage.app.settings import Settings
from triage.cli.terminal import JSON_OPTION, messages, output, print_json, run, watching

if TYPE_CHECKING:
    from triage.store import Reencrypted


def encrypt(
    new_key: Annotated[bool, typer.Option("--new-key", help="Print a new random key, and do nothing else.")] = False,
    off: Annotated[bool, typer.Option("--off", help="Back to plain text.")] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Bring all that is stored to the state that TRIAGE_ENCRYPTION_KEYS asks for.

    What is plain, or sealed with an earlier key, is sealed with the first key; where the first key is `none`, or with
    --off, everything is made plain again. It may be stopped and started again, and services may run meanwhile if they
    were started with the same keys.
    """
    if new_key:
        from triage.store.encryption import new_key as make

        output().print(make(), soft_wrap=True)
        return
    found = run(_encrypt(off))
    if as_json:
        print_json(found._asdict())
        return
    output().print(f"{found.changed} of {found.rows} rows changed.")
    if not found.is_scrubbed:
        messages().print(
            "[yellow]Earlier texts may still be found in the database's files, because others were reading from them: "
            "run the command again, or once without a service beside it.[/yellow]"
        )


async def _encrypt(off: bool) -> Reencrypted:
    from triage.app.wiring.storage import make_data_folder
    from triage.domain.errors import MisconfiguredService
    from triage.store import reencrypt, upgrade
    from triage.store.encryption import OFF, Cipher

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
        return await reencrypt(settings.sql_url, cipher, progress)
