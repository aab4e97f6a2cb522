"""Spans of a trace, at next to no cost while nobody traces: nothing of OpenTelemetry is imported before `switch_on`.

A span tells how long something took, how it ended and in what numbers; never what a write-up says, unless the operator
asked for content. An error leaves its kind, not its message: messages quote.
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
    """A span that nobody records. `is_recorded` says whether it is worth the trouble to work out an attribute."""

    is_recorded = False

    def set(self, attributes: Mapping[str, Value | None]) -> None:
        """Keep attributes; those that are None are left out."""

    def event(self, name: str, attributes: Mapping[str, Value | None]) -> None:
        """Keep that something happened now."""

    def fail(self, kind: str) -> None:
        """Mark the span as failed, by a short word for the kind of failure."""

    def rename(self, name: str) -> None:
        """Give the span another name, once more is known."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class _Switch:
    """Who records the spans of this process; like OpenTelemetry's own provider there is one."""

    tracer: Tracer | None = None
    keeps_content = False


_NOBODY = Span()


def switch_on(provider: TracerProvider, *, keeps_content: bool = False) -> None:
    """Record spans with `provider`; with `keeps_content` also what models are asked and what they answer."""
    _Switch.tracer = provider.get_tracer("triage")
    _Switch.keeps_content = keeps_content


def switch_off() -> None:
    """Record no more spans."""
    _Switch.tracer = None
    _Switch.keeps_content = False


def is_on() -> bool:
    """True if spans are recorded."""
    return _Switch.tracer is not None


def keeps_content() -> bool:
    """True if the operator wants prompts and answers in the spans."""
    return _Switch.keeps_content


def span(
    name: str,
    attributes: Mapping[str, Value | None] | None = None,
    *,
    kind: Kind = "internal",
    carrier: Mapping[str, str] | None = None,
) -> Span:
    """A span for a `with` block, within the one that is open; with a `carrier` (W3C Trace Context) within that one."""
    if _Switch.tracer is None:
        return _NOBODY
    return _Recorded(_Switch.tracer, name, attributes or {}, kind, carrier)


def current() -> Span:
    """The span that is open."""
    if _Switch.tracer is None:
        return _NOBODY
    from opentelemetry import trace

    return _Open(trace.get_current_span())


def current_context() -> Context | None:
    """What a job is handed so that its spans join the trace that is open; None where there is none."""
    if _Switch.tracer is None:
        return None
    from opentelemetry import context

    return context.get_current()


def current_ids() -> dict[str, str]:
    """`trace_id` and `span_id` of the open span, as hexadecimal numbers; empty without one."""
    if _Switch.tracer is None:
        return {}
    from opentelemetry import trace

    about = trace.get_current_span().get_span_context()
    if not about.is_valid:
        return {}
    return {"trace_id": trace.format_trace_id(about.trace_id), "span_id": trace.format_span_id(about.span_id)}


class _Open(Span):
    """A span that is recorded and that others opened."""

    is_recorded = True

    def __init__(self, span: RecordedSpan) -> None:
        self._span = span

    def set(self, attributes: Mapping[str, Value | None]) -> None:
        self._span.set_attributes({name: value for name, value in attributes.items() if value is not None})

    def event(self, name: str, attributes: Mapping[str, Value | None]) -> None:
        self._span.add_event(name, {key: value for key, value in attributes.items() if value is not None})

    def fail(self, kind: str) -> None:
        from opentelemetry.trace import StatusCode

        self._span.set_attribute("error.type", kind)
        self._span.set_status(StatusCode.ERROR)

    def rename(self, name: str) -> None:
        self._span.update_name(name)


class _Recorded(_Open):
    """A span from the start of a `with` block to its end."""

    def __init__(
        self,
        tracer: Tracer,
        name: str,
        attributes: Mapping[str, Value | None],
        kind: Kind,
        carrier: Mapping[str, str] | None,
    ) -> None:
        from opentelemetry import trace

        span = tracer.start_span(
            name,
            _context(carrier) if carrier is not None else None,
            trace.SpanKind[kind.upper()],
            {key: value for key, value in attributes.items() if value is not None},
        )
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


def _context(carrier: Mapping[str, str]) -> Context:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract(carrier)
