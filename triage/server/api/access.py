"""What a caller needs for an endpoint. Every endpoint says so in one line, or the app does not start.

    @router.get("/things", dependencies=[requires("read")])
    async def list_things(service: Parts) -> Response: ...

or, where the endpoint wants to know who asks (a `Reader`, `Poster`, `Annotator` or `Administrator`):

    @router.get("/things")
    async def list_things(service: Parts, who: Reader) -> Response:
        return answer(await service.store.things(teams=who.teams))

An endpoint whose path has `{incident_id}` is guarded against other teams' incidents by that line alone: for them the
answer is the one for an id that is not there. What lists or searches has to pass `who.teams` on (None: all teams).
What shows figures over all teams takes `requires("read", all_teams=True)`: keys that are limited to teams get 403.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import RouteContext, iter_route_contexts

from triage.domain.errors import NotFound
from triage.domain.principal import Forbidden, Principal, Scope, act_as
from triage.server.api.problems import documented
from triage.server.api.service import Service

OPEN = frozenset({"/healthz", "/readyz", "/docs", "/openapi.json", "/v1/webhooks/{source_id}"})
"""What can be asked without a key. `/readyz` then tells no details, and a webhook has its own signature."""

SCHEMES: Mapping[str, Any] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer triage_...`"},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}


@dataclass(frozen=True)
class Allowed:
    """Lets a request through whose key has `scope`, and with `all_teams` one that is not limited to teams.

    Raises `Unauthenticated`, `Forbidden`, `TooManyRequests`, and `NotFound` for an incident of another team.
    """

    scope: Scope
    all_teams: bool = False

    async def __call__(self, request: Request) -> Principal:
        """Who asks."""
        service: Service = request.app.state.service
        who = await service.keyring.identify(request)
        request.state.principal = who
        act_as(who.name if who.key_id is None else f"key:{who.key_id} {who.name}")
        if not who.may(self.scope):
            error = Forbidden(
                f"This needs a key with scope {self.scope!r}.", scope=self.scope, scopes=sorted(who.scopes)
            )
            error.headers = {
                "WWW-Authenticate": f'Bearer realm="triage", error="insufficient_scope", scope="{self.scope}"'
            }
            raise error
        if self.all_teams and who.teams is not None:
            raise Forbidden(
                "This is about all teams together, and the key is limited to some.", teams=sorted(who.teams)
            )
        incident_id = request.path_params.get("incident_id")
        if who.teams is not None and incident_id is not None:
            await check_team(service, who, incident_id)
        return who


def requires(scope: Scope, *, all_teams: bool = False) -> Any:
    """The dependency of an endpoint that needs this scope."""
    return Depends(Allowed(scope, all_teams))


Reader = Annotated[Principal, Depends(Allowed("read"))]
Poster = Annotated[Principal, Depends(Allowed("triage"))]
Annotator = Annotated[Principal, Depends(Allowed("annotate"))]
Administrator = Annotated[Principal, Depends(Allowed("admin"))]


async def check_team(service: Service, who: Principal, incident_id: str) -> None:
    """Raise `NotFound`, as for an id that is not there, if the incident is of a team that `who` does not see."""
    team = await service.store.team_of(incident_id)
    if team is None or not who.sees(team):
        raise NotFound(f"There is no incident {incident_id!r}.", incident_id=incident_id)


async def is_known(request: Request) -> bool:
    """True if no key is needed, or a valid one, or a session, came with it. Raises as `Keyring.identify` does."""
    service: Service = request.app.state.service
    if service.keyring.is_on and not service.keyring.is_given(request):
        return False
    await service.keyring.identify(request)
    return True


def declared(app: FastAPI) -> Iterator[tuple[RouteContext, Allowed | None]]:
    """Every route of the app with what it needs; None where it says nothing."""
    for route in iter_route_contexts(app.routes):
        dependant = getattr(route, "dependant", None)
        yield route, None if dependant is None else _find(dependant)


def check(app: FastAPI, also_open: frozenset[str] = frozenset()) -> None:
    """Raise if any route forgot to say what it needs. `also_open` are further ones that need nothing."""
    is_open = OPEN | also_open
    forgotten = [str(route.path) for route, need in declared(app) if need is None and route.path not in is_open]
    if forgotten:
        raise RuntimeError(f"These endpoints say no scope, see triage/server/api/access.py: {', '.join(forgotten)}")


def describe(app: FastAPI, schema: dict[str, Any]) -> None:
    """Add keys, scopes and what is answered without them to the OpenAPI description."""
    schema.setdefault("components", {})["securitySchemes"] = dict(SCHEMES)
    for route, need in declared(app):
        operations = schema["paths"].get(route.path, {})
        for method in route.methods or ():
            operation = operations.get(method.lower())
            if operation is None or need is None:
                continue
            operation["security"] = [{name: []} for name in SCHEMES]
            operation["x-scope"] = need.scope
            for status, entry in documented(401, 403, 429).items():
                operation["responses"].setdefault(str(status), entry)


def _find(dependant: Dependant) -> Allowed | None:
    for each in dependant.dependencies:
        found = each.call if isinstance(each.call, Allowed) else _find(each)
        if found is not None:
            return found
    return None
