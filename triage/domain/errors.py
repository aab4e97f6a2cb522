"""The one family of errors that users meet: each names its cause and the next step, and carries data for machines."""

from __future__ import annotations

from typing import Any


class TriageError(Exception):
    """Something a user can act on.

    `status` is the HTTP status at the edge and `title` the short name of the kind of problem; `data` holds the
    fields that a program would want (the field, the label, the limit).
    """

    status = 400
    title = "The request cannot be served"

    def __init__(self, detail: str, **data: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.data = data

    @property
    def kind(self) -> str:
        """Stable machine-readable name, for example `unknown_label`."""
        name = type(self).__name__
        return "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")


class InvalidInput(TriageError):
    """Input that can't be accepted as it is; `field` in the data names what to change."""

    status = 422
    title = "The input is not valid"

    def __init__(self, detail: str, *, field: str, **data: Any) -> None:
        super().__init__(detail, field=field, **data)


class InputTooLarge(InvalidInput):
    """Input above a size limit."""

    status = 413
    title = "The input is too large"


class NotFound(TriageError):
    """Something that is not there (any more)."""

    status = 404
    title = "Not found"


class Conflict(TriageError):
    """The same id or key was used for something else before."""

    status = 409
    title = "Conflict with what is stored"


class Outdated(TriageError):
    """What a change was made for has changed since."""

    status = 412
    title = "It has changed meanwhile"


class MisconfiguredService(TriageError):
    """A setting, file or weight that is missing or wrong; the detail says which and how to mend it."""

    status = 500
    title = "The service is not set up correctly"


class Overloaded(TriageError):
    """More work than there is room for at the moment. `retry_after_s` in the data says when to come again."""

    status = 503
    title = "Too much at a time"

    def __init__(self, detail: str, *, retry_after_s: float, **data: Any) -> None:
        super().__init__(detail, retry_after_s=retry_after_s, **data)


class ModelUnavailable(TriageError):
    """The chat model or the embedder gave no usable answer within the deadline."""

    status = 503
    title = "The model is unavailable"


class UnusableAnswer(ModelUnavailable):
    """The chat model answered, in as many tries as it has, with something that is no label of the taxonomy."""

    title = "The model gave no usable answer"
