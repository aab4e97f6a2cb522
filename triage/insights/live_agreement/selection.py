"""Which judgements count: time, teams, person, and whether the model's labels were seen."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from triage.store import Judgement

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class Selection(NamedTuple):
    """The judgements of the last `days` (None: all) on incidents of these `teams` (None: all).

    With `annotator`, only this person's; with `unseen`, only those of people known not to have seen the model's labels.
    """

    days: int | None = 90
    annotator: str | None = None
    unseen: bool = False
    teams: frozenset[str] | None = None

    def since(self, now: datetime) -> datetime:
        """The start of the window."""
        return _BEGINNING if self.days is None else now - timedelta(days=self.days)

    def of(self, judged: Sequence[Judgement]) -> list[Judgement]:
        """The judgements that count, from everyone: people can only be compared with others."""
        return [judgement for judgement in judged if not self.unseen or judgement.saw_model is False]

    def with_model(self, judged: Sequence[Judgement]) -> list[Judgement]:
        """The judgements that count and that the model can be compared with."""
        return [
            judgement
            for judgement in self.of(judged)
            if judgement.triaged is not None and (self.annotator is None or judgement.annotator == self.annotator)
        ]
