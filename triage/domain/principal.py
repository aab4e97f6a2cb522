"""Who asks, and what they may do: scopes and teams; and who does what is being done right now."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field

from triage.domain.errors import InvalidInput, TriageError

Scope = Literal["read", "triage", "annotate", "admin"]
"""`read`: see incidents, history and figures. `triage`: post incidents. `annotate`: label and adjudicate.
`admin`: keys, webhooks, deletion and the audit log; it includes the other three."""

TeamName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_.-]{0,62}$", examples=["payments"])]
"""Lower-case letters, digits, `_`, `.` and `-`. A ':' is never in it, see `team_id`."""

DEFAULT_TEAM = "default"
"""The team of incidents that were posted without one."""

SHARED_TEAM = "shared"
"""The team of history that every team sees."""

_LONGEST_ID = 128


class Principal(NamedTuple):
    """Who makes a request. `teams` are those whose incidents they see and may change; None stands for all teams."""

    name: str
    scopes: frozenset[Scope]
    teams: frozenset[str] | None = None
    key_id: str | None = None

    def may(self, scope: Scope) -> bool:
        """True if the scope, or `admin`, was given."""
        return scope in self.scopes or "admin" in self.scopes

    def sees(self, team: str) -> bool:
        """True if incidents of this team are theirs."""
        return self.teams is None or team in self.teams

    def sees_all_of(self, teams: frozenset[str] | None) -> bool:
        """True if whatever is limited to these teams (None: to none) lies within their own limits."""
        return self.teams is None or (teams is not None and teams <= self.teams)

    def team(self, *named: str | None) -> str:
        """The team of what they post: the one that is `named` (None and "" name none), else their only one.

        Who is not limited to teams posts for `default`. Raises `InvalidInput` where two different ones are named or
        none where one of several is to be chosen, and `Forbidden` for a team that is not theirs.
        """
        wanted = {name for name in named if name}
        if len(wanted) > 1:
            raise InvalidInput(f"Two teams are named: {', '.join(sorted(wanted))}. Name one.", field="team")
        if wanted:
            team = wanted.pop()
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
"""Whoever asks a service that runs without keys."""


class Unauthenticated(TriageError):
    """No key, or none that opens. `headers` are those of the answer."""

    status = 401
    title = "A key is needed"

    def __init__(self, detail: str, *, challenge: str = "", **data: Any) -> None:
        super().__init__(detail, **data)
        self.headers: Mapping[str, str] = {"WWW-Authenticate": f'Bearer realm="triage"{challenge}'}


class Forbidden(TriageError):
    """A key that opens, but not this."""

    status = 403
    title = "The key does not allow this"
    headers: Mapping[str, str] = {}


class TooManyRequests(TriageError):
    """More requests than are allowed; `headers` say how many are, and when the next one is."""

    status = 429
    title = "Too many requests"

    def __init__(self, detail: str, headers: Mapping[str, str], **data: Any) -> None:
        super().__init__(detail, **data)
        self.headers = headers


def team_id(team: str, incident_id: str) -> str:
    """The id under which a team's incident is kept: `TEAM:ID`, and for `default` the id itself.

    Two teams that use the same ids so never meet. An id that has its team in front already keeps it.
    Raises `InvalidInput` where the two together are too long.

    >>> team_id("payments", "4711"), team_id("payments", "payments:4711"), team_id("default", "4711")
    ('payments:4711', 'payments:4711', '4711')
    """
    if team == DEFAULT_TEAM or incident_id.startswith(f"{team}:"):
        return incident_id
    kept = f"{team}:{incident_id}"
    if len(kept) > _LONGEST_ID:
        raise InvalidInput(
            f"The id is kept as {team}:ID, and is then longer than {_LONGEST_ID} characters: shorten it.", field="id"
        )
    return kept


def seen_teams(teams: Collection[str] | None) -> set[str] | None:
    """The teams whose history these teams may see: their own and the shared one; None for all."""
    return None if teams is None else {*teams, SHARED_TEAM}


# Who acts is known where a request or a command begins, and written down deep below, in the transaction of the change.
_ACTOR: ContextVar[str] = ContextVar("triage_actor", default="service")


def actor() -> str:
    """Who acts now, for the audit log: `key:<id> <name>`, `anonymous`, `cli:<user>`, or `service` for itself."""
    return _ACTOR.get()


def act_as(name: str) -> None:
    """From here on, in this task and those that it starts, `name` acts."""
    _ACTOR.set(name)


@contextmanager
def acting_as(name: str) -> Iterator[None]:
    """Let `name` act in the block."""
    token = _ACTOR.set(name)
    try:
        yield
    finally:
        _ACTOR.reset(token)
