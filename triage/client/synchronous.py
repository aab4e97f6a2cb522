"""The blocking client."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx
import tenacity

from triage.client import calls
from triage.client.answers import Batch, Event, FinishedPage, Health, Listed, Status, Summary
from triage.client.calls import Call, EventReader, Posted
from triage.client.errors import NotFinished, Unreachable
from triage.client.retrying import Patience
from triage.domain.annotation import Annotation
from triage.domain.correction_preview import Preview
from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import Neighbour, Triage

Answer = TypeVar("Answer")

_TIMEOUT_S = 30.0
# A service holds a request for so long at most, unless set otherwise; whoever waits longer asks again.
_WAIT_AT_ONCE_S = 60.0
_PAUSE_S = 1.0
_BROKEN_STREAMS = 5


class Client:
    """A client of the service at `base_url`.

    `key` is an API key, for a service that asks for one; `timeout_s` bounds each call beside the time that it waits
    for a triage. A call that finds the service busy or out of reach is tried again with `patience`; all can be sent
    twice without harm. Raises `ServiceError` where the service refuses, `Unreachable` where it doesn't answer.
    """

    def __init__(
        self,
        base_url: str,
        key: str | None = None,
        *,
        timeout_s: float = _TIMEOUT_S,
        patience: Patience | None = None,
    ) -> None:
        headers = {"User-Agent": "triage-client"} | ({} if key is None else {"Authorization": f"Bearer {key}"})
        self._http = httpx.Client(base_url=base_url, headers=headers, timeout=timeout_s)
        self._timeout_s = timeout_s
        self._policy = (patience or Patience()).policy()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def post(self, incident: Posted, *, key: str | None = None) -> Status | Triage:
        """Post an incident (a text, a mapping or an `Incident`); its triage if that is there already.

        `key` names it where it has no id. Posted again it is not triaged again.
        """
        return self._send(calls.post(incident, key, 0))

    def triage(self, incident: Posted, *, key: str | None = None, wait_s: float = 120.0) -> Triage:
        """Post an incident and wait for its triage. Raises `NotFinished` after `wait_s`, `TriageFailed` if it fails."""
        end = time.monotonic() + wait_s
        found = self._send(calls.post(incident, key, min(wait_s, _WAIT_AT_ONCE_S)))
        return found if isinstance(found, Triage) else self._await_triage(found.id, end)

    def result(self, incident_id: str, *, wait_s: float = 0.0) -> Triage:
        """The triage of an incident that was posted, as soon as it is done within `wait_s`. Raises `NotFinished`."""
        return self._await_triage(incident_id, time.monotonic() + wait_s)

    def batch(self, incidents: Iterable[Posted]) -> Batch:
        """Post up to 1,000 incidents, each taken or refused by itself. Follow them with `finished`."""
        return self._send(calls.batch(incidents))

    def finished(
        self,
        cursor: str | None = None,
        *,
        since: datetime | None = None,
        limit: int = 50,
        documents: bool = False,
    ) -> FinishedPage:
        """Triages in the order in which they were finished, those behind `cursor`."""
        return self._send(calls.finished(cursor, since, limit, documents=documents))

    def incident(self, incident_id: str) -> Status:
        """An incident with its write-up, and how far it is."""
        return self._send(calls.incident(incident_id))

    def summary(self, incident_id: str) -> str:
        """The draft of a post-incident summary, as Markdown."""
        return self._send(calls.summary(incident_id))

    def incidents(
        self,
        *,
        status: str | None = None,
        team: str | None = None,
        service: str | None = None,
        severity: str | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        degraded: bool | None = None,
        page_size: int = 100,
    ) -> Iterator[Listed]:
        """All incidents of which this holds, newest first, page after page."""
        filters = {
            "status": status,
            "team": team,
            "service": service,
            "severity": severity,
            "since": since,
            "until": until,
            "degraded": degraded,
        }
        cursor = None
        while True:
            page = self._send(calls.page(filters, cursor, page_size))
            yield from page.incidents
            cursor = page.next_cursor
            if cursor is None:
                return

    def annotate(
        self, incident_id: str, annotations: Sequence[Mapping[str, Any]], *, if_match: str | None = None
    ) -> list[Annotation]:
        """Label an incident, all or nothing: each with `facet`, `labels`, `annotator`, and `is_gold` or `note`."""
        return self._send(calls.annotate(incident_id, annotations, if_match))

    def preview(
        self,
        incident_id: str,
        annotations: Sequence[Mapping[str, Any]],
        *,
        days: float | None = None,
        limit: int | None = None,
        seconds: float | None = None,
    ) -> Preview:
        """Which other recent incidents would be triaged otherwise with these labels; takes what `annotate` takes."""
        return self._send(calls.preview(incident_id, annotations, days, limit, seconds))

    def annotations(self, incident_id: str) -> list[Annotation]:
        """The annotations of an incident, oldest first."""
        return self._send(calls.annotations_of(incident_id))

    def search(self, text: str, k: int = 5, *, as_of: datetime | None = None) -> list[Neighbour]:
        """The `k` incidents of the history most similar to `text`, best first."""
        return self._send(calls.search(text, k, as_of))

    def agreement(self) -> dict[str, Any]:
        """The live agreement of model and people, as the service words it."""
        return self._send(calls.agreement())

    def study(
        self,
        *,
        most: int | None = None,
        incidents: int | None = None,
        observed_until: datetime | None = None,
        automated_minutes: float | None = None,
        similarity: float | None = None,
        wait_s: float = 120.0,
    ) -> dict[str, Any]:
        """The study of the labelled incidents, as the service words it: see docs/study.md.

        At most `most` incidents are studied, those that began last, and `incidents` ids named beside each figure.
        """
        asked = {
            "most": most,
            "incidents": incidents,
            "observed_until": observed_until,
            "automated_minutes": automated_minutes,
            "similarity": similarity,
        }
        return self._send(calls.study(asked, wait_s))

    def radar(self, facet: str | None = None, *, recent: int | None = None, least: int | None = None) -> dict[str, Any]:
        """Recent incidents that no label of the facet fits, grouped, with draft labels, as the service words it."""
        return self._send(calls.radar(facet, recent, least))

    def taxonomies(self) -> list[Summary]:
        """The taxonomies that the service knows."""
        return self._send(calls.taxonomies())

    def taxonomy(self, name: str) -> Taxonomy:
        """A taxonomy with its facets and labels."""
        return self._send(calls.taxonomy(name))

    def delete(self, incident_id: str) -> None:
        """Delete an incident and all that is kept of it."""
        self._send(calls.delete(incident_id))

    def health(self) -> Health:
        """Whether the service is ready, and the state of its parts."""
        return self._send(calls.health())

    def events(self, incident_id: str) -> Iterator[Event]:
        """The progress of an incident, event by event, up to its triage; goes on where a stream breaks off."""
        last: str | None = None
        broken = 0
        while True:
            call = calls.events(incident_id, last)
            reader = EventReader()
            try:
                with self._http.stream(call.method, call.path, headers=call.headers) as stream:
                    if not stream.is_success:
                        stream.read()
                        raise calls.failure(stream)
                    if stream.status_code == 204:
                        return
                    for line in stream.iter_lines():
                        for event in reader.read(line):
                            last, broken = event.id, 0
                            yield event
                            if event.is_last:
                                return
            except httpx.TransportError as error:
                broken += 1
                if last is None or broken >= _BROKEN_STREAMS:
                    raise _unreachable(error) from error
                time.sleep(_PAUSE_S)

    def _await_triage(self, incident_id: str, end: float) -> Triage:
        while True:
            wait_s = max(0.0, min(end - time.monotonic(), _WAIT_AT_ONCE_S))
            found = self._send(calls.triage(incident_id, wait_s))
            if isinstance(found, Triage):
                return found
            if time.monotonic() >= end - 1:
                raise NotFinished(
                    f"Incident {incident_id!r} is {found.status}: ask for it later with `result`.",
                    incident_id=incident_id,
                )
            # One that failed is answered at once, whatever the wait, until it is tried again.
            time.sleep(_PAUSE_S)

    def _send(self, call: Call[Answer]) -> Answer:
        for attempt in tenacity.Retrying(**self._policy):
            with attempt:
                return self._send_once(call)
        raise AssertionError("a retry ends with an answer or an error")

    def _send_once(self, call: Call[Answer]) -> Answer:
        try:
            response = self._http.request(
                call.method,
                call.path,
                params=call.params,
                headers=call.headers,
                content=call.content,
                timeout=self._timeout_s + call.wait_s,
            )
        except httpx.TransportError as error:
            raise _unreachable(error) from error
        return call.answer(response)


def _unreachable(error: httpx.TransportError) -> Unreachable:
    return Unreachable(f"The service did not answer ({type(error).__name__}): {error}")
