"""What can go wrong with a call: one class for each kind, made from the service's problem document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from triage.domain.errors import TriageError

_PREFIX = "urn:triage:problem:"


class ServiceError(TriageError):
    """The service refused a call or failed on it.

    `status` and `title` are the service's. `kind` is a stable name for programs, for example `unknown_label`, or
    `about:blank` if the status says it all. `errors` names each wrong field with its message, `data` has everything
    else of the problem document, and `retry_after_s` is how long the service asks to wait.
    """

    def __init__(
        self, status: int, title: str, detail: str, problem: Mapping[str, Any], retry_after_s: float | None = None
    ) -> None:
        super().__init__(detail, **{name: value for name, value in problem.items() if name != "detail"})
        self.status = status
        self.title = title
        self.errors: tuple[Mapping[str, Any], ...] = tuple(problem.get("errors", ()))
        self.retry_after_s = retry_after_s
        self._kind = str(problem.get("type", "about:blank")).removeprefix(_PREFIX)

    @property
    def kind(self) -> str:
        return self._kind

    def __str__(self) -> str:
        return f"{self.status} {self.title}: {self.detail}"


class Invalid(ServiceError):
    """The request is not valid, too large, or of an unsupported media type."""


class NotAllowed(ServiceError):
    """The key is missing or wrong, or doesn't allow this."""


class NotFound(ServiceError):
    """It doesn't exist, or no longer does."""


class Conflict(ServiceError):
    """The same id or key was used for something else before."""


class Outdated(ServiceError):
    """What should be changed has changed in the meantime: read it again."""


class Busy(ServiceError):
    """Too many requests, or something that the service needs is unavailable. The same call may succeed later."""


class TriageFailed(ServiceError):
    """The triage failed, and is not tried again."""


class Unreachable(TriageError):
    """The service could not be reached, or the connection broke off."""

    status = 503
    title = "The service can't be reached"


class NotFinished(TriageError):
    """The triage isn't done within the given time. It continues, and can be requested later."""

    status = 504
    title = "The triage is not done yet"


_BY_STATUS: Mapping[int, type[ServiceError]] = {
    401: NotAllowed,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    412: Outdated,
    429: Busy,
    503: Busy,
}


def error_of(status: int, title: str, problem: Mapping[str, Any], retry_after: str) -> ServiceError:
    """The error for a response with this status. `problem` is empty if the response had no problem document."""
    kind = str(problem.get("type", "")).removeprefix(_PREFIX)
    fallback = Invalid if status < 500 else ServiceError
    error = TriageFailed if kind == "triage_failed" else _BY_STATUS.get(status, fallback)
    detail = str(problem.get("detail") or f"The service answered {status} without a reason.")
    retry_after_s = float(retry_after) if retry_after.isdigit() and len(retry_after) < 6 else None
    return error(status, str(problem.get("title") or title), detail, problem, retry_after_s)
