"""The one way in for an incident that somebody posts: checked, stored, queued."""

from __future__ import annotations

from pydantic import TypeAdapter, ValidationError

from triage.domain.errors import InvalidInput
from triage.domain.incident import Incident
from triage.domain.principal import DEFAULT_TEAM, Principal, TeamName
from triage.server.api.bodies import NewIncident, check_size, check_taxonomy
from triage.server.api.problems import FieldError, InvalidFields
from triage.server.api.service import Service

_TEAM = TypeAdapter[str](TeamName)


async def take_in(service: Service, who: Principal, posted: NewIncident, key: str = "", team: str = "") -> Incident:
    """Store and queue what `who` posts; returns it as it is kept.

    Without an id of its own it gets `key`, else one made from its content; it is of `team` where it names none. The
    same incident again adds nothing. Raises `InvalidInput`, `InputTooLarge`, `Forbidden`, `Conflict` or `Overloaded`.
    """
    check_size(posted, service.max_write_up_bytes)
    check_taxonomy(posted, service.casebook.taxonomy.id)
    owner = who.team(posted.team, team)
    incident = posted.incident(key, owner)
    check_id(incident.id, owner, who)
    await queue(service, incident, owner)
    return incident


async def queue(service: Service, incident: Incident, team: str) -> None:
    """Store an incident of `team` and queue it, also one that came in before without a triage to come."""
    await service.jobs.admit(incident.id)
    await service.casebook.accept(incident, team)
    await service.jobs.enqueue(incident.id)


def check_id(incident_id: str, team: str, who: Principal) -> None:
    """Raise `InvalidInput` for an id of team `default` that would be read as one of another team."""
    owner, separator, _ = incident_id.partition(":")
    if team == DEFAULT_TEAM and separator and not who.sees(owner):
        raise InvalidInput("Before a ':' in an id stands its team: use another character.", field="id")


def checked_team(team: str | None) -> str:
    """The team that a header names, empty for none. Raises `InvalidInput` for what can't be one."""
    if not team:
        return ""
    try:
        return _TEAM.validate_python(team.strip())
    except ValidationError as error:
        raise InvalidFields([FieldError(field="X-Team", message="is no name of a team")]) from error
