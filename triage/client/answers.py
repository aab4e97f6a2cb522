"""What the service answers beside the domain's own models. Fields that a newer service adds are left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import AwareDatetime, BaseModel, TypeAdapter

from triage.domain.annotation import Annotation
from triage.domain.incident import Incident
from triage.domain.triage_result import Neighbour, Triage

Model = TypeVar("Model", bound=BaseModel)


class Status(BaseModel, frozen=True):
    """How far an incident is: `pending`, `triaged`, `failed` or `imported`. With `retry_at` it is tried again."""

    id: str
    status: str
    taxonomy: str
    attempts: int
    failure: str | None = None
    retry_at: AwareDatetime | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime
    incident: Incident | None = None


class Listed(BaseModel, frozen=True):
    """An incident in a list: without its write-up."""

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
    """Some incidents, newest first."""

    incidents: tuple[Listed, ...]
    next_cursor: str | None = None


class FinishedTriage(BaseModel, frozen=True):
    """A triage that is done; `triage` holds it if documents were asked for."""

    incident_id: str
    created_at: AwareDatetime
    degraded: bool
    triage: Triage | None = None


class FinishedPage(BaseModel, frozen=True):
    """Some finished triages, first finished first; go on from `next_cursor`, later also from that of the last page."""

    triages: tuple[FinishedTriage, ...]
    next_cursor: str
    has_more: bool


class BatchItem(BaseModel, frozen=True):
    """What became of one incident: `accepted`, `known`, `conflict` or `invalid`; `problem` says why it was refused."""

    index: int
    id: str | None
    status: str
    problem: dict[str, Any] | None = None


class Batch(BaseModel, frozen=True):
    """What became of each incident of a batch. `triages` is where their triages are listed as they are finished."""

    accepted: int
    known: int
    failed: int
    items: tuple[BatchItem, ...]
    triages: str

    @property
    def cursor(self) -> str:
        """The cursor for `finished` behind which the triages of this batch stand."""
        return self.triages.partition("cursor=")[2]


class Event(BaseModel, frozen=True):
    """One event of an incident's progress.

    `status` comes with `phase` in its data; `triage` and `failed` are the last ones, the former with `triage`.
    """

    id: str
    name: str
    data: dict[str, Any]

    @property
    def is_last(self) -> bool:
        """True if no other follows."""
        return self.name != "status"

    @property
    def triage(self) -> Triage | None:
        """The triage, if this is the event that brings it."""
        return Triage.model_validate(self.data) if self.name == "triage" else None


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
    """Whether the service can do its work, and the state of each of its parts."""

    is_ready: bool
    checks: dict[str, Check]


def read_status(document: Mapping[str, Any]) -> Status:
    """The status of an incident, with the incident where the answer holds it."""
    values = dict(document)
    if "incident" in values:
        values["incident"] = known(Incident, values["incident"])
    return Status.model_validate(values)


def read_annotations(document: Mapping[str, Any]) -> list[Annotation]:
    """The annotations of an answer."""
    return [known(Annotation, each) for each in document["annotations"]]


def read_neighbours(document: Mapping[str, Any]) -> list[Neighbour]:
    """The neighbours of an answer."""
    return TypeAdapter(list[Neighbour]).validate_python(document["neighbours"])


def known(model: type[Model], values: Mapping[str, Any]) -> Model:
    """A model that allows no other fields, of an answer that may have some."""
    return model.model_validate({name: value for name, value in values.items() if name in model.model_fields})
