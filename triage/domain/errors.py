"""Errors that users see. Each names its cause and the next step, and carries data for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class TriageError(Exception):
    """An error that a user can act on.

    `status` is the HTTP status, and `title` a short description of the kind of error. `data` holds fields for programs,
    such as the field, the label or the limit. `headers` belong in the HTTP response.
    """

    status = 400
    title = "The request cannot be served"
    headers: Mapping[str, str] = {}

    def __init__(self, detail: str, **data: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.data = data

    @property
    def kind(self) -> str:
        """The stable machine-readable name, such as `unknown_label`."""
        name = type(self).__name__
        return "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")


class InvalidInput(TriageError):
    """The input is invalid. `field` in the data names what to change."""

    status = 422
    title = "The input is not valid"

    def __init__(self, detail: str, *, field: str, **data: Any) -> None:
        super().__init__(detail, field=field, **data)


class InputTooLarge(InvalidInput):
    """The input is larger than a limit."""

    status = 413
    title = "The input is too large"


class NotFound(TriageError):
    """The resource does not exist, or no longer exists."""

    status = 404
    title = "Not found"


class Conflict(TriageError):
    """The id or key is already in use for something else."""

    status = 409
    title = "Conflict with what is stored"


class Outdated(TriageError):
    """The resource has changed since the client read it."""

    status = 412
    title = "It has changed meanwhile"


class MisconfiguredService(TriageError):
    """A setting, file or model weight is missing or wrong. The detail says which, and how to fix it."""

    status = 500
    title = "The service is not set up correctly"


class Overloaded(TriageError):
    """There is more work than capacity. `retry_after_s` in the data says when to retry, in seconds."""

    status = 503
    title = "Too much at a time"

    def __init__(self, detail: str, *, retry_after_s: float, **data: Any) -> None:
        super().__init__(detail, retry_after_s=retry_after_s, **data)


class ModelUnavailable(TriageError):
    """The chat model or the embedder gave no usable answer before the deadline."""

    status = 503
    title = "The model is unavailable"


class UnusableAnswer(ModelUnavailable):
    """The chat model's answers held no label of the taxonomy, after all retries."""

    title = "The model gave no usable answer"
