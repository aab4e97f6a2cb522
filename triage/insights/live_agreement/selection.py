"""Whose words count, and of which time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from triage.store import Judgement

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


class Selection(NamedTuple):
    """The judgements of the last `days` (None: all there are) on incidents of these `teams` (None: of all).

    With `annotator` only this person's, and with `unseen` only those of people known not to have seen the model's
    labels before giving their own.
    """

    days: int | None = 90
    annotator: str | None = None
    unseen: bool = False
    teams: frozenset[str] | None = None

    def since(self, now: datetime) -> datetime:
        """When the window begins."""
        return _BEGINNING if self.days is None else now - timedelta(days=self.days)

    def of(self, judged: Sequence[Judgement]) -> list[Judgement]:
        """Those of `judged` that count, whoever gave them: people can only be held against others."""
        return [one for one in judged if not self.unseen or one.saw_model is False]

    def with_model(self, judged: Sequence[Judgement]) -> list[Judgement]:
        """Those of `judged` that count and that the model can be held against."""
        return [
            one
            for one in self.of(judged)
            if one.triaged is not None and (self.annotator is None or one.annotator == self.annotator)
        ]
