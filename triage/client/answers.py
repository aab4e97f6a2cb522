"""What the service answers, beside the domain's own models. Fields that a newer service adds are ignored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import AwareDatetime, BaseModel

from triage.domain.incident import Incident
from triage.domain.triage_result import Triage

Model = TypeVar("Model", bound=BaseModel)


class Status(BaseModel, frozen=True):
    """The status of an incident: `pending`, `triaged`, `failed` or `imported`. `retry_at` is when it is tried again.

    `provisional` is the triage without the chat model, while that is still being asked for a triage.
    """

    id: str
    status: str
    taxonomy: str
    attempts: int
    failure: str | None = None
    retry_at: AwareDatetime | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime
    incident: Incident | None = None
    provisional: Triage | None = None


class Listed(BaseModel, frozen=True):
    """An incident in a list, without its write-up."""

    id: str
    title: str = ""
    source: str = ""
    service: str = ""
    severity: str = ""
    url: str = ""
    status: str
    taxonomy: str
    team: str = ""
    started_at: AwareDatetime | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime


class Page(BaseModel, frozen=True):
    """A page of incidents, newest first."""

    incidents: tuple[Listed, ...]
    next_cursor: str | None = None


class FinishedTriage(BaseModel, frozen=True):
    """A finished triage; `triage` is set if documents were requested."""

    incident_id: str
    created_at: AwareDatetime
    degraded: bool
    triage: Triage | None = None


class FinishedPage(BaseModel, frozen=True):
    """A page of finished triages, oldest first. Continue from `next_cursor`; it stays valid after the last page."""

    triages: tuple[FinishedTriage, ...]
    next_cursor: str
    has_more: bool


class BatchItem(BaseModel, frozen=True):
    """The outcome for one incident: `accepted`, `known`, `conflict` or `invalid`; `problem` says why it was refused."""

    index: int
    id: str | None
    status: str
    problem: dict[str, Any] | None = None


class Batch(BaseModel, frozen=True):
    """The outcome for each incident of a batch. `triages` is the URL that lists their triages as they finish."""

    accepted: int
    known: int
    failed: int
    items: tuple[BatchItem, ...]
    triages: str

    @property
    def cursor(self) -> str:
        """The cursor for `finished` after which the triages of this batch are listed."""
        return self.triages.partition("cursor=")[2]


class Event(BaseModel, frozen=True):
    """An event of an incident's progress.

    A `status` event has a `phase` in its data, a `provisional` one the triage without the chat model. The last event is
    `triage`, with the triage, or `failed`.
    """

    id: str
    name: str
    data: dict[str, Any]

    @property
    def is_last(self) -> bool:
        """True if no other event follows."""
        return self.name in ("triage", "failed")

    @property
    def triage(self) -> Triage | None:
        """The triage, if this is the `triage` event, or the provisional one of a `provisional` event."""
        return Triage.model_validate(self.data) if self.name in ("triage", "provisional") else None


class Summary(BaseModel, frozen=True):
    """A taxonomy in a list."""

    id: str
    version: str
    title: str
    facets: tuple[str, ...]
    is_in_use: bool


class Check(BaseModel, frozen=True):
    """The state of one part of the service."""

    is_ok: bool
    is_required: bool
    detail: str


class Health(BaseModel, frozen=True):
    """Whether the service is ready, and the state of each of its parts."""

    is_ready: bool
    checks: dict[str, Check]


def read_status(document: Mapping[str, Any]) -> Status:
    """The status of an incident, with the incident if the document has it."""
    values = dict(document)
    if "incident" in values:
        values["incident"] = _known(Incident, values["incident"])
    return Status.model_validate(values)


def read_list(name: str, model: type[Model]) -> Callable[[Mapping[str, Any]], list[Model]]:
    """A function that reads the models that a document lists under `name`."""
    return lambda document: [_known(model, each) for each in document[name]]


def _known(model: type[Model], values: Mapping[str, Any]) -> Model:
    """The model without the fields that it doesn't know: the domain's models forbid them."""
    return model.model_validate({name: value for name, value in values.items() if name in model.model_fields})
