"""The calls of the HTTP API, without sending them. Each function here becomes a method of both clients."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import quote

import httpx

from triage.client.answers import Batch, FinishedPage, Health, Page, Status, Summary, read_list, read_status
from triage.client.errors import ServiceError, error_of
from triage.domain.annotation import Annotation
from triage.domain.correction_preview import Preview
from triage.domain.incident import Incident
from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import Neighbour, Triage

Answer = TypeVar("Answer")
Method = TypeVar("Method", bound=Callable[..., Any])
Posted = Incident | Mapping[str, Any] | str


class Call(NamedTuple, Generic[Answer]):
    """One request, and how to read its answer. Every call can be sent again without harm."""

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
        """Read the answer. Raises `ServiceError`."""
        if response.is_success or response.status_code in self.accepts:
            if self.is_text:
                return self.read(response.text)
            return self.read(response.json() if response.content else None)
        raise failure(response)

    def request(self, timeout_s: float) -> dict[str, Any]:
        """The arguments for httpx's `request`; `timeout_s` is added to the time that the call waits for a triage."""
        return {
            "method": self.method,
            "url": self.path,
            "params": self.params,
            "headers": self.headers,
            "content": self.content,
            "timeout": timeout_s + self.wait_s,
        }

    def with_json(self, body: Any) -> Call[Answer]:
        """The call with a JSON body."""
        return self._replace(content=_json(body), headers={"Content-Type": "application/json", **self.headers})

    def waiting(self, wait_s: float) -> Call[Answer]:
        """The call, answered when the triage is done, after `wait_s` at the latest."""
        headers = {**self.headers, "Prefer": f"wait={int(wait_s)}"} if wait_s >= 1 else self.headers
        return self._replace(headers=headers, wait_s=wait_s)

    def after(self, cursor: str) -> Call[Answer]:
        """The call for the page after `cursor`."""
        return self._replace(params={**self.params, "cursor": cursor})


def client_headers(key: str | None) -> dict[str, str]:
    """The headers that a client sends with every call."""
    return {"User-Agent": "triage-client"} | ({} if key is None else {"Authorization": f"Bearer {key}"})


def failure(response: httpx.Response) -> ServiceError:
    """The error of a response whose body was read."""
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    problem = problem if isinstance(problem, dict) else {}
    return error_of(response.status_code, response.reason_phrase, problem, response.headers.get("retry-after", ""))


def sends(call: Callable[..., Any]) -> Callable[[Method], Method]:
    """Give a client's method the name, documentation and parameters of the call that it sends."""

    def decorate(method: Method) -> Method:
        sent, own = inspect.signature(call), inspect.signature(method)
        answer = str(sent.return_annotation).removeprefix("Call[").removesuffix("]")
        signature = sent.replace(
            parameters=[own.parameters["self"].replace(annotation=inspect.Parameter.empty), *sent.parameters.values()],
            return_annotation=str(own.return_annotation).replace("Answer", answer),
        )
        method.__name__, method.__doc__ = call.__name__, call.__doc__
        method.__signature__ = signature  # type: ignore[attr-defined]
        return method

    return decorate


def post(incident: Posted, *, key: str | None = None) -> Call[Status | Triage]:
    """Post an incident: a text, a mapping or an `Incident`. Returns its triage if there already is one.

    `key` identifies an incident without an id. Posting it again doesn't triage it again.
    """
    headers = {} if key is None else {"Idempotency-Key": f'"{key}"'}
    return Call("POST", "/v1/incidents", _read_triage_or_status, headers=headers).with_json(_as_values(incident))


def triage_of(incident_id: str) -> Call[Status | Triage]:
    """Read the triage of an incident, or its status while there is none."""
    return Call("GET", f"{_path(incident_id)}/triage", _read_triage_or_status)


def batch(incidents: Iterable[Posted]) -> Call[Batch]:
    """Post up to 1,000 incidents, each accepted or refused on its own. Follow them with `finished`."""
    lines = b"\n".join(_json(_as_values(each)) for each in incidents)
    headers = {"Content-Type": "application/x-ndjson"}
    return Call("POST", "/v1/incidents/batch", Batch.model_validate, headers=headers, content=lines)


def finished(
    cursor: str | None = None, *, since: datetime | None = None, limit: int = 50, documents: bool = False
) -> Call[FinishedPage]:
    """Triages in the order in which they finished, after `cursor`. With `documents` the triages themselves too."""
    params = _params(cursor=cursor, since=since, limit=limit, documents=documents)
    return Call("GET", "/v1/triages", FinishedPage.model_validate, params)


def incident(incident_id: str) -> Call[Status]:
    """An incident with its write-up and its status."""
    return Call("GET", _path(incident_id), read_status)


def summary(incident_id: str) -> Call[str]:
    """The draft of a post-incident summary, as Markdown."""
    return Call("GET", f"{_path(incident_id)}/summary", str, is_text=True)


def incidents(
    *,
    status: str | None = None,
    team: str | None = None,
    service: str | None = None,
    severity: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    degraded: bool | None = None,
    page_size: int = 100,
) -> Call[Page]:
    """All incidents that match, newest first, read page after page."""
    params = _params(
        status=status,
        team=team,
        service=service,
        severity=severity,
        since=since,
        until=until,
        degraded=degraded,
        limit=page_size,
    )
    return Call("GET", "/v1/incidents", Page.model_validate, params)


def annotate(
    incident_id: str, annotations: Sequence[Mapping[str, Any]], *, if_match: str | None = None
) -> Call[list[Annotation]]:
    """Label an incident, all or nothing: each with `facet`, `labels`, `annotator`, and `is_gold` or `note`.

    With `if_match` (an ETag) only if nobody labelled it since; else raises `Outdated`.
    """
    headers = {} if if_match is None else {"If-Match": if_match}
    call = Call("POST", f"{_path(incident_id)}/annotations", read_list("annotations", Annotation), headers=headers)
    return call.with_json(list(annotations))


def preview(
    incident_id: str,
    annotations: Sequence[Mapping[str, Any]],
    *,
    days: float | None = None,
    limit: int | None = None,
    seconds: float | None = None,
) -> Call[Preview]:
    """Which other recent incidents would be triaged differently with these labels. Takes what `annotate` takes."""
    params = _params(days=days, limit=limit, seconds=seconds)
    call = Call("POST", f"{_path(incident_id)}/annotations/preview", Preview.model_validate, params)
    return call.with_json(list(annotations))


def annotations_of(incident_id: str) -> Call[list[Annotation]]:
    """The annotations of an incident, oldest first."""
    return Call("GET", f"{_path(incident_id)}/annotations", read_list("annotations", Annotation))


def search(text: str, k: int = 5, *, as_of: datetime | None = None) -> Call[list[Neighbour]]:
    """The `k` incidents of the history most similar to `text`, best first; with `as_of` those that began before."""
    return Call("POST", "/v1/search", read_list("neighbours", Neighbour)).with_json(
        _params(text=text, k=k, as_of=as_of)
    )


def agreement() -> Call[dict[str, Any]]:
    """The live agreement between model and people, as the service returns it."""
    return Call("GET", "/v1/agreement", dict)


def study(
    *,
    most: int | None = None,
    incidents: int | None = None,
    observed_until: datetime | None = None,
    automated_minutes: float | None = None,
    similarity: float | None = None,
    wait_s: float = 120.0,
) -> Call[dict[str, Any]]:
    """The study of the labelled incidents, as the service returns it: see docs/study.md.

    Studies the `most` incidents that began last, and names at most `incidents` ids with each figure.
    """
    params = _params(
        most=most,
        incidents=incidents,
        observed_until=observed_until,
        automated_minutes=automated_minutes,
        similarity=similarity,
    )
    return Call("GET", "/v1/study", dict, params, wait_s=wait_s)


def radar(facet: str | None = None, *, recent: int | None = None, least: int | None = None) -> Call[dict[str, Any]]:
    """Groups of recent incidents that no label of the facet fits, with draft labels, as the service returns them."""
    return Call("GET", "/v1/radar", dict, _params(facet=facet, recent=recent, least=least))


def taxonomies() -> Call[list[Summary]]:
    """The taxonomies that the service knows."""
    return Call("GET", "/v1/taxonomies", read_list("taxonomies", Summary))


def taxonomy(name: str) -> Call[Taxonomy]:
    """A taxonomy with its facets and labels."""
    return Call("GET", f"/v1/taxonomies/{quote(name, safe='')}", Taxonomy.model_validate)


def delete(incident_id: str) -> Call[None]:
    """Delete an incident and everything that is kept of it."""
    return Call("DELETE", _path(incident_id), lambda _: None)


def health() -> Call[Health]:
    """Whether the service is ready, and the state of its parts. A service that isn't ready raises no error."""
    return Call("GET", "/readyz", Health.model_validate, accepts=(503,))


def events(incident_id: str) -> Call[None]:
    """The progress of an incident, event by event, up to its triage. Resumes when the stream breaks off."""
    return Call("GET", f"{_path(incident_id)}/events", lambda _: None, headers={"Accept": "text/event-stream"})


def _as_values(posted: Posted) -> Mapping[str, Any]:
    if isinstance(posted, str):
        return {"write_up": posted}
    if isinstance(posted, Incident):
        return posted.model_dump(mode="json", exclude_defaults=True)
    return posted


def _read_triage_or_status(document: Mapping[str, Any]) -> Status | Triage:
    return read_status(document) if "status" in document else Triage.model_validate(document)


def _path(incident_id: str) -> str:
    return f"/v1/incidents/{quote(incident_id, safe='')}"


def _params(**values: Any) -> dict[str, Any]:
    """The values that aren't None, with times in ISO format."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in values.items()
        if value is not None
    }


def _json(values: Any) -> bytes:
    return json.dumps(values, ensure_ascii=False, allow_nan=False, default=_isoformat).encode()


def _isoformat(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{value!r} can't be sent as JSON")
