"""Principals: who makes a request, their scopes and teams, and the current actor for the audit log."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from triage.domain.errors import InvalidInput, TriageError

Scope = Literal["read", "triage", "annotate", "admin"]
"""`read`: see incidents, history and figures. `triage`: post incidents. `annotate`: label and adjudicate.
`admin`: keys, webhooks, deletion and the audit log; includes the other three."""

TeamName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$", examples=["payments"])]
"""Lower-case letters, digits, `_`, `.` and `-`; no `:`, see `team_id`."""

DEFAULT_TEAM = "default"
"""The team of incidents posted without one."""

SHARED_TEAM = "shared"
"""The team whose history every team sees."""

_LONGEST_ID = 128


class Principal(NamedTuple):
    """Who makes a request. They see and may change the incidents of `teams`; None means all teams."""

    name: str
    scopes: frozenset[Scope]
    teams: frozenset[str] | None = None
    key_id: str | None = None

    def may(self, scope: Scope) -> bool:
        """True if they have the scope or `admin`."""
        return scope in self.scopes or "admin" in self.scopes

    def sees(self, team: str) -> bool:
        """True if they see incidents of this team."""
        return self.teams is None or team in self.teams

    def sees_all_of(self, teams: frozenset[str] | None) -> bool:
        """True if they see everything that someone limited to `teams` sees. None means no limit."""
        return self.teams is None or (teams is not None and teams <= self.teams)

    def team(self, *named: str | None) -> str:
        """The team that they post to: the `named` one (None and "" are ignored), else their only one.

        Principals without a team limit post to `default`. Raises `InvalidInput` if two teams are named, or none by a
        principal with several, and `Forbidden` for another's team.
        """
        names = {name for name in named if name}
        if len(names) > 1:
            raise InvalidInput(f"Two teams are named: {', '.join(sorted(names))}. Name one.", field="team")
        if names:
            team = names.pop()
            if not self.sees(team):
                raise Forbidden(f"This key is not for team {team!r}.", teams=sorted(self.teams or ()))
            return team
        if self.teams is None:
            return DEFAULT_TEAM
        if len(self.teams) == 1:
            return next(iter(self.teams))
        raise InvalidInput(
            f"This key is for several teams: name one of {', '.join(sorted(self.teams))} in the field `team` or the "
            "header X-Team.",
            field="team",
            available=sorted(self.teams),
        )


EVERYONE = Principal("anonymous", frozenset({"admin"}))
"""The principal of every request to a service without keys."""


class Unauthenticated(TriageError):
    """The key is missing or invalid."""

    status = 401
    title = "A key is needed"

    def __init__(self, detail: str, *, challenge: str = "", **data: Any) -> None:
        super().__init__(detail, **data)
        self.headers = {"WWW-Authenticate": f'Bearer realm="triage"{challenge}'}


class Forbidden(TriageError):
    """The key does not allow this request."""

    status = 403
    title = "The key does not allow this"


class TooManyRequests(TriageError):
    """The rate limit is exceeded. `headers` give the limit, and when to retry."""

    status = 429
    title = "Too many requests"

    def __init__(self, detail: str, headers: Mapping[str, str], **data: Any) -> None:
        super().__init__(detail, **data)
        self.headers = headers


def team_id(team: str, incident_id: str) -> str:
    """The id under which a team's incident is stored: `TEAM:ID`, or the plain id for `default`.

    So the ids of two teams never collide. Ids that have the prefix are kept. Raises `InvalidInput` if it gets too long.

    >>> team_id("payments", "4711"), team_id("payments", "payments:4711"), team_id("default", "4711")
    ('payments:4711', 'payments:4711', '4711')
    """
    if team == DEFAULT_TEAM or incident_id.startswith(f"{team}:"):
        return incident_id
    prefixed = f"{team}:{incident_id}"
    if len(prefixed) > _LONGEST_ID:
        raise InvalidInput(
            f"The id is stored as {team}:ID, which is longer than {_LONGEST_ID} characters: shorten it.", field="id"
        )
    return prefixed


def seen_teams(teams: Collection[str] | None) -> set[str] | None:
    """The teams whose history is visible to `teams`: their own and the shared one. None means all."""
    return None if teams is None else {*teams, SHARED_TEAM}


# Set where a request or command begins; read by the store when it writes the audit log.
_ACTOR: ContextVar[str] = ContextVar("triage_actor", default="service")


def actor() -> str:
    """The current actor for the audit log: `key:<id> <name>`, `anonymous`, `cli:<user>` or `service`."""
    return _ACTOR.get()


def act_as(name: str) -> None:
    """Set the actor for this task and those that it starts."""
    _ACTOR.set(name)


@contextmanager
def acting_as(name: str) -> Iterator[None]:
    """Set the actor within the block."""
    token = _ACTOR.set(name)
    try:
        yield
    finally:
        _ACTOR.reset(token)
