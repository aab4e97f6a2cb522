"""Live agreement over HTTP: as JSON, and as metrics for Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Response

from triage.insights.live_agreement import LiveReport
from triage.server.api.access import requires
from triage.server.api.answers import answer
from triage.server.api.examples import AGREEMENT, METRICS
from triage.server.api.problems import documented
from triage.server.api.service import Parts

router = APIRouter()


@router.get(
    "/v1/agreement",
    tags=["agreement"],
    operation_id="get_agreement",
    response_model=LiveReport,
    dependencies=[requires("read", all_teams=True)],
    responses={200: {"content": {"application/json": {"example": AGREEMENT}}}, **documented(500)},
)
async def get_agreement(service: Parts) -> Response:
    """Compare the deployed model's labels with people's confirmations and corrections, over a sliding window.

    For each facet: kappa with its interval, how many incidents people labelled, whether the model's labels shifted
    against the period before, and alerts in words. It is computed anew at most once a minute, unless set otherwise.
    """
    return answer(await service.live.report())


@router.get(
    "/metrics",
    tags=["service"],
    operation_id="metrics",
    response_class=Response,
    dependencies=[requires("read", all_teams=True)],
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}, "example": METRICS}}}},
)
async def metrics(service: Parts) -> Response:
    """Give metrics in the Prometheus text format: the service's, and live agreement.

    A figure that does not exist has no sample.
    """
    from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

    await service.metrics.workload.refresh(service.store.workload, service.casebook.index_size)
    told = service.metrics.exposition() + exposition(await service.live.report())
    return Response(told, media_type=CONTENT_TYPE_PLAIN_0_0_4)


def exposition(report: LiveReport) -> bytes:
    """A report in the Prometheus text format."""
    from prometheus_client import CollectorRegistry, Gauge, generate_latest

    # A registry of its own: nothing of an earlier report, or of the process, is left in it.
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


_GAUGES = {
    "triage_live_kappa": "Cohen's kappa of the deployed model's labels and people's, over the window.",
    "triage_live_kappa_low": "Lower end of kappa's 95% interval.",
    "triage_live_kappa_high": "Upper end of kappa's 95% interval.",
    "triage_live_kappa_n": "Labels of people that kappa rests on.",
    "triage_live_kappa_unseen": "Kappa on labels of people known not to have seen the model's.",
    "triage_live_kappa_unseen_n": "Labels that this kappa rests on.",
    "triage_live_coverage": "Share of the window's triaged incidents that a person labelled.",
    "triage_label_drift_p": "p-value of a shift of the model's labels against the period before.",
    "triage_label_drift_psi": "Population stability index of the model's labels against the period before.",
    "triage_live_alert": "1 if kappa is wholly below its gate or the labels drifted, else 0.",
}
