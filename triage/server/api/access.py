"""What a caller needs for an endpoint. Every endpoint declares it in one line, or the app does not start.

    @router.get("/things", dependencies=[requires("read")])
    async def list_things(service: Parts) -> Response: ...

An endpoint that needs to know the caller takes a `Reader`, `Poster`, `Annotator` or `Administrator`:

    @router.get("/things")
    async def list_things(service: Parts, principal: Reader) -> Response:
        return answer(await service.store.things(teams=principal.teams))

The same line protects an endpoint whose path has `{incident_id}`: the incidents of other teams answer as missing ones.
An endpoint that lists or searches must pass on `principal.teams` (None: all teams). One that shows figures over all
teams takes `requires("read", all_teams=True)`: keys that are limited to teams get 403.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import RouteContext, iter_route_contexts

from triage.domain.errors import NotFound
from triage.domain.principal import Forbidden, Principal, Scope, act_as
from triage.server.api.service import Service

OPEN = frozenset({"/healthz", "/readyz", "/docs", "/openapi.json", "/v1/webhooks/{source_id}"})
"""Paths that need no key. `/readyz` then shows no details, and a webhook carries its own signature."""


@dataclass(frozen=True)
class Allowed:
    """Lets a request through if its key has `scope`, and with `all_teams` if it is not limited to teams.

    Raises `Unauthenticated`, `Forbidden`, `TooManyRequests`, and `NotFound` for an incident of another team.
    """

    scope: Scope
    all_teams: bool = False

    async def __call__(self, request: Request) -> Principal:
        """The caller."""
        service: Service = request.app.state.service
        principal = await service.authenticator.identify(request)
        request.state.principal = principal
        act_as(principal.name if principal.key_id is None else f"key:{principal.key_id} {principal.name}")
        if not principal.may(self.scope):
            error = missing_scope(principal, self.scope)
            error.headers = {
                "WWW-Authenticate": f'Bearer realm="triage", error="insufficient_scope", scope="{self.scope}"'
            }
            raise error
        if self.all_teams and principal.teams is not None:
            raise Forbidden("This covers all teams, and the key is limited to some.", teams=sorted(principal.teams))
        incident_id = request.path_params.get("incident_id")
        if principal.teams is not None and incident_id is not None:
            await _check_team(service, principal, incident_id)
        return principal


def requires(scope: Scope, *, all_teams: bool = False) -> Any:
    """The dependency of an endpoint that needs this scope."""
    return Depends(Allowed(scope, all_teams))


def missing_scope(principal: Principal, scope: Scope) -> Forbidden:
    """The error for a principal without this scope."""
    return Forbidden(f"This needs a key with scope {scope!r}.", scope=scope, scopes=sorted(principal.scopes))


Reader = Annotated[Principal, Depends(Allowed("read"))]
Poster = Annotated[Principal, Depends(Allowed("triage"))]
Annotator = Annotated[Principal, Depends(Allowed("annotate"))]
Administrator = Annotated[Principal, Depends(Allowed("admin"))]


async def is_known(request: Request) -> bool:
    """True if no key is needed, or a valid key or session came with the request. Raises as `identify` does."""
    service: Service = request.app.state.service
    if service.authenticator.is_on and not service.authenticator.has_credentials(request):
        return False
    await service.authenticator.identify(request)
    return True


def declared(app: FastAPI) -> Iterator[tuple[RouteContext, Allowed | None]]:
    """Every route of the app with what it needs; None if it declares nothing."""
    for route in iter_route_contexts(app.routes):
        dependant = getattr(route, "dependant", None)
        yield route, None if dependant is None else _find(dependant)


def check(app: FastAPI, also_open: frozenset[str] = frozenset()) -> None:
    """Raise if a route does not declare what it needs. `also_open` are further paths that need nothing."""
    is_open = OPEN | also_open
    missing = [str(route.path) for route, need in declared(app) if need is None and route.path not in is_open]
    if missing:
        raise RuntimeError(f"These endpoints declare no scope, see triage/server/api/access.py: {', '.join(missing)}")


async def _check_team(service: Service, principal: Principal, incident_id: str) -> None:
    team = await service.store.incidents.find_team(incident_id)
    if team is None or not principal.sees(team):
        raise NotFound(f"There is no incident {incident_id!r}.", incident_id=incident_id)


def _find(dependant: Dependant) -> Allowed | None:
    for each in dependant.dependencies:
        allowed = each.call if isinstance(each.call, Allowed) else _find(each)
        if allowed is not None:
            return allowed
    return None
