"""Trace spans. They cost next to nothing while tracing is off: OpenTelemetry is not imported before `switch_on`.

Spans hold durations, outcomes and figures. They hold text of write-ups only if the operator turned on content, and
the class of an error, not its message, because messages quote their input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import Span as RecordedSpan
    from opentelemetry.trace import Tracer, TracerProvider

Kind = Literal["internal", "server", "client", "consumer"]
Value = str | bool | int | float | Sequence[str]


class Span:
    """A span that is not recorded. Check `is_recorded` before computing an expensive attribute."""

    is_recorded = False

    def set(self, attributes: Mapping[str, Value | None]) -> None:
        """Set attributes; those that are None are left out."""

    def event(self, name: str, attributes: Mapping[str, Value | None]) -> None:
        """Add an event that happens now."""

    def fail(self, kind: str) -> None:
        """Mark the span as failed; `kind` becomes its `error.type`."""

    def rename(self, name: str) -> None:
        """Change the span's name."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class _Switch:
    """The recorder of this process's spans. It is global, like OpenTelemetry's own provider."""

    tracer: Tracer | None = None
    keeps_content = False


_UNRECORDED = Span()


def switch_on(provider: TracerProvider, *, keeps_content: bool = False) -> None:
    """Record spans with `provider`; with `keeps_content` also prompts and answers."""
    _Switch.tracer = provider.get_tracer("triage")
    _Switch.keeps_content = keeps_content


def switch_off() -> None:
    """Stop recording spans."""
    _Switch.tracer = None
    _Switch.keeps_content = False


def is_on() -> bool:
    """True if spans are recorded."""
    return _Switch.tracer is not None


def keeps_content() -> bool:
    """True if spans include prompts and answers."""
    return _Switch.keeps_content


def span(
    name: str,
    attributes: Mapping[str, Value | None] | None = None,
    *,
    kind: Kind = "internal",
    carrier: Mapping[str, str] | None = None,
) -> Span:
    """A span for a `with` block. Its parent is the current span or, with a W3C Trace Context `carrier`, that one."""
    if _Switch.tracer is None:
        return _UNRECORDED
    return _Recorded(_Switch.tracer, name, attributes or {}, kind, carrier)


def current() -> Span:
    """The current span."""
    if _Switch.tracer is None:
        return _UNRECORDED
    from opentelemetry import trace

    return _Open(trace.get_current_span())


def current_context() -> Context | None:
    """The current context, to pass to a job so that its spans join this trace; None if tracing is off."""
    if _Switch.tracer is None:
        return None
    from opentelemetry import context

    return context.get_current()


def current_ids() -> dict[str, str]:
    """`trace_id` and `span_id` of the current span in hexadecimal; empty without one."""
    if _Switch.tracer is None:
        return {}
    from opentelemetry import trace

    ids = trace.get_current_span().get_span_context()
    if not ids.is_valid:
        return {}
    return {"trace_id": trace.format_trace_id(ids.trace_id), "span_id": trace.format_span_id(ids.span_id)}


class _Open(Span):
    """A recorded span that other code started."""

    is_recorded = True

    def __init__(self, span: RecordedSpan) -> None:
        self._span = span

    def set(self, attributes: Mapping[str, Value | None]) -> None:
        self._span.set_attributes(_present(attributes))

    def event(self, name: str, attributes: Mapping[str, Value | None]) -> None:
        self._span.add_event(name, _present(attributes))

    def fail(self, kind: str) -> None:
        from opentelemetry.trace import StatusCode

        self._span.set_attribute("error.type", kind)
        self._span.set_status(StatusCode.ERROR)

    def rename(self, name: str) -> None:
        self._span.update_name(name)


class _Recorded(_Open):
    """A span that lasts for a `with` block."""

    def __init__(
        self,
        tracer: Tracer,
        name: str,
        attributes: Mapping[str, Value | None],
        kind: Kind,
        carrier: Mapping[str, str] | None,
    ) -> None:
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        parent = None if carrier is None else TraceContextTextMapPropagator().extract(carrier)
        span = tracer.start_span(name, parent, trace.SpanKind[kind.upper()], _present(attributes))
        super().__init__(span)
        self._use: AbstractContextManager[Any] = trace.use_span(
            span, end_on_exit=True, record_exception=False, set_status_on_exception=False
        )

    def __enter__(self) -> Self:
        self._use.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.fail(kind.__name__)
        self._use.__exit__(kind, error, trace)


def _present(attributes: Mapping[str, Value | None]) -> dict[str, Value]:
    return {name: value for name, value in attributes.items() if value is not None}
