"""What one recording of labels changes, for the audit log."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from triage.domain.annotation import Annotation
from triage.domain.principal import DEFAULT_TEAM, actor
from triage.store.annotations import of_facet
from triage.store.audit import write_audit
from triage.store.incidents import read_teams


class LabelChanges:
    """Collects stored labels with the labels before them, and writes them to the audit log.

    Labels that people give in the service get an entry each. An import gets one entry as a whole, and one for each
    label or gold label that it changes.
    """

    def __init__(self, current: Iterable[Annotation], imported: Collection[str], *, is_interactive: bool) -> None:
        self._gold: dict[tuple[str, str], tuple[str, ...]] = {}
        # The same order as in `Gold`: a person's before any other, then the newest.
        for annotation in sorted(current, key=lambda a: (a.origin == "human", a.id or 0)):
            if annotation.is_gold:
                self._gold[of_facet(annotation)] = annotation.labels
        self._imported = len(imported)
        self._is_interactive = is_interactive
        self._changes: list[tuple[Annotation, dict[str, Any]]] = []

    def add(self, before: Annotation | None, after: Annotation) -> None:
        """An annotation is stored; `before` is its annotator's previous one."""
        gold = self._gold.get(of_facet(after))
        details: dict[str, Any] = {
            "facet": after.facet,
            "annotator": after.annotator,
            "before": None if before is None else list(before.labels),
            "after": list(after.labels),
        }
        if after.is_gold or (before is not None and before.is_gold):
            details |= {"gold_before": None if gold is None else list(gold), "is_gold": after.is_gold}
        if after.is_gold:
            self._gold[of_facet(after)] = after.labels
        self._changes.append((after, details))

    async def write(self, connection: AsyncConnection) -> None:
        """Write the entries, in the transaction that stores the labels."""
        if not self._is_interactive and (self._changes or self._imported):
            details = {
                "incidents": self._imported,
                "labels": len(self._changes),
                "annotators": sorted({annotation.annotator for annotation, _ in self._changes})[:20],
            }
            await write_audit(connection, actor(), "labels.imported", "", None, details)
        listed = [
            (annotation, details)
            for annotation, details in self._changes
            if self._is_interactive or details["before"] or details.get("gold_before")
        ]
        teams = await read_teams(connection, {annotation.incident_id for annotation, _ in listed})
        for annotation, details in listed:
            action = "label.adjudicated" if annotation.is_adjudication else "label.given"
            team = teams.get(annotation.incident_id, DEFAULT_TEAM)
            await write_audit(connection, actor(), action, team, annotation.incident_id, details)
