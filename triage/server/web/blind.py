"""What is somebody's to label blind: the pages withhold what the triage and others say of it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from fastapi import Depends, Request

from triage.domain.errors import TriageError
from triage.domain.principal import Forbidden, Principal
from triage.labels.annotation_job.draft import Corrections
from triage.server.api.parameters import IncidentInPath
from triage.server.api.service import Parts, Service
from triage.server.web.annotator import annotator_of
from triage.server.web.words import incident_path


class YoursToLabelBlind(TriageError):
    """A page that would tell an annotator what they have yet to label blind."""

    status = 403
    title = "This incident is yours to label blind"


async def to_label_blind(
    request: Request, service: Service, incident_ids: Collection[str] | None = None
) -> Collection[str]:
    """Those of the incidents (None: of all) that the annotator has yet to label blind."""
    annotator = annotator_of(request)
    return await service.labelling.waiting(annotator, incident_ids, blind=True) if annotator else ()


async def is_withheld(request: Request, service: Service, incident_id: str, *, see: bool) -> bool:
    """True for what the annotator has yet to label blind, unless they want to `see` it, which is kept for good."""
    if incident_id not in await to_label_blind(request, service, [incident_id]):
        return False
    if see:
        await Corrections(service.casebook, service.store).show(incident_id, annotator_of(request))
    return not see


async def _require_seen(request: Request, service: Parts, incident_id: IncidentInPath, see: bool = False) -> None:
    who: Principal = request.state.principal
    if not who.may("read"):
        raise Forbidden("This needs a key with scope 'read'.", scope="read", scopes=sorted(who.scopes))
    if await is_withheld(request, service, incident_id, see=see):
        raise YoursToLabelBlind(
            f"What the triage and others say of {incident_id!r} is shown once you have labelled it, at /label. If you "
            f"need it now, see it at {incident_path(incident_id)}?see=true: what you label then counts as given with "
            "the triage before you.",
            incident_id=incident_id,
        )


TELLS: Any = Depends(_require_seen)
"""The dependency, behind `requires`, of all that tells of the incident in the path what the triage or people say.

Raises `Forbidden` without scope `read`, and `YoursToLabelBlind`.
"""
