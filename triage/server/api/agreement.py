"""Live agreement of the model with people over HTTP, as JSON and beside the service's own metrics for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Response

from triage.insights.live_agreement import LiveReport
from triage.server.api.access import requires
from triage.server.api.answers import answer
from triage.server.api.service import Parts

router = APIRouter()

EXAMPLE = {
    "computed_at": "2026-03-02T12:00:00Z",
    "taxonomy": "llm_inference 1.0.0",
    "window_days": 30,
    "window_cases": 500,
    "gate": 0.6,
    "facets": [
        {
            "facet": "category",
            "kappa": {
                "value": 0.47,
                "n": 64,
                "observed": 0.61,
                "expected": 0.264,
                "interval": {"low": 0.32, "high": 0.58, "confidence": 0.95, "resamples": 10000},
            },
            "unseen": {
                "value": 0.41,
                "n": 31,
                "observed": 0.55,
                "expected": 0.237,
                "interval": {"low": 0.19, "high": 0.61, "confidence": 0.95, "resamples": 10000},
            },
            "abstained": 3,
            "coverage": {"hits": 61, "n": 210},
            "state": "below",
            "drift": {"recent": 210, "reference": 198, "p": 0.41, "psi": 0.02},
            "alerts": ["category: kappa of model and people is 0.47 [0.32, 0.58] on 64 labels, wholly below the gate."],
        }
    ],
    "note": "People choose which incidents they label: read kappa beside the coverage.",
}
_METRICS_EXAMPLE = """\
# HELP triage_live_kappa Cohen's kappa between the deployed model's labels and people's, over the window.
# TYPE triage_live_kappa gauge
triage_live_kappa{facet="category"} 0.47
"""
_GAUGES = {
    "triage_live_kappa": "Cohen's kappa between the deployed model's labels and people's, over the window.",
    "triage_live_kappa_low": "Lower end of kappa's 95% interval.",
    "triage_live_kappa_high": "Upper end of kappa's 95% interval.",
    "triage_live_kappa_n": "People's labels behind kappa.",
    "triage_live_kappa_unseen": "Kappa on labels of people known not to have seen the model's.",
    "triage_live_kappa_unseen_n": "Labels behind this kappa.",
    "triage_live_coverage": "Share of the window's triaged incidents that a person labelled.",
    "triage_label_drift_p": "p-value of a shift of the model's labels against the previous period.",
    "triage_label_drift_psi": "Population stability index of the model's labels against the previous period.",
    "triage_live_alert": "1 if kappa is wholly below its gate or the labels drifted, else 0.",
}


@router.get(
    "/v1/agreement",
    tags=["agreement"],
    response_model=LiveReport,
    dependencies=[requires("read", all_teams=True)],
    responses={200: {"content": {"application/json": {"example": EXAMPLE}}}},
)
async def get_agreement(service: Parts) -> Response:
    """Compare the deployed model's labels with people's confirmations and corrections, over a sliding window.

    For each facet: kappa with its interval, how many incidents people labelled, whether the model's labels shifted
    against the previous period, and alerts. By default it is computed at most once a minute.
    """
    return answer(await service.live.report())


@router.get(
    "/metrics",
    tags=["service"],
    response_class=Response,
    dependencies=[requires("read", all_teams=True)],
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}, "example": _METRICS_EXAMPLE}}}},
)
async def metrics(service: Parts) -> Response:
    """Get the service's metrics and live agreement in the Prometheus text format.

    A figure that does not exist has no sample.
    """
    from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

    await service.metrics.workload.refresh(service.store.get_workload, service.casebook.history.size)
    content = service.metrics.exposition() + _exposition(await service.live.report())
    return Response(content, media_type=CONTENT_TYPE_PLAIN_0_0_4)


def _exposition(report: LiveReport) -> bytes:
    from prometheus_client import CollectorRegistry, Gauge, generate_latest

    # A new registry, so that nothing of an earlier report is left in it.
    registry = CollectorRegistry()
    gauges = {name: Gauge(name, about, ["facet"], registry=registry) for name, about in _GAUGES.items()}
    for facet in report.facets:
        kappa, unseen, interval = facet.kappa, facet.unseen, facet.kappa.interval
        values = {
            "triage_live_kappa": kappa.value,
            "triage_live_kappa_low": interval.low if interval else None,
            "triage_live_kappa_high": interval.high if interval else None,
            "triage_live_kappa_n": kappa.n,
            "triage_live_kappa_unseen": unseen.value,
            "triage_live_kappa_unseen_n": unseen.n,
            "triage_live_coverage": facet.coverage.share,
            "triage_label_drift_p": facet.drift.p,
            "triage_label_drift_psi": facet.drift.psi,
            "triage_live_alert": float(bool(facet.alerts)),
        }
        for name, value in values.items():
            if value is not None:
                gauges[name].labels(facet=facet.facet).set(value)
    computed = Gauge("triage_live_computed_seconds", "When these figures were computed, Unix time.", registry=registry)
    computed.set(report.computed_at.timestamp())
    return generate_latest(registry)
