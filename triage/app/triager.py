"""Triage from Python, in five lines."""

from __future__ import annotations

from datetime import datetime
from types import TracebackType
from typing import Self

from triage.app.settings import Settings
from triage.app.wiring.components import Components, open_components
from triage.domain.errors import TriageError
from triage.domain.incident import Incident, content_id
from triage.domain.triage_result import Triage
from triage.observability.progress import Progress, silent


class Triager:
    """`async with Triager() as triager: result = await triager.triage("the write-up")`. Nothing is stored."""

    def __init__(self, settings: Settings | None = None, progress: Progress = silent) -> None:
        self._context = open_components(settings or Settings(), progress)
        self._components: Components | None = None

    async def __aenter__(self) -> Self:
        self._components = await self._context.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._components = None
        await self._context.__aexit__(kind, error, traceback)

    async def triage(self, incident: Incident | str, *, as_of: datetime | None = None) -> Triage:
        """Triage an incident or a plain write-up; with `as_of`, with what was known at that moment."""
        if self._components is None:
            raise TriageError("Use Triager as a context manager: `async with Triager() as triager: ...`.")
        if isinstance(incident, str):
            incident = Incident(id=content_id("", incident), write_up=incident)
        return (await self._components.pipeline.run(incident, as_of=as_of)).triage
