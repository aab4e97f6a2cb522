"""Subscriptions over HTTP: who is told of triages, what became of each message, and sending one again."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from triage.domain.enums import EVENTS, Event, SubscriptionKind
from triage.domain.errors import NotFound
from triage.domain.principal import Principal, TeamName
from triage.server.api.access import Administrator
from triage.server.api.answers import answer
from triage.server.api.bodies import read_model
from triage.server.api.examples import subscription_body
from triage.server.api.problems import documented
from triage.server.api.service import Parts, Service
from triage.server.notifications import check_url
from triage.store import Notification, NotificationState, Subscription

router = APIRouter(prefix="/v1/subscriptions", tags=["subscriptions"])

_MAX_BYTES = 20_000


class NewSubscription(BaseModel, frozen=True, extra="forbid"):
    """Whom to tell of the incidents of a team, and of which events."""

    url: str = Field(min_length=1, max_length=2_000, description="https, at a public address.")
    team: TeamName | None = Field(default=None, description="Left out: the key's only team, or `default`.")
    kind: SubscriptionKind = "generic"
    events: tuple[Event, ...] = Field(default=EVENTS, min_length=1, max_length=len(EVENTS))


class WithSecret(Subscription, frozen=True):
    """A new subscription, with the secret that signs its messages: it is shown here and never again."""

    secret: str


class Secret(BaseModel, frozen=True):
    """A new secret. The former one signs beside it for a day, so that receivers can change over."""

    secret: str


class Subscriptions(BaseModel, frozen=True):
    """Subscriptions, oldest first."""

    subscriptions: tuple[Subscription, ...]


class Notifications(BaseModel, frozen=True):
    """Notifications of one subscription, newest first."""

    notifications: tuple[Notification, ...]


class TestOutcome(BaseModel, frozen=True):
    """What came of a test message: `delivered`, `again` (it would be tried again) or `gone`."""

    __test__ = False

    result: Literal["delivered", "again", "gone"]
    detail: str
    status: int | None = Field(default=None, description="The receiver's HTTP status, where it answered.")
    seconds: float


@router.post(
    "",
    operation_id="post_subscription",
    status_code=201,
    response_model=WithSecret,
    openapi_extra=subscription_body(),
    responses=documented(413, 415, 422),
)
async def post_subscription(request: Request, service: Parts, who: Administrator) -> Response:
    """Subscribe a URL to what happens to a team's incidents. The answer holds the secret, once."""
    given = await read_model(request, NewSubscription, _MAX_BYTES)
    url = check_url(given.url, private=service.notifier.courier.private)
    events = tuple(dict.fromkeys(given.events))
    subscription, secret = await service.store.subscriptions.add(url, who.team(given.team), given.kind, events)
    place = f"/v1/subscriptions/{subscription.id}"
    return answer(WithSecret(**subscription.model_dump(), secret=secret), 201, {"Location": place})


@router.get("", operation_id="list_subscriptions", response_model=Subscriptions, responses=documented(422))
async def list_subscriptions(
    service: Parts,
    who: Administrator,
    team: Annotated[str | None, Query(max_length=64, description="Only of this team.")] = None,
) -> Response:
    """List subscriptions, without their secrets."""
    found = await service.store.subscriptions.all(team)
    return answer(Subscriptions(subscriptions=tuple(each for each in found if who.sees(each.team))))


@router.get(
    "/{subscription_id}", operation_id="get_subscription", response_model=Subscription, responses=documented(404)
)
async def get_subscription(service: Parts, who: Administrator, subscription_id: str) -> Response:
    """Read a subscription. One that is not active was given up by its receiver (410): a test that arrives wakes it."""
    return answer(await _theirs(service, who, subscription_id))


@router.delete("/{subscription_id}", operation_id="delete_subscription", status_code=204, responses=documented(404))
async def delete_subscription(service: Parts, who: Administrator, subscription_id: str) -> Response:
    """End a subscription. What still waits for it is not sent."""
    await service.store.subscriptions.remove((await _theirs(service, who, subscription_id)).id)
    return Response(status_code=204)


@router.post(
    "/{subscription_id}/test",
    operation_id="test_subscription",
    response_model=TestOutcome,
    responses=documented(404),
)
async def test_subscription(service: Parts, who: Administrator, subscription_id: str) -> Response:
    """Send a test message now, and say what came of it."""
    outcome = await service.notifier.test((await _theirs(service, who, subscription_id)).id)
    return answer(
        TestOutcome(result=outcome.result, detail=outcome.detail, status=outcome.status, seconds=outcome.seconds)
    )


@router.post(
    "/{subscription_id}/secret", operation_id="rotate_secret", response_model=Secret, responses=documented(404)
)
async def rotate_secret(service: Parts, who: Administrator, subscription_id: str) -> Response:
    """Make a new secret. For a day messages carry a signature of the former one too."""
    subscription = await _theirs(service, who, subscription_id)
    return answer(Secret(secret=await service.store.subscriptions.rotate(subscription.id)))


@router.get(
    "/{subscription_id}/notifications",
    operation_id="list_notifications",
    response_model=Notifications,
    responses=documented(404, 422),
)
async def list_notifications(
    service: Parts,
    who: Administrator,
    subscription_id: str,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    state: Annotated[NotificationState | None, Query(description="Only those in this state.")] = None,
) -> Response:
    """List what was to be told to a subscription: its state, attempts, and why the last one failed."""
    subscription = await _theirs(service, who, subscription_id)
    found = await service.store.notifications.of_subscription(subscription.id, limit, state)
    return answer(Notifications(notifications=tuple(found)))


@router.post(
    "/{subscription_id}/notifications/{notification_id}/redeliver",
    operation_id="redeliver_notification",
    status_code=202,
    response_model=Notification,
    responses=documented(404),
)
async def redeliver_notification(
    service: Parts, who: Administrator, subscription_id: str, notification_id: str
) -> Response:
    """Send a message once more, under its id, as if it had not been tried before."""
    subscription = await _theirs(service, who, subscription_id)
    return answer(await service.store.notifications.redeliver(subscription.id, checked(notification_id)), 202)


async def _theirs(service: Service, who: Principal, subscription_id: str) -> Subscription:
    """The subscription. Raises `NotFound`, also for one of a team that is not theirs."""
    found = await service.store.subscriptions.get(checked(subscription_id))
    if not who.sees(found.team):
        raise NotFound(f"There is no subscription {subscription_id!r}.", subscription_id=subscription_id)
    return found


def checked(key: str) -> str:
    """`key` if it can be one of ours. Raises `NotFound`: not every database takes every character."""
    if not key.isascii() or not key.replace("_", "").isalnum() or len(key) > 64:
        raise NotFound("There is nothing with this id.")
    return key
