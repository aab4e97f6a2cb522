from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from triage.store import Store
from triage.store.database import create_engine
from triage.store.keys import LASTS


async def test_a_session_is_found_by_its_token_until_it_ends(store: Store) -> None:
    made = await store.keys.create("pager", ["read"], ["payments"])
    token, other = await store.sessions.create(made.key), await store.sessions.create(made.key)

    found = await store.sessions.find(token)
    assert found is not None
    assert found.principal == made.key.principal
    assert (await store.keys.get(made.key.id)).last_used_at is not None
    for wrong in ("", token[:-1], token + "x", token.swapcase(), made.text, "\x00" * 43):
        assert await store.sessions.find(wrong) is None

    await store.sessions.delete(token)
    assert await store.sessions.find(token) is None
    assert await store.sessions.find(other) is not None


async def test_a_session_of_a_revoked_key_is_over(store: Store) -> None:
    made = await store.keys.create("pager", ["read"])
    token = await store.sessions.create(made.key)
    await store.keys.revoke(made.key.id)
    assert await store.sessions.find(token) is None


async def test_a_rotation_leaves_sessions_no_more_than_its_grace_period(store: Store) -> None:
    made, other = await store.keys.create("pager", ["read"]), await store.keys.create("other", ["read"])
    token, apart = await store.sessions.create(made.key), await store.sessions.create(other.key)
    await store.keys.rotate(made.key.id, grace_s=60)
    assert await store.sessions.find(token) is not None

    rotated = await store.keys.rotate(made.key.id, grace_s=0)
    assert await store.sessions.find(token) is None
    assert await store.sessions.find(await store.sessions.create(rotated.key)) is not None
    assert await store.sessions.find(apart) is not None


async def test_a_session_that_the_text_before_a_rotation_begins_ends_with_that_text(store: Store) -> None:
    made = await store.keys.create("pager", ["read"])
    rotated = await store.keys.rotate(made.key.id, grace_s=1)
    before, after = await store.keys.find(made.text), await store.keys.find(rotated.text)
    assert before is not None
    assert after is not None
    of_before, of_after = await store.sessions.create(before), await store.sessions.create(after)
    assert await store.sessions.find(of_before) is not None

    await asyncio.sleep(1)
    assert await store.sessions.find(of_before) is None
    assert await store.sessions.find(of_after) is not None


async def test_a_session_does_not_outlive_its_time(store: Store, url: str) -> None:
    made = await store.keys.create("pager", ["read"])
    token = await store.sessions.create(made.key)
    engine = create_engine(url)
    async with engine.begin() as connection:
        past = datetime.now(UTC) - LASTS - timedelta(seconds=1)
        await connection.execute(text("UPDATE sessions SET expires_at = :past"), {"past": past.replace(tzinfo=None)})
    assert await store.sessions.find(token) is None
    await store.sessions.create(made.key)
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM sessions"))).scalar_one() == 1
    await engine.dispose()
