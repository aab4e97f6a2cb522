"""Checks gates against a run. The interval decides, not the point, so too few cases never pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from triage.agreement.interval import RESAMPLES, Interval
from triage.domain.taxonomy import Taxonomy
from triage.evaluation.compare import Pair, difference, needed_for
from triage.evaluation.gate_rules import Gate
from triage.evaluation.journal import finished
from triage.evaluation.runs import Run
from triage.evaluation.scores import Scores

Status = Literal["passed", "failed", "inconclusive"]


class GateResult(BaseModel, frozen=True):
    """The result of one gate.

    `inconclusive` means that the interval contains the threshold. `needed` is the number of such cases that would
    decide, with a power of 80% if the metric stays the same. `flips` is the share of labels that change between repeats
    of the run; None without repeats.
    """

    gate: str
    status: Status
    explanation: str
    value: float | None = None
    interval: Interval | None = None
    n: int = 0
    needed: int | None = None
    flips: float | None = None


def check_gates(
    run: Run,
    taxonomy: Taxonomy,
    bases: Mapping[str, Run] | None = None,
    *,
    gates: Sequence[Gate] | None = None,
    resamples: int = RESAMPLES,
) -> list[GateResult]:
    """Check `gates` (default: the suite's). `bases` maps names in gates to the runs that they compare with."""
    scores = Scores.of_run(run, taxonomy)
    flips = scores.measure("flips.share", resamples=0).value if scores.n else None
    unfinished = len(run.records) - len(finished(run.records))
    results = []
    # Gates with the same base share the pair.
    pairs: dict[Path, Pair] = {}
    for gate in run.suite.parsed_gates if gates is None else gates:
        if gate.is_delta:
            base = (bases or {}).get(gate.base or "")
            result = _check_delta(gate, run, base, taxonomy, resamples, pairs)
        elif gate.metric in {"failed.count", "failed.share"}:
            share = unfinished if gate.metric == "failed.count" else unfinished / max(len(run.records), 1)
            result = _decided(gate, float(share), None, len(run.records))
        else:
            measured = scores.measure(gate.metric, resamples=resamples, seed=run.suite.seed)
            result = _judge(gate, measured.value, measured.interval, measured.n, measured.undefined)
        results.append(result.model_copy(update={"flips": flips}))
    return results


def _check_delta(
    gate: Gate, run: Run, base: Run | None, taxonomy: Taxonomy, resamples: int, pairs: dict[Path, Pair]
) -> GateResult:
    if base is None:
        return GateResult(
            gate=gate.text,
            status="inconclusive",
            explanation=f"There is no run {gate.base!r} to compare with: name one with `triage eval tag RUN "
            f"{gate.base}`, or give it with --base {gate.base}=FOLDER.",
        )
    pair = pairs.get(base.folder) or Pair.of(base, run, taxonomy)
    pairs[base.folder] = pair
    if not pair.ids:
        return GateResult(
            gate=gate.text, status="inconclusive", explanation=f"{base.folder.name} has no finished case in common."
        )
    found = difference(pair.base, pair.other, gate.metric, resamples=resamples, seed=run.suite.seed)
    result = _judge(gate, found.value, found.interval, found.n, found.undefined)
    changed = sum(before.predicted != after.predicted for before, after in map(pair.records, pair.ids))
    itself = (
        f"{pair.flips:.1%} of the labels change between repeats of one run"
        if pair.flips is not None
        else "how many would change by themselves is not measured: set `repeats: 2`"
    )
    more = f" {changed} of {len(pair.ids)} cases changed; {itself}."
    return result.model_copy(update={"explanation": result.explanation + more})


def _judge(gate: Gate, value: float | None, interval: Interval | None, n: int, undefined: str | None) -> GateResult:
    if value is None:
        return GateResult(
            gate=gate.text, status="inconclusive", n=n, explanation=f"{gate.metric} is undefined: {undefined}."
        )
    if interval is None or gate.bound == "point":
        return _decided(gate, value, interval, n)
    near, far = (interval.low, interval.high) if gate.wants_more else (interval.high, interval.low)
    needed = None
    if gate.bound == ("high" if gate.wants_more else "low"):
        status: Status = "passed" if gate.holds(far) else "failed"
        why = "the far end of the interval is compared"
    elif gate.holds(near):
        status, why = "passed", "the whole interval meets it"
    elif not gate.holds(far):
        status, why = "failed", "the whole interval misses it"
    else:
        status, needed = "inconclusive", needed_for(value - gate.threshold, interval, n)
        way = "is on the right side" if gate.holds(value) else "is on the wrong side"
        more = (
            f"too few cases: about {needed:,} like these would settle it"
            if needed
            else "the figure lies on the threshold itself, which no number of cases in reach can settle"
        )
        why = f"the figure {way}, but its interval holds the threshold; {more}"
    result = _decided(gate, value, interval, n)
    figure = f"{'delta.' * gate.is_delta}{gate.metric} {value:.3g} {interval} on {n} cases"
    return result.model_copy(update={"status": status, "explanation": f"{figure}: {why}.", "needed": needed})


def _decided(gate: Gate, value: float, interval: Interval | None, n: int) -> GateResult:
    explanation = f"{gate.metric} is {value:,.4g} on {n} cases."
    status: Status = "passed" if gate.holds(value) else "failed"
    return GateResult(gate=gate.text, status=status, value=value, interval=interval, n=n, explanation=explanation)
