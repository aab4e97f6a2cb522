"""What a span costs while nobody traces, and while somebody does.

python -m evals.bench.spans
"""

from __future__ import annotations

import argparse
import timeit
from collections.abc import Sequence

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from triage.observability import spans


class Nowhere(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:  # noqa: ARG002 - its interface
        return SpanExportResult.SUCCESS


def one() -> None:
    with spans.span("step"):
        pass


def seconds(times: int) -> float:
    return min(timeit.repeat(one, number=times, repeat=5)) / times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20_000)
    options = parser.parse_args()
    print(f"off: {seconds(options.times) * 1e9:.0f} ns a span")
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    spans.switch_on(provider)
    print(f"on: {seconds(options.times) * 1e6:.1f} us a span, without sending it")
    spans.switch_off()
    provider.shutdown()


if __name__ == "__main__":
    main()
