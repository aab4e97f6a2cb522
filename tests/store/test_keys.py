from __future__ import annotations

import hashlib
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from triage.domain.errors import Conflict, NotFound
from triage.domain.principal import acting_as
from triage.store import Store, upgrade


async def test_a_key_is_found_by_its_text_and_only_by_that(store: Store) -> None:
    made = await store.keys.create("pager", ["triage", "read"], ["payments", "billing"], requests_per_minute=7)
    found = await store.keys.find(made.text)

    assert found is not None
    assert (found.name, found.scopes, found.teams) == ("pager", ("triage", "read"), ("billing", "payments"))
    assert found.principal.teams == {"payments", "billing"}
    assert found.requests_per_minute == 7
    for other in ("", "triage_", made.text[:-1], made.text + "x", made.text.upper(), "triage_\x00_", made.text + "\n"):
        assert await store.keys.find(other) is None
    another = await store.keys.create("other", ["read"])
    swapped = another.text.rpartition("_")[0][:20] + made.text[20:]
    assert await store.keys.find(swapped) is None


async def test_a_key_without_teams_is_for_all_of_them(store: Store) -> None:
    made = await store.keys.create("all", ["admin"])
    assert (await store.keys.get(made.key.id)).teams is None
    assert made.key.principal.sees("anything")


async def test_the_secret_itself_is_nowhere_in_the_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'triage.db'}"
    await upgrade(url)
    store = Store(url)
    made = await store.keys.create("pager", ["read"])
    await store.keys.find(made.text)
    await store.close()
    secret = made.text.split("_", 2)[2]

    with sqlite3.connect(tmp_path / "triage.db") as connection:
        everything = "\n".join(connection.iterdump())
    assert secret not in everything
    assert hashlib.sha256(secret.encode()).hexdigest() in everything


async def test_after_a_rotation_the_text_before_opens_for_the_grace_period_only(store: Store) -> None:
    first = await store.keys.create("pager", ["read"])
    second = await store.keys.rotate(first.key.id, grace_s=60)
    assert await store.keys.find(first.text) is not None
    assert await store.keys.find(second.text) is not None

    third = await store.keys.rotate(first.key.id, grace_s=0)
    assert await store.keys.find(first.text) is None
    assert await store.keys.find(second.text) is None
    assert await store.keys.find(third.text) is not None


async def test_a_revoked_key_opens_nothing_with_any_of_its_texts(store: Store) -> None:
    first = await store.keys.create("pager", ["read"])
    second = await store.keys.rotate(first.key.id)
    revoked = await store.keys.revoke(first.key.id)

    assert await store.keys.find(first.text) is None
    assert await store.keys.find(second.text) is None
    assert (await store.keys.revoke(first.key.id)).revoked_at == revoked.revoked_at
    with pytest.raises(Conflict, match="is revoked"):
        await store.keys.rotate(first.key.id)
    with pytest.raises(NotFound):
        await store.keys.revoke("nobody")
    assert await store.keys.count() == 0


async def test_an_expired_key_is_found_and_says_so(store: Store) -> None:
    made = await store.keys.create("pager", ["read"], expires_at=datetime.now(UTC) - timedelta(seconds=1))
    found = await store.keys.find(made.text)
    assert found is not None
    assert found.is_expired(datetime.now(UTC))
    assert (await store.keys.get(made.key.id)).last_used_at is None
    assert await store.keys.count() == 0


async def test_its_last_use_is_kept_to_the_minute(store: Store) -> None:
    made = await store.keys.create("pager", ["read"])
    await store.keys.find(made.text)
    first = (await store.keys.get(made.key.id)).last_used_at
    await store.keys.find(made.text)

    assert first is not None
    assert (await store.keys.get(made.key.id)).last_used_at == first


async def test_every_change_of_a_key_is_in_the_audit_log_without_its_secret(store: Store) -> None:
    with acting_as("cli:ada"):
        made = await store.keys.create("pager", ["read"], ["payments"])
        rotated = await store.keys.rotate(made.key.id)
        await store.keys.revoke(made.key.id)

    entries = (await store.audit.list(10)).entries
    assert [entry.action for entry in entries] == ["key.revoked", "key.rotated", "key.created"]
    assert {(entry.actor, entry.team, entry.details["key"]) for entry in entries} == {
        ("cli:ada", "payments", made.key.id)
    }
    for text in (made.text, rotated.text):
        assert text.split("_", 2)[2] not in str(entries)
