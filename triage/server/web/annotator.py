"""The annotator at the browser: their name, and the incidents that they have yet to label blind."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any
from urllib.parse import quote, unquote

from fastapi import Depends, Request, Response

from triage.domain.annotation import LONGEST_NAME, clean_name
from triage.domain.errors import InvalidInput, TriageError
from triage.domain.principal import Forbidden, Principal
from triage.labels.annotation_job.corrections import Corrections
from triage.server.api.parameters import IncidentInPath
from triage.server.api.service import Parts, Service
from triage.server.web.template_filters import incident_path

COOKIE = "triage_annotator"

_MAX_AGE_S = 365 * 86_400
_OF_MODELS = "model:"


class YoursToLabelBlind(TriageError):
    """The page would show an annotator the labels of an incident that they have yet to label blind."""

    status = 403
    title = "This incident is yours to label blind"


def annotator_of(request: Request) -> str:
    """The annotator's name: from the cookie, else from the key; empty if unknown."""
    name = getattr(request.state, "annotator", "") or _cleaned(unquote(request.cookies.get(COOKIE, "")))
    if name:
        return name
    principal: Principal | None = getattr(request.state, "principal", None)
    return principal.name if principal is not None and principal.key_id is not None else ""


def required_annotator(request: Request, typed: str = "") -> str:
    """The name `typed` on the page, else `annotator_of`. Raises `InvalidInput` if it is empty or a model's."""
    name = _cleaned(typed) or annotator_of(request)
    if not name:
        raise InvalidInput("Say who labels: type your name, or a name for yourself.", field="annotator")
    if name.startswith(_OF_MODELS):
        raise InvalidInput(
            f"Names that begin with {_OF_MODELS!r} are those of models: choose another.", field="annotator"
        )
    # So that the response to this request shows the name before the cookie is set.
    request.state.annotator = name
    return name


def remember_annotator(response: Response, name: str) -> None:
    """Keep the name in the browser for a year."""
    # Not "strict": the name must be known when a link from a chat opens an incident that is to be labelled blind.
    response.set_cookie(COOKIE, quote(name), max_age=_MAX_AGE_S, httponly=True, samesite="lax", path="/")


def forget_annotator(response: Response) -> None:
    """Delete the name from the browser."""
    response.delete_cookie(COOKIE, path="/")


async def to_label_blind(
    request: Request, service: Service, incident_ids: Collection[str] | None = None
) -> Collection[str]:
    """Those of the incidents (None: all) that the annotator has yet to label blind."""
    annotator = annotator_of(request)
    return await service.labelling.waiting(annotator, incident_ids, blind=True) if annotator else ()


async def is_withheld(request: Request, service: Service, incident_id: str, *, see: bool) -> bool:
    """True if the annotator has yet to label the incident blind.

    With `see` they want to see the triage now: this is recorded, and the result is False.
    """
    if incident_id not in await to_label_blind(request, service, [incident_id]):
        return False
    if see:
        await Corrections(service.casebook, service.store).show(incident_id, annotator_of(request))
    return not see


async def _require_seen(request: Request, service: Parts, incident_id: IncidentInPath, see: bool = False) -> None:
    principal: Principal = request.state.principal
    if not principal.may("read"):
        raise Forbidden("This needs a key with scope 'read'.", scope="read", scopes=sorted(principal.scopes))
    if await is_withheld(request, service, incident_id, see=see):
        raise YoursToLabelBlind(
            f"What the triage and others say of {incident_id!r} is shown once you have labelled it, at /label. If you "
            f"need it now, see it at {incident_path(incident_id)}?see=true: what you label then counts as given with "
            "the triage before you.",
            incident_id=incident_id,
        )


REVEALS_LABELS: Any = Depends(_require_seen)
"""The dependency, after `requires`, of routes that reveal the triage or labels of the incident in the path.

Raises `Forbidden` without scope `read`, and `YoursToLabelBlind`.
"""


def _cleaned(name: str) -> str:
    return clean_name(name)[:LONGEST_NAME]
