"""The one way in for incidents: validated, admitted to the job queue, stored, and queued for triage.

Every entrance uses it: `POST /v1/incidents`, the batch, webhooks, and the pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from triage.domain.errors import Conflict, InputTooLarge, InvalidInput
from triage.domain.incident import Incident
from triage.domain.principal import DEFAULT_TEAM, Principal
from triage.history.casebook import Casebook
from triage.server.api.bodies import NewIncident
from triage.server.jobs import Jobs
from triage.store import Store


class Intake(NamedTuple):
    """Takes incidents in. An accepted incident is stored first and queued then, so none is lost if the process dies."""

    casebook: Casebook
    store: Store
    jobs: Jobs
    max_write_up_bytes: int

    async def post(self, principal: Principal, posted: NewIncident, *, key: str = "", team: str = "") -> Incident:
        """Take in an incident that `principal` posts; returns it as stored. `key` and `team` are those of `validated`.

        Raises `InvalidInput`, `InputTooLarge`, `Forbidden`, `Conflict` or `Overloaded`.
        """
        owner = principal.team(posted.team, team)
        incident = self.validated(principal, posted, owner, key)
        await self.take_in(incident, owner)
        return incident

    def validated(self, principal: Principal, posted: NewIncident, team: str, key: str = "") -> Incident:
        """The posted incident as `team` stores it.

        Its id is the posted one, else `key`, else derived from its content. Raises `InvalidInput` or `InputTooLarge`.
        """
        if len(posted.write_up.encode()) > self.max_write_up_bytes:
            raise InputTooLarge(
                f"The write-up is larger than {self.max_write_up_bytes:,} bytes: leave out logs and dumps.",
                field="write_up",
                limit_bytes=self.max_write_up_bytes,
            )
        in_use = self.casebook.taxonomy.id
        if posted.taxonomy not in ("", in_use):
            raise InvalidInput(
                f"This service triages with taxonomy {in_use!r}, not {posted.taxonomy!r}: leave the field out.",
                field="taxonomy",
                available=[in_use],
            )
        incident = posted.incident(key, team)
        prefix, separator, _ = incident.id.partition(":")
        if team == DEFAULT_TEAM and separator and not principal.sees(prefix):
            raise InvalidInput("The part of an id before ':' names its team: use another character.", field="id")
        return incident

    async def take_in(self, incident: Incident, team: str, *, keep_known: bool = False) -> bool:
        """Store an incident of `team` and queue its triage. True if it is new.

        The same incident again adds nothing, but an imported or failed one is triaged again. Other content under its
        id raises `Conflict`; with `keep_known` the stored incident stays as it is, whatever the new content. Raises
        `Overloaded` for a new incident while the job queue is full.
        """
        is_new = False
        if not (keep_known and await self.store.incidents.find(incident.id) is not None):
            await self.jobs.admit(incident.id)
            try:
                is_new = await self.casebook.accept(incident, team)
            except Conflict:
                # With `keep_known`: the same incident came in twice at the same time.
                if not keep_known:
                    raise
        await self.jobs.enqueue(incident.id)
        return is_new

    async def take_in_all(self, incidents: Sequence[Incident], team: str) -> list[bool | Conflict]:
        """Store incidents of `team` in bulk and queue their triage in the background.

        Returns for each whether it is new, or its `Conflict`. Raises `Overloaded` while the job queue is full.
        """
        await self.jobs.admit(None)
        outcomes = await self.casebook.accept_many(incidents, team)
        accepted = [each.id for each, outcome in zip(incidents, outcomes, strict=True) if isinstance(outcome, bool)]
        self.jobs.enqueue_soon(accepted)
        return outcomes
