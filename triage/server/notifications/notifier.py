"""The task that works off the outbox: claims what is due, sends it, and keeps what came of it."""

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
from triage.server.notifications.message import encoded, generic, news
from triage.server.notifications.slack import slack
from triage.server.transient_errors import is_database_away
from triage.store import Claimed, Store, Subscription

_log = logging.getLogger(__name__)

RETRIES_S = (5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 28_800, 43_200, 43_200, 57_600, 57_600)
"""How long it waits after each failed sending, give or take a fifth: three days in all."""

_STOP_WITHIN_S = 2.0


class NotifierOptions(NamedTuple):
    """How messages are sent. `each` bounds what is under way to one subscription, `at_once` to all of them together.

    `poll_s` is how often it looks for what other processes stored; what this one stored is sent at once. `lease_s` is
    after what time another process takes over from one that died, and must be well above the courier's timeout.
    `public_url` is where the service is reached from outside, for links in messages.
    """

    each: int = 4
    at_once: int = 64
    poll_s: float = 2.0
    lease_s: float = 60.0
    public_url: str = ""
    retries_s: tuple[float, ...] = RETRIES_S


class Notifier:
    """Tells subscribers of what was stored, at least once each. Any number of processes may have one on a store."""

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
        self._under_way: dict[str, asyncio.Task[None]] = {}
        self._sizes: dict[str, int] = {}

    @property
    def is_running(self) -> bool:
        """True between `start` and `stop`."""
        return self._loop is not None and not self._loop.done()

    async def start(self) -> None:
        """Begin to send, on this event loop."""
        self._loop = asyncio.create_task(self._send_for_ever(), name="notifications")

    async def stop(self) -> None:
        """Stop. What is under way gets a moment; what does not end in it is sent again when its lease is over."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)
        if under_way := list(self._under_way.values()):
            await asyncio.wait(under_way, timeout=_STOP_WITHIN_S)
            for task in under_way:
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
        await self.courier.aclose()

    async def test(self, subscription_id: str) -> Outcome:
        """Send a message that says only that it is a test. An inactive subscription that takes it is active again.

        Raises `NotFound`.
        """
        subscription = await self._store.subscriptions.get(subscription_id)
        outcome = await self._send(subscription, f"msg_test_{uuid.uuid4().hex}", _test_message(subscription))
        if outcome.result == "delivered" and not subscription.is_active:
            await self._store.subscriptions.activate(subscription_id)
        return outcome

    async def _send_for_ever(self) -> None:
        added = self._store.notifications.added
        while True:
            added.clear()
            try:
                await self._begin_due()
            except Exception as error:  # noqa: BLE001 - whatever it was, the next look may succeed
                trace = None if is_database_away(error) else error
                _log.warning("The look for notifications failed (%s)", type(error).__name__, exc_info=trace)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(added.wait(), self._options.poll_s)

    async def _begin_due(self) -> None:
        free = self._options.at_once - sum(self._sizes.values())
        now = datetime.now(UTC)
        next_at = await self._store.notifications.find_next_time()
        # Looked at first, since a claim is a transaction that writes.
        if free <= 0 or next_at is None or next_at > now:
            return
        lease = timedelta(seconds=self._options.lease_s)
        claimed = await self._store.notifications.claim(now, lease, self._options.each, free, list(self._under_way))
        portions: defaultdict[str, list[Claimed]] = defaultdict(list)
        for each in claimed:
            portions[each.subscription_id].append(each)
        for subscription_id, portion in portions.items():
            self._sizes[subscription_id] = len(portion)
            self._under_way[subscription_id] = asyncio.create_task(self._deliver_all(subscription_id, portion))

    async def _deliver_all(self, subscription_id: str, portion: list[Claimed]) -> None:
        try:
            await asyncio.gather(*map(self._deliver, portion))
        finally:
            del self._under_way[subscription_id], self._sizes[subscription_id]
            self._store.notifications.added.set()

    async def _deliver(self, claimed: Claimed) -> None:
        try:
            await self._keep(claimed, await self._attempt(claimed))
        except Exception:  # noqa: BLE001 - without its outcome kept it is sent again when the lease is over
            _log.exception("Could not keep what came of notification %s", claimed.id)

    async def _attempt(self, claimed: Claimed) -> Outcome | None:
        """None if there is no longer anything to tell, or anyone to tell it to."""
        try:
            subscription = await self._store.subscriptions.get(claimed.subscription_id)
            body = await self._message(claimed, subscription) if subscription.is_active else None
            return None if body is None else await self._send(subscription, claimed.id, body)
        except NotFound:
            return None
        except TriageError as error:
            return Outcome("again", error.detail)
        except Exception as error:  # noqa: BLE001 - a defect is kept as what failed, and tried again as rarely
            _log.exception("Notification %s can't be made", claimed.id)
            return Outcome("again", f"the message could not be made ({type(error).__name__})")

    async def _keep(self, claimed: Claimed, outcome: Outcome | None) -> None:
        notifications = self._store.notifications
        if outcome is None:
            await notifications.mark_failed(
                claimed, "The subscription is inactive, or what it was to be told of is gone."
            )
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
            _log.info("Notification %s did not arrive, next in %.0f s: %s", claimed.id, wait_s, outcome.detail)
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
        told = news(
            claimed.event,
            claimed.created_at.isoformat(),
            stored,
            self._redactor,
            self._options.public_url,
            triage=triage,
            correction=correction,
        )
        return slack(told, self._names) if subscription.kind == "slack" else generic(told)

    async def _send(self, subscription: Subscription, message_id: str, body: bytes) -> Outcome:
        secrets = await self._store.subscriptions.get_secrets(subscription.id)
        return await self.courier.send(subscription.url, body, signed(secrets, message_id, body))


def _test_message(subscription: Subscription) -> bytes:
    said = f"This is a test: incidents of team {subscription.team} will be told of here."
    if subscription.kind == "slack":
        return encoded({"text": said})
    return encoded(
        {
            "type": "test",
            "timestamp": datetime.now(UTC).isoformat(),
            "data": {"team": subscription.team, "message": said},
        }
    )
