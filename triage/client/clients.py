"""The blocking client and the async client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx
import tenacity

from triage.client import calls
from triage.client.answers import Event, Listed, Page, Status
from triage.client.calls import Call, Posted, sends
from triage.client.waiting import PAUSE_S, EventReader, Patience, Wait, unreachable
from triage.domain.triage_result import Triage

Answer = TypeVar("Answer")
P = ParamSpec("P")


def _method(call: Callable[P, Call[Answer]]) -> Callable[Concatenate[Client, P], Answer]:
    @sends(call)
    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Answer:
        return self._send(call(*args, **kwargs))

    return method


def _pages(call: Callable[P, Call[Page]]) -> Callable[Concatenate[Client, P], Iterator[Listed]]:
    @sends(call)
    def method(self: Client, /, *args: P.args, **kwargs: P.kwargs) -> Iterator[Listed]:
        following = call(*args, **kwargs)
        while True:
            page = self._send(following)
            yield from page.incidents
            if page.next_cursor is None:
                return
            following = following.after(page.next_cursor)

    return method


class Client:
    """A client of the service at `base_url`.

    `key` is an API key, if the service needs one. `timeout_s` limits each call, in addition to the time that it waits
    for a triage. A call that finds the service busy or unreachable is tried again with `patience`; every call can be
    sent twice without harm. Raises `ServiceError` if the service refuses a call, `Unreachable` if it doesn't answer.
    """

    def __init__(
        self, base_url: str, key: str | None = None, *, timeout_s: float = 30.0, patience: Patience | None = None
    ) -> None:
        self._http = httpx.Client(base_url=base_url, headers=calls.client_headers(key), timeout=timeout_s)
        self._timeout_s = timeout_s
        self._policy = (patience or Patience()).policy()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # See `calls` for what these take, do and return.
    post = _method(calls.post)
    batch = _method(calls.batch)
    finished = _method(calls.finished)
    incident = _method(calls.incident)
    incidents = _pages(calls.incidents)
    summary = _method(calls.summary)
    annotate = _method(calls.annotate)
    preview = _method(calls.preview)
    annotations = _method(calls.annotations_of)
    search = _method(calls.search)
    agreement = _method(calls.agreement)
    study = _method(calls.study)
    radar = _method(calls.radar)
    taxonomies = _method(calls.taxonomies)
    taxonomy = _method(calls.taxonomy)
    delete = _method(calls.delete)
    health = _method(calls.health)

    def triage(self, incident: Posted, *, key: str | None = None, wait_s: float = 120.0) -> Triage:
        """Post an incident and wait for its triage. Raises `NotFinished` after `wait_s`, `TriageFailed` if it fails."""
        return self._await_triage(calls.post(incident, key=key), wait_s)

    def result(self, incident_id: str, *, wait_s: float = 0.0) -> Triage:
        """The triage of an incident that was posted. Raises `NotFinished` if it isn't done within `wait_s`."""
        return self._await_triage(calls.triage_of(incident_id), wait_s)

    def events(self, incident_id: str) -> Iterator[Event]:
        """The progress of an incident, event by event, up to its triage. Resumes when the stream breaks off."""
        reader = EventReader(incident_id)
        while True:
            call = reader.call()
            try:
                with self._http.stream(call.method, call.path, headers=call.headers) as stream:
                    if not stream.is_success:
                        stream.read()
                        raise calls.failure(stream)
                    if stream.status_code == 204:
                        return
                    for line in stream.iter_lines():
                        for event in reader.read(line):
                            yield event
                            if event.is_last:
                                return
            except httpx.TransportError as error:
                reader.break_off(error)
                time.sleep(PAUSE_S)

    def _await_triage(self, call: Call[Status | Triage], wait_s: float) -> Triage:
        wait = Wait(wait_s)
        while not isinstance(found := self._send(wait.limit(call)), Triage):
            call = wait.go_on(found)
            time.sleep(PAUSE_S)
        return found

    def _send(self, call: Call[Answer]) -> Answer:
        for attempt in tenacity.Retrying(**self._policy):
            with attempt:
                try:
                    response = self._http.request(**call.request(self._timeout_s))
                except httpx.TransportError as error:
                    raise unreachable(error) from error
                return call.answer(response)
        raise AssertionError("a retry ends with an answer or an error")


def _async_method(
    call: Callable[P, Call[Answer]],
) -> Callable[Concatenate[AsyncClient, P], Coroutine[Any, Any, Answer]]:
    @sends(call)
    async def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> Answer:
        return await self._send(call(*args, **kwargs))

    return method


def _async_pages(call: Callable[P, Call[Page]]) -> Callable[Concatenate[AsyncClient, P], AsyncIterator[Listed]]:
    @sends(call)
    async def method(self: AsyncClient, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIterator[Listed]:
        following = call(*args, **kwargs)
        while True:
            page = await self._send(following)
            for listed in page.incidents:
                yield listed
            if page.next_cursor is None:
                return
            following = following.after(page.next_cursor)

    return method


class AsyncClient:
    """A client of the service at `base_url`, for `async` code.

    `key` is an API key, if the service needs one. `timeout_s` limits each call, in addition to the time that it waits
    for a triage. A call that finds the service busy or unreachable is tried again with `patience`; every call can be
    sent twice without harm. Raises `ServiceError` if the service refuses a call, `Unreachable` if it doesn't answer.
    """

    def __init__(
        self, base_url: str, key: str | None = None, *, timeout_s: float = 30.0, patience: Patience | None = None
    ) -> None:
        self._http = httpx.AsyncClient(base_url=base_url, headers=calls.client_headers(key), timeout=timeout_s)
        self._timeout_s = timeout_s
        self._policy = (patience or Patience()).policy()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    # See `calls` for what these take, do and return.
    post = _async_method(calls.post)
    batch = _async_method(calls.batch)
    finished = _async_method(calls.finished)
    incident = _async_method(calls.incident)
    incidents = _async_pages(calls.incidents)
    summary = _async_method(calls.summary)
    annotate = _async_method(calls.annotate)
    preview = _async_method(calls.preview)
    annotations = _async_method(calls.annotations_of)
    search = _async_method(calls.search)
    agreement = _async_method(calls.agreement)
    study = _async_method(calls.study)
    radar = _async_method(calls.radar)
    taxonomies = _async_method(calls.taxonomies)
    taxonomy = _async_method(calls.taxonomy)
    delete = _async_method(calls.delete)
    health = _async_method(calls.health)

    async def triage(self, incident: Posted, *, key: str | None = None, wait_s: float = 120.0) -> Triage:
        """Post an incident and wait for its triage. Raises `NotFinished` after `wait_s`, `TriageFailed` if it fails."""
        return await self._await_triage(calls.post(incident, key=key), wait_s)

    async def result(self, incident_id: str, *, wait_s: float = 0.0) -> Triage:
        """The triage of an incident that was posted. Raises `NotFinished` if it isn't done within `wait_s`."""
        return await self._await_triage(calls.triage_of(incident_id), wait_s)

    async def events(self, incident_id: str) -> AsyncIterator[Event]:
        """The progress of an incident, event by event, up to its triage. Resumes when the stream breaks off."""
        reader = EventReader(incident_id)
        while True:
            call = reader.call()
            try:
                async with self._http.stream(call.method, call.path, headers=call.headers) as stream:
                    if not stream.is_success:
                        await stream.aread()
                        raise calls.failure(stream)
                    if stream.status_code == 204:
                        return
                    async for line in stream.aiter_lines():
                        for event in reader.read(line):
                            yield event
                            if event.is_last:
                                return
            except httpx.TransportError as error:
                reader.break_off(error)
                await asyncio.sleep(PAUSE_S)

    async def _await_triage(self, call: Call[Status | Triage], wait_s: float) -> Triage:
        wait = Wait(wait_s)
        while not isinstance(found := await self._send(wait.limit(call)), Triage):
            call = wait.go_on(found)
            await asyncio.sleep(PAUSE_S)
        return found

    async def _send(self, call: Call[Answer]) -> Answer:
        async for attempt in tenacity.AsyncRetrying(**self._policy):
            with attempt:
                try:
                    response = await self._http.request(**call.request(self._timeout_s))
                except httpx.TransportError as error:
                    raise unreachable(error) from error
                return call.answer(response)
        raise AssertionError("a retry ends with an answer or an error")
