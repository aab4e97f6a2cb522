"""Who asks, and what they may do: scopes and teams."""

from __future__ import annotations

from typing import Literal, NamedTuple

Scope = Literal["read", "triage", "annotate", "admin"]
"""`read`: see incidents, history and figures. `triage`: post incidents. `annotate`: label and adjudicate.
`admin`: keys, webhooks, deletion and the audit log; it includes the other three."""


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


EVERYONE = Principal("anonymous", frozenset({"admin"}))
"""Whoever asks a service that runs without keys."""
