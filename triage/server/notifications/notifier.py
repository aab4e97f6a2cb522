"""The task that sends notifications: claims due ones from the outbox, delivers them, and stores the outcome."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import uuid
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from triage.domain.errors import NotFound, TriageError
from triage.domain.taxonomy import DisplayNames, Taxonomy
from triage.redaction import Redactor
from triage.server.notifications.delivery import Courier, Outcome, signed
from triage.server.notifications.message import encoded, generic, news, slack
from triage.server.transient_errors import is_database_away
from triage.store import Claimed, Store, Subscription

_log = logging.getLogger(__name__)

RETRIES_S = (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200, 43_200, 57_600, 57_600)
"""The wait after each failed delivery, plus or minus a fifth: three days in total."""

_STOP_WITHIN_S = 2.0


class NotifierOptions(NamedTuple):
    """How messages are sent. `each` limits the running deliveries of one subscription, `at_once` those of all together.

    `poll_s` is how often to look for notifications of other processes; this process's own are sent at once. Another
    process takes over after `lease_s`, which must be well above the courier's timeout. `public_url` is the service's
    public address, for links in messages.
    """

    each: int = 4
    at_once: int = 64
    poll_s: float = 2.0
    lease_s: float = 60.0
    public_url: str = ""
    retries_s: tuple[float, ...] = RETRIES_S


class Notifier:
    """Sends every notification to its subscriber at least once. Any number of processes may run one on a store."""

    def __init__(
        self,
        store: Store,
        redactor: Redactor | None = None,
        taxonomy: Taxonomy | None = None,
        courier: Courier | None = None,
        options: NotifierOptions | None = None,
    ) -> None:
        self._store = store
        self._redactor = redactor or Redactor()
        self._names = DisplayNames(taxonomy)
        self.courier = courier or Courier()
        self._options = options or NotifierOptions()
        self._loop: asyncio.Task[None] | None = None
        self._deliveries: dict[str, asyncio.Task[None]] = {}
        self._sizes: dict[str, int] = {}

    @property
    def is_running(self) -> bool:
        """True between `start` and `stop`."""
        return self._loop is not None and not self._loop.done()

    async def start(self) -> None:
        """Start sending, on this event loop."""
        self._loop = asyncio.create_task(self._run(), name="notifications")

    async def stop(self) -> None:
        """Stop. Running deliveries get 2 seconds; others are sent again when their lease expires."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)
        if running := list(self._deliveries.values()):
            await asyncio.wait(running, timeout=_STOP_WITHIN_S)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        await self.courier.aclose()

    async def test(self, subscription_id: str) -> Outcome:
        """Send a test message. An inactive subscription that accepts it becomes active again. Raises `NotFound`."""
        subscription = await self._store.subscriptions.get(subscription_id)
        outcome = await self._send(subscription, f"msg_test_{uuid.uuid4().hex}", _test_message(subscription))
        if outcome.result == "delivered" and not subscription.is_active:
            await self._store.subscriptions.activate(subscription_id)
        return outcome

    async def _run(self) -> None:
        added = self._store.notifications.added
        while True:
            added.clear()
            try:
                await self._start_due()
            except Exception as error:  # noqa: BLE001 - the next run may succeed
                trace = None if is_database_away(error) else error
                _log.warning("Looking for notifications failed (%s)", type(error).__name__, exc_info=trace)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._options.poll_s):
                    await added.wait()

    async def _start_due(self) -> None:
        free = self._options.at_once - sum(self._sizes.values())
        now = datetime.now(UTC)
        next_at = await self._store.notifications.find_next_time()
        # Checked first, since a claim is a write transaction.
        if free <= 0 or next_at is None or next_at > now:
            return
        lease = timedelta(seconds=self._options.lease_s)
        claimed = await self._store.notifications.claim(now, lease, self._options.each, free, list(self._deliveries))
        batches: defaultdict[str, list[Claimed]] = defaultdict(list)
        for each in claimed:
            batches[each.subscription_id].append(each)
        for subscription_id, batch in batches.items():
            self._sizes[subscription_id] = len(batch)
            self._deliveries[subscription_id] = asyncio.create_task(self._deliver_all(subscription_id, batch))

    async def _deliver_all(self, subscription_id: str, batch: list[Claimed]) -> None:
        try:
            await asyncio.gather(*map(self._deliver, batch))
        finally:
            del self._deliveries[subscription_id], self._sizes[subscription_id]
            self._store.notifications.added.set()

    async def _deliver(self, claimed: Claimed) -> None:
        try:
            await self._store_outcome(claimed, await self._attempt(claimed))
        except Exception:  # noqa: BLE001 - without a stored outcome it is sent again when the lease expires
            _log.exception("Could not store the outcome of notification %s", claimed.id)

    async def _attempt(self, claimed: Claimed) -> Outcome | None:
        """The outcome, or None if the subscription is inactive or the event's content is gone."""
        try:
            subscription = await self._store.subscriptions.get(claimed.subscription_id)
            body = await self._message(claimed, subscription) if subscription.is_active else None
            return None if body is None else await self._send(subscription, claimed.id, body)
        except NotFound:
            return None
        except TriageError as error:
            return Outcome("again", error.detail)
        except Exception as error:  # noqa: BLE001 - a defect counts as a failed delivery
            _log.exception("Could not build notification %s", claimed.id)
            return Outcome("again", f"the message could not be made ({type(error).__name__})")

    async def _store_outcome(self, claimed: Claimed, outcome: Outcome | None) -> None:
        notifications = self._store.notifications
        if outcome is None:
            await notifications.mark_failed(claimed, "The subscription is inactive, or the event's content is gone.")
        elif outcome.result == "delivered":
            await notifications.mark_delivered(claimed)
        elif outcome.result == "gone":
            _log.warning("Subscription %s is inactive now: %s", claimed.subscription_id, outcome.detail)
            await notifications.mark_failed(claimed, outcome.detail)
            await self._store.subscriptions.deactivate(claimed.subscription_id, outcome.detail)
        elif claimed.attempt > len(self._options.retries_s):
            _log.error("Notification %s failed for good: %s", claimed.id, outcome.detail)
            await notifications.mark_failed(claimed, outcome.detail)
        else:
            wait_s = self._options.retries_s[claimed.attempt - 1] * random.uniform(0.8, 1.2)  # noqa: S311
            wait_s = max(wait_s, outcome.retry_after_s or 0)
            _log.info("Notification %s failed, retrying in %.0f s: %s", claimed.id, wait_s, outcome.detail)
            await notifications.reschedule(claimed, outcome.detail, datetime.now(UTC) + timedelta(seconds=wait_s))

    async def _message(self, claimed: Claimed, subscription: Subscription) -> bytes | None:
        stored = await self._store.incidents.get(claimed.incident_id)
        triage = correction = None
        if claimed.event == "triaged":
            triage = await self._store.triages.find_of_run(claimed.run_id)
        elif claimed.event == "corrected":
            triage = await self._store.triages.find(claimed.incident_id)
            correction = await self._store.annotations.find(int(claimed.run_id.rpartition(":")[2]))
        if (claimed.event == "triaged" and triage is None) or (claimed.event == "corrected" and correction is None):
            return None
        item = news(
            claimed.event,
            claimed.created_at.isoformat(),
            stored,
            self._redactor,
            self._options.public_url,
            triage=triage,
            correction=correction,
        )
        return slack(item, self._names) if subscription.kind == "slack" else generic(item)

    async def _send(self, subscription: Subscription, message_id: str, body: bytes) -> Outcome:
        secrets = await self._store.subscriptions.get_secrets(subscription.id)
        return await self.courier.send(subscription.url, body, signed(secrets, message_id, body))


def _test_message(subscription: Subscription) -> bytes:
    text = f"This is a test: notifications about incidents of team {subscription.team} arrive here."
    if subscription.kind == "slack":
        return encoded({"text": text})
    return encoded(
        {
            "type": "test",
            "timestamp": datetime.now(UTC).isoformat(),
            "data": {"team": subscription.team, "message": text},
        }
    )
