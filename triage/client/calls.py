"""The calls, without the sending: what both clients share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter

from triage.client.answers import (
    Batch,
    Event,
    FinishedPage,
    Health,
    Page,
    Status,
    Summary,
    read_annotations,
    read_neighbours,
    read_status,
)
from triage.client.errors import ServiceError, error_of
from triage.domain.annotation import Annotation
from triage.domain.correction_preview import Preview
from triage.domain.incident import Incident
from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import Neighbour, Triage

Answer = TypeVar("Answer")
Posted = Incident | Mapping[str, Any] | str


class Call(NamedTuple, Generic[Answer]):
    """One request, and how its answer is read. All of them can be sent again without harm."""

    method: str
    path: str
    read: Callable[[Any], Answer]
    params: Mapping[str, Any] = {}
    headers: Mapping[str, str] = {}
    content: bytes | None = None
    wait_s: float = 0.0
    accepts: tuple[int, ...] = ()
    is_text: bool = False

    def answer(self, response: httpx.Response) -> Answer:
        """What the service answered. Raises `ServiceError`."""
        if response.is_success or response.status_code in self.accepts:
            if self.is_text:
                return self.read(response.text)
            return self.read(response.json() if response.content else None)
        raise failure(response)


def failure(response: httpx.Response) -> ServiceError:
    """The error of a response that has been read."""
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    problem = problem if isinstance(problem, dict) else {}
    return error_of(response.status_code, response.reason_phrase, problem, response.headers.get("retry-after", ""))


def post(incident: Posted, key: str | None, wait_s: float) -> Call[Status | Triage]:
    """Post an incident; the answer is its triage if that is done within `wait_s`."""
    headers = {"Content-Type": "application/json"}
    if key is not None:
        headers["Idempotency-Key"] = f'"{key}"'
    return Call(
        "POST", "/v1/incidents", _triage_or_status, {}, headers | _prefer(wait_s), _body(as_values(incident)), wait_s
    )


def triage(incident_id: str, wait_s: float) -> Call[Status | Triage]:
    """Read a triage, waiting for it."""
    return Call("GET", f"{_place(incident_id)}/triage", _triage_or_status, headers=_prefer(wait_s), wait_s=wait_s)


def summary(incident_id: str) -> Call[str]:
    """Read the draft of a summary."""
    return Call("GET", f"{_place(incident_id)}/summary", str, is_text=True)


def batch(incidents: Iterable[Posted]) -> Call[Batch]:
    """Post many."""
    lines = b"\n".join(_body(as_values(each)) for each in incidents)
    return Call(
        "POST", "/v1/incidents/batch", Batch.model_validate, {}, {"Content-Type": "application/x-ndjson"}, lines
    )


def incident(incident_id: str) -> Call[Status]:
    """Read an incident."""
    return Call("GET", _place(incident_id), read_status)


def page(filters: Mapping[str, Any], cursor: str | None, limit: int) -> Call[Page]:
    """Read one page of the incidents."""
    return Call("GET", "/v1/incidents", Page.model_validate, _params({**filters, "cursor": cursor, "limit": limit}))


def finished(cursor: str | None, since: datetime | None, limit: int, *, documents: bool) -> Call[FinishedPage]:
    """Read one page of the finished triages."""
    params = _params({"cursor": cursor, "since": since, "limit": limit, "documents": documents})
    return Call("GET", "/v1/triages", FinishedPage.model_validate, params)


def annotate(
    incident_id: str, annotations: Sequence[Mapping[str, Any]], if_match: str | None
) -> Call[list[Annotation]]:
    """Label an incident."""
    headers = {"Content-Type": "application/json"} | ({} if if_match is None else {"If-Match": if_match})
    return Call("POST", f"{_place(incident_id)}/annotations", read_annotations, {}, headers, _body(list(annotations)))


def preview(
    incident_id: str,
    annotations: Sequence[Mapping[str, Any]],
    days: float | None,
    limit: int | None,
    seconds: float | None,
) -> Call[Preview]:
    """Preview the labels of an incident."""
    place, headers = f"{_place(incident_id)}/annotations/preview", {"Content-Type": "application/json"}
    params = _params({"days": days, "limit": limit, "seconds": seconds})
    return Call("POST", place, Preview.model_validate, params, headers, _body(list(annotations)))


def annotations_of(incident_id: str) -> Call[list[Annotation]]:
    """Read the annotations of an incident."""
    return Call("GET", f"{_place(incident_id)}/annotations", read_annotations)


def search(text: str, k: int, as_of: datetime | None) -> Call[list[Neighbour]]:
    """Search the history."""
    body = _body(_params({"text": text, "k": k, "as_of": as_of}))
    return Call("POST", "/v1/search", read_neighbours, {}, {"Content-Type": "application/json"}, body)


def agreement() -> Call[dict[str, Any]]:
    """Read the live agreement."""
    return Call("GET", "/v1/agreement", dict)


def study(params: Mapping[str, Any], wait_s: float) -> Call[dict[str, Any]]:
    """Have what was labelled studied."""
    return Call("GET", "/v1/study", dict, _params(params), wait_s=wait_s)


def radar(facet: str | None, recent: int | None, least: int | None) -> Call[dict[str, Any]]:
    """Ask for groups of incidents that no label fits."""
    return Call("GET", "/v1/radar", dict, _params({"facet": facet, "recent": recent, "least": least}))


def taxonomies() -> Call[list[Summary]]:
    """List the taxonomies."""
    return Call("GET", "/v1/taxonomies", lambda found: TypeAdapter(list[Summary]).validate_python(found["taxonomies"]))


def taxonomy(name: str) -> Call[Taxonomy]:
    """Read a taxonomy."""
    return Call("GET", f"/v1/taxonomies/{quote(name, safe='')}", Taxonomy.model_validate)


def delete(incident_id: str) -> Call[None]:
    """Delete an incident."""
    return Call("DELETE", _place(incident_id), lambda _: None)


def health() -> Call[Health]:
    """Ask for the state of the service; one that is not ready says so, and is no error."""
    return Call("GET", "/readyz", Health.model_validate, accepts=(503,))


def events(incident_id: str, last: str | None) -> Call[None]:
    """Follow an incident."""
    headers = {"Accept": "text/event-stream"} | ({} if last is None else {"Last-Event-ID": last})
    return Call("GET", f"{_place(incident_id)}/events", lambda _: None, headers=headers)


class EventReader:
    """Puts events together from the lines of a stream."""

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}

    def read(self, line: str) -> Iterator[Event]:
        """The event that this line ends, if it does."""
        if line:
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            is_more = field == "data" and "data" in self._fields
            self._fields[field] = f"{self._fields['data']}\n{value}" if is_more else value
            return
        fields, self._fields = self._fields, {}
        if "data" in fields:
            yield Event(id=fields.get("id", ""), name=fields.get("event", "message"), data=json.loads(fields["data"]))


def as_values(posted: Posted) -> Mapping[str, Any]:
    """An incident as the API takes it; a bare text is a write-up."""
    if isinstance(posted, str):
        return {"write_up": posted}
    if isinstance(posted, Incident):
        return posted.model_dump(mode="json", exclude_defaults=True)
    return posted


def _triage_or_status(document: Mapping[str, Any]) -> Status | Triage:
    return read_status(document) if "status" in document else Triage.model_validate(document)


def _place(incident_id: str) -> str:
    return f"/v1/incidents/{quote(incident_id, safe='')}"


def _prefer(wait_s: float) -> dict[str, str]:
    return {"Prefer": f"wait={int(wait_s)}"} if wait_s >= 1 else {}


def _params(values: Mapping[str, Any]) -> dict[str, Any]:
    """Those of `values` that are given, with moments written out."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in values.items()
        if value is not None
    }


def _body(values: Any) -> bytes:
    return json.dumps(values, ensure_ascii=False, allow_nan=False, default=_written_out).encode()


def _written_out(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{value!r} can't be sent as JSON")
