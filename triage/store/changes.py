"""What one recording of labels changes, for the audit log."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from triage.domain.annotation import Annotation
from triage.domain.principal import DEFAULT_TEAM, actor
from triage.store.audit import record
from triage.store.incidents import read_teams
from triage.store.standing import of_facet


class Changes:
    """Collects the labels that are kept, beside what stood before, and writes them into the audit log.

    What people give here is an entry for each label. An import is one entry as a whole, and a further one for each
    label, or gold label, that it changes.
    """

    def __init__(self, standing: Iterable[Annotation], imported: Collection[str], *, is_given_here: bool) -> None:
        self._gold: dict[tuple[str, str], tuple[str, ...]] = {}
        # As `Store.gold` has it: a person's before any other, then the newest.
        for each in sorted(standing, key=lambda each: (each.origin == "human", each.id or 0)):
            if each.is_gold:
                self._gold[of_facet(each)] = each.labels
        self._imported = len(imported)
        self._is_given_here = is_given_here
        self._kept: list[tuple[Annotation, dict[str, Any]]] = []

    def note(self, before: Annotation | None, kept: Annotation) -> None:
        """An annotation is kept; `before` is what its annotator had said."""
        gold = self._gold.get(of_facet(kept))
        details: dict[str, Any] = {
            "facet": kept.facet,
            "annotator": kept.annotator,
            "before": None if before is None else list(before.labels),
            "after": list(kept.labels),
        }
        if kept.is_gold or (before is not None and before.is_gold):
            details |= {"gold_before": None if gold is None else list(gold), "is_gold": kept.is_gold}
        if kept.is_gold:
            self._gold[of_facet(kept)] = kept.labels
        self._kept.append((kept, details))

    async def write(self, connection: AsyncConnection) -> None:
        """Write the entries, in the transaction that keeps the labels."""
        who = actor()
        if not self._is_given_here and (self._kept or self._imported):
            details = {
                "incidents": self._imported,
                "labels": len(self._kept),
                "annotators": sorted({kept.annotator for kept, _ in self._kept})[:20],
            }
            await record(connection, who, "labels.imported", "", None, details)
        listed = [
            (kept, details)
            for kept, details in self._kept
            if self._is_given_here or details["before"] or details.get("gold_before")
        ]
        teams = await read_teams(connection, {kept.incident_id for kept, _ in listed})
        for kept, details in listed:
            action = "label.adjudicated" if kept.is_adjudication else "label.given"
            team = teams.get(kept.incident_id, DEFAULT_TEAM)
            await record(connection, who, action, team, kept.incident_id, details)
