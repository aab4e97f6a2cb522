from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.processes import Forked
from tests.server.notifications.receiver import receiving
from triage.domain.incident import Incident
from triage.domain.triage_result import FacetResult, Provenance, Triage
from triage.server.notifications import Courier, Notifier, NotifierOptions
from triage.server.notifications.delivery import _seconds
from triage.server.notifications.notifier import RETRIES_S
from triage.store import Notification, Store, upgrade

QUICK = NotifierOptions(poll_s=0.05, retries_s=(0.02, 0.02, 0.02))


async def triaged(store: Store, incident_id: str, team: str = "default") -> None:
    await store.incidents.add(Incident(id=incident_id, title="Down", write_up="All fell over."), "llm_inference", team)
    facets = {"category": FacetResult(facet="category", labels=("infrastructure",))}
    provenance = Provenance(taxonomy="llm_inference", taxonomy_version="1.0.0")
    await store.triages.save(incident_id, Triage(incident_id=incident_id, facets=facets, provenance=provenance))


@asynccontextmanager
async def notifying(store: Store, options: NotifierOptions = QUICK, timeout_s: float = 5) -> AsyncIterator[Notifier]:
    notifier = Notifier(store, courier=Courier(private=True, timeout_s=timeout_s), options=options)
    await notifier.start()
    try:
        yield notifier
    finally:
        await notifier.stop()


async def until(store: Store, subscription_id: str, done: Callable[[list[Notification]], bool]) -> list[Notification]:
    async with asyncio.timeout(60):
        while not done(found := await store.notifications.list(subscription_id=subscription_id)):  # noqa: ASYNC110 - a database tells nobody
            await asyncio.sleep(0.01)
    return found


def all_in(state: str) -> Callable[[list[Notification]], bool]:
    return lambda found: bool(found) and all(n.state == state for n in found)


async def test_a_triage_is_told_at_once_and_any_receiver_can_verify_it(store: Store) -> None:
    async with receiving() as receiver, notifying(store, QUICK._replace(poll_s=30)):
        subscription, secret = await store.subscriptions.create(receiver.url, "default")
        await triaged(store, "inc-1")
        await receiver.wait_for(1)
        (notification,) = await until(store, subscription.id, all_in("delivered"))

        message = receiver.verified(0, secret)
        assert (message["type"], message["data"]["incident_id"]) == ("triaged", "inc-1")
        assert receiver.ids == [notification.id]
        assert notification.attempts == 1
        with pytest.raises(WebhookVerificationError):
            Webhook("whsec_" + "A" * 40).verify(receiver.bodies[0], receiver.headers[0])


async def test_after_an_error_it_is_sent_again_under_the_same_id(store: Store) -> None:
    async with receiving(lambda n: web.Response(status=500 if n == 1 else 204)) as receiver, notifying(store):
        subscription, _ = await store.subscriptions.create(receiver.url, "default")
        await triaged(store, "inc-1")
        (notification,) = await until(store, subscription.id, all_in("delivered"))
    assert receiver.ids == [notification.id] * 2
    assert notification.attempts == 2


async def test_it_fails_for_good_after_the_last_try_and_can_be_sent_anew(store: Store) -> None:
    async with receiving(lambda n: web.Response(status=404 if n <= 4 else 200)) as receiver, notifying(store):
        subscription, _ = await store.subscriptions.create(receiver.url, "default")
        await triaged(store, "inc-1")
        (failed,) = await until(store, subscription.id, all_in("failed"))
        assert (failed.attempts, failed.failure, failed.next_at) == (4, "404 Not Found", None)

        await store.notifications.redeliver(subscription.id, failed.id)
        await until(store, subscription.id, all_in("delivered"))
    assert receiver.ids == [failed.id] * 5


async def test_retry_after_is_honoured(store: Store) -> None:
    answer = web.Response(status=429, headers={"Retry-After": "1000"})
    async with receiving(lambda _: answer) as receiver, notifying(store):
        subscription, _ = await store.subscriptions.create(receiver.url, "default")
        await triaged(store, "inc-1")
        (waiting,) = await until(store, subscription.id, lambda found: bool(found) and found[0].failure is not None)
    assert waiting.next_at is not None
    assert timedelta(seconds=900) < waiting.next_at - datetime.now(UTC) <= timedelta(seconds=1000)


async def test_a_receiver_that_is_gone_is_told_nothing_more(store: Store) -> None:
    async with receiving(lambda _: web.Response(status=410)) as receiver, notifying(store):
        subscription, _ = await store.subscriptions.create(receiver.url, "default")
        await triaged(store, "inc-1")
        (notification,) = await until(store, subscription.id, all_in("failed"))
        await triaged(store, "inc-2")
        await asyncio.sleep(0.2)
        assert not (await store.subscriptions.get(subscription.id)).is_active
    assert "410 Gone" in str(notification.failure)
    assert len(receiver.bodies) == 1


async def test_a_receiver_that_hangs_holds_up_no_other(store: Store) -> None:
    options = QUICK._replace(each=2, at_once=6)
    async with receiving(hangs=True) as stuck, receiving() as well, notifying(store, options, timeout_s=60):
        # Each that hangs would do so for 60 s, and `until` waits no longer.
        hanging, _ = await store.subscriptions.create(stuck.url, "a")
        working, _ = await store.subscriptions.create(well.url, "b")
        for i in range(20):
            await triaged(store, f"a{i}", "a")
        for i in range(20):
            await triaged(store, f"b{i}", "b")
        await until(store, working.id, lambda found: len(found) == 20 and all_in("delivered")(found))
        waiting = await store.notifications.list(subscription_id=hanging.id)
    assert 1 <= stuck.most_at_once <= 2
    assert well.most_at_once <= 2
    assert not any(n.state == "delivered" or n.failure for n in waiting)
    assert len(set(well.ids)) == len(well.ids) == 20


async def test_a_receiver_that_does_not_answer_in_time_is_told_so(store: Store) -> None:
    async with receiving(hangs=True) as stuck, notifying(store, timeout_s=1):
        subscription, _ = await store.subscriptions.create(stuck.url, "default")
        await triaged(store, "inc-1")
        (waiting,) = await until(store, subscription.id, lambda found: any(n.failure for n in found))
    assert waiting.failure == "no answer within 1 s"


async def test_during_a_change_of_secrets_both_verify(store: Store) -> None:
    async with receiving() as receiver, notifying(store):
        subscription, former = await store.subscriptions.create(receiver.url, "default")
        secret = await store.subscriptions.rotate_secret(subscription.id)
        await triaged(store, "inc-1")
        await receiver.wait_for(1)
    assert receiver.verified(0, former) == receiver.verified(0, secret)


async def test_slack_gets_blocks(store: Store) -> None:
    async with receiving() as receiver, notifying(store):
        await store.subscriptions.create(receiver.url, "default", "slack")
        await triaged(store, "inc-1")
        await receiver.wait_for(1)
    assert json.loads(receiver.bodies[0])["blocks"][0]["text"]["text"].startswith("*Triage:* Down\n")


async def test_a_test_message_tells_what_came_of_it_and_wakes_what_was_off(store: Store) -> None:
    async with (
        receiving(lambda n: web.Response(status=500 if n == 1 else 200)) as receiver,
        notifying(store) as notifier,
    ):
        subscription, secret = await store.subscriptions.create(receiver.url, "default")
        await store.subscriptions.deactivate(subscription.id, "gone")
        first = await notifier.test(subscription.id)
        assert (first.result, first.detail) == ("again", "500 Internal Server Error")
        assert not (await store.subscriptions.get(subscription.id)).is_active
        assert (await notifier.test(subscription.id)).result == "delivered"
        assert (await store.subscriptions.get(subscription.id)).is_active
    assert receiver.verified(1, secret)["type"] == "test"
    assert await store.notifications.list(subscription_id=subscription.id) == []


LEASE = timedelta(seconds=1.5)


async def claim_and_die(url: str) -> None:
    claimed = await Store(url).notifications.claim(datetime.now(UTC), LEASE, 4, 10)
    print(claimed[0].id, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


async def test_what_a_killed_process_had_claimed_is_sent_when_its_lease_is_over(store: Store, tmp_path: Path) -> None:
    async with receiving() as receiver:
        subscription, _ = await store.subscriptions.create(receiver.url, "default")
        await triaged(store, "inc-1")
        killed = Forked(claim_and_die, f"sqlite:///{tmp_path / 'triage.db'}")
        assert await asyncio.to_thread(killed.wait, 60) == -signal.SIGKILL, killed.text("stderr")
        async with notifying(store):
            (notification,) = await until(store, subscription.id, all_in("delivered"))
    assert receiver.ids == [killed.text("stdout").strip()] == [notification.id]
    assert notification.attempts == 2
    assert notification.delivered_at is not None
    assert notification.delivered_at - notification.created_at >= LEASE


@pytest.mark.parametrize("steps", range(5))
async def test_it_stops_even_if_a_notification_is_added_meanwhile(store: Store, steps: int) -> None:
    """`asyncio.wait_for` of Python 3.11 loses a cancellation that arrives together with the event."""
    notifier = Notifier(store, options=QUICK._replace(poll_s=60))
    await notifier.start()
    async with asyncio.timeout(60):
        while not store.notifications.added._waiters:  # type: ignore[attr-defined]  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        store.notifications.added.set()
        for _ in range(steps):
            await asyncio.sleep(0)
        await notifier.stop()


async def test_two_notifiers_on_one_postgresql_deliver_each_message_once(new_database: Callable[[], str]) -> None:
    url = new_database()
    await upgrade(url)
    one, two = Store(url), Store(url)
    async with receiving() as receiver, notifying(one), notifying(two):
        subscriptions = [await one.subscriptions.create(receiver.url, f"team{i}") for i in range(4)]
        for i in range(40):
            await triaged(one if i % 2 else two, f"inc-{i}", f"team{i % 4}")
        for subscription, _ in subscriptions:
            await until(one, subscription.id, lambda found: len(found) == 10 and all_in("delivered")(found))
    await one.close()
    await two.close()
    assert len(receiver.bodies) == 40
    assert set(Counter(receiver.ids).values()) == {1}


async def test_a_refused_address_is_seen_in_the_notification(store: Store) -> None:
    notifier = Notifier(store, options=QUICK)
    subscription, _ = await store.subscriptions.create("https://169.254.169.254/latest", "default")
    outcome = await notifier.test(subscription.id)
    await notifier.stop()
    assert outcome.result == "again"
    assert "TRIAGE_PRIVATE_WEBHOOKS" in outcome.detail


def test_retries_last_about_three_days() -> None:
    assert 2.8 < sum(RETRIES_S) / 86_400 < 3.2
    assert list(RETRIES_S) == sorted(RETRIES_S)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("120", 120.0),
        ("99999999", 86_400.0),
        ("soon", None),
        ("-5", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 2199 07:28:00 GMT", 86_400.0),
    ],
)
def test_retry_after_is_read_in_both_forms(header: str | None, seconds: float | None) -> None:
    assert _seconds(header) == seconds
