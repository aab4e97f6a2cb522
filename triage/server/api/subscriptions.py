"""Subscriptions over HTTP: who is notified of triages, the state of each message, and redelivery."""

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
from triage.server.api.openapi import json_body
from triage.server.api.parameters import Limit, checked_id
from triage.server.api.service import Parts, Service
from triage.server.notifications import check_url
from triage.store import Notification, NotificationState, Subscription

router = APIRouter(prefix="/v1/subscriptions", tags=["subscriptions"])


class NewSubscription(BaseModel, frozen=True, extra="forbid"):
    """A URL to notify of a team's incidents, and the events to send."""

    url: str = Field(min_length=1, max_length=2_000, description="An https URL at a public address.")
    team: TeamName | None = Field(default=None, description="Default: the key's only team, or `default`.")
    kind: SubscriptionKind = "generic"
    events: tuple[Event, ...] = Field(default=EVENTS, min_length=1, max_length=len(EVENTS))


class WithSecret(Subscription, frozen=True):
    """A new subscription and the secret that signs its messages, which is not shown again."""

    secret: str


class Secret(BaseModel, frozen=True):
    """A new secret. The previous one signs beside it for a day, so that receivers can switch."""

    secret: str


class Subscriptions(BaseModel, frozen=True):
    """Subscriptions, oldest first."""

    subscriptions: tuple[Subscription, ...]


class Notifications(BaseModel, frozen=True):
    """Notifications of one subscription, newest first."""

    notifications: tuple[Notification, ...]


class TestOutcome(BaseModel, frozen=True):
    """The outcome of a test message: `delivered`, `again` (it would be retried) or `gone`."""

    __test__ = False

    result: Literal["delivered", "again", "gone"]
    detail: str
    status: int | None = Field(default=None, description="The receiver's HTTP status, if it answered.")
    seconds: float


@router.post(
    "",
    status_code=201,
    response_model=WithSecret,
    openapi_extra=json_body(
        NewSubscription,
        {"url": "https://hooks.example.org/triage", "team": "serving", "events": ["triaged", "failed"]},
    ),
)
async def post_subscription(request: Request, service: Parts, principal: Administrator) -> Response:
    """Subscribe a URL to a team's events. Only this answer contains the secret."""
    new = await read_model(request, NewSubscription)
    url = check_url(new.url, private=service.notifier.courier.private)
    events = tuple(dict.fromkeys(new.events))
    subscription, secret = await service.store.subscriptions.create(url, principal.team(new.team), new.kind, events)
    location = {"Location": f"/v1/subscriptions/{subscription.id}"}
    return answer(WithSecret(**subscription.model_dump(), secret=secret), 201, location)


@router.get("", response_model=Subscriptions)
async def list_subscriptions(
    service: Parts,
    principal: Administrator,
    team: Annotated[str | None, Query(max_length=64, description="Only subscriptions of this team.")] = None,
) -> Response:
    """List subscriptions, without their secrets."""
    subscriptions = await service.store.subscriptions.list(team)
    return answer(Subscriptions(subscriptions=tuple(each for each in subscriptions if principal.sees(each.team))))


@router.get("/{subscription_id}", response_model=Subscription)
async def get_subscription(service: Parts, principal: Administrator, subscription_id: str) -> Response:
    """Get a subscription. Its receiver ended an inactive one (410); a delivered test message reactivates it."""
    return answer(await _get(service, principal, subscription_id))


@router.delete("/{subscription_id}", status_code=204)
async def delete_subscription(service: Parts, principal: Administrator, subscription_id: str) -> Response:
    """Delete a subscription. Its pending messages are not sent."""
    await service.store.subscriptions.delete((await _get(service, principal, subscription_id)).id)
    return Response(status_code=204)


@router.post("/{subscription_id}/test", response_model=TestOutcome)
async def test_subscription(service: Parts, principal: Administrator, subscription_id: str) -> Response:
    """Send a test message now, and return the outcome."""
    outcome = await service.notifier.test((await _get(service, principal, subscription_id)).id)
    return answer(TestOutcome.model_validate(outcome._asdict()))


@router.post("/{subscription_id}/secret", response_model=Secret)
async def rotate_secret(service: Parts, principal: Administrator, subscription_id: str) -> Response:
    """Create a new secret. For a day, messages are signed with the previous one too."""
    subscription = await _get(service, principal, subscription_id)
    return answer(Secret(secret=await service.store.subscriptions.rotate_secret(subscription.id)))


@router.get("/{subscription_id}/notifications", response_model=Notifications)
async def list_notifications(
    service: Parts,
    principal: Administrator,
    subscription_id: str,
    limit: Limit = 50,
    state: Annotated[NotificationState | None, Query(description="Only messages in this state.")] = None,
) -> Response:
    """List the messages of a subscription: their state, attempts, and why the last attempt failed."""
    subscription = await _get(service, principal, subscription_id)
    notifications = await service.store.notifications.list(subscription_id=subscription.id, limit=limit, state=state)
    return answer(Notifications(notifications=tuple(notifications)))


@router.post(
    "/{subscription_id}/notifications/{notification_id}/redeliver", status_code=202, response_model=Notification
)
async def redeliver_notification(
    service: Parts, principal: Administrator, subscription_id: str, notification_id: str
) -> Response:
    """Send a message again, under its id, with all its retries."""
    subscription = await _get(service, principal, subscription_id)
    return answer(await service.store.notifications.redeliver(subscription.id, checked_id(notification_id)), 202)


async def _get(service: Service, principal: Principal, subscription_id: str) -> Subscription:
    """The subscription. Raises `NotFound`, also for one of another team."""
    subscription = await service.store.subscriptions.get(checked_id(subscription_id))
    if not principal.sees(subscription.team):
        raise NotFound(f"There is no subscription {subscription_id!r}.", subscription_id=subscription_id)
    return subscription
