"""The adoption checklist, a section of the study: which steps of the method an installation has taken.

The method's paper, arXiv 2511.07424, comes with an adoption checklist. Its wording is not copied: the steps are those
of the method as this project carries it out, and each can be measured.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from pydantic import AwareDatetime, BaseModel

from triage.agreement.proportion import Proportion
from triage.domain.errors import TriageError
from triage.domain.taxonomy import Facet, Taxonomy
from triage.evaluation.archive import Archive
from triage.evaluation.suites import Suite
from triage.insights.ledger import Record
from triage.insights.live_agreement import LiveAgreement, LiveReport
from triage.insights.study.roles import Roles
from triage.labels.annotation_job.status import JobStatus, job_status
from triage.render.tables import Row, Table, columns_of
from triage.store import Store

SOURCE = (
    "After the adoption checklist of arXiv 2511.07424 (the paper this method follows); the steps and bars are this "
    "project's, in words of its own."
)


class Bars(NamedTuple):
    """The thresholds of the steps.

    The whole interval of kappa must reach `kappa`. `overlap` and `recorded` are shares of the history's incidents.
    The latest adjudication may be `review_days` old. `judgements` is how many human labels the drift watch needs in
    its window for each triaged facet.
    """

    kappa: float = 0.8
    overlap: float = 0.1
    least_overlap: int = 50
    recorded: float = 0.8
    review_days: float = 90.0
    judgements: int = 30


DEFAULT_BARS = Bars()


class EvalFolders(NamedTuple):
    """The folders of evaluation suites and of their runs."""

    suites: Path = Path("evals/suites")
    runs: Path = Path("runs")


class Gates(NamedTuple):
    """The number of suites, the names of those with gates, and the number and latest start of runs with gates."""

    suites: int
    with_gates: tuple[str, ...]
    runs: int
    latest: datetime | None


class Evidence(NamedTuple):
    """What the steps are measured on. `adjudicated` holds the times of all adjudications."""

    taxonomy: Taxonomy
    records: Sequence[Record]
    status: JobStatus
    adjudicated: Sequence[datetime]
    gates: Gates
    live: LiveReport
    roles: Roles


class ChecklistStep(BaseModel, frozen=True):
    """One step, the counts and dates behind its state, and the command to run next."""

    id: str
    title: str
    is_fulfilled: bool
    evidence: tuple[str, ...]
    next: str


class Checklist(BaseModel, frozen=True):
    """All steps in the recommended order."""

    measured_at: AwareDatetime
    taxonomy: str
    incidents: int
    steps: tuple[ChecklistStep, ...]
    source: str = SOURCE

    @property
    def is_fulfilled(self) -> bool:
        """True if every step is fulfilled."""
        return all(step.is_fulfilled for step in self.steps)


async def measure_checklist(
    store: Store,
    taxonomy: Taxonomy,
    live: LiveAgreement,
    roles: Roles,
    folders: EvalFolders,
    now: datetime,
    bars: Bars = DEFAULT_BARS,
) -> Checklist:
    """Measure every step as of `now`, on all that is stored and on the suites and runs in the folders."""
    annotations = await store.annotations.list_all(taxonomy.id)
    evidence = Evidence(
        taxonomy,
        await store.gold.list_incidents(),
        await job_status(store, taxonomy),
        [annotation.created_at for annotation in annotations if annotation.is_adjudication],
        await asyncio.to_thread(_read_gates, folders),
        await live.measure(now),
        roles,
    )
    return make_checklist(evidence, now, bars)


def _read_gates(folders: EvalFolders) -> Gates:
    """Read both folders; an unreadable suite counts as one without gates."""
    files = sorted([*folders.suites.glob("*.yaml"), *folders.suites.glob("*.yml")])
    with_gates = []
    for file in files:
        try:
            suite = Suite.load(file)
        except TriageError:
            continue
        if suite.gates:
            with_gates.append(suite.name)
    gated = [info for _, info in Archive(folders.runs).infos() if info.suite.gates]
    return Gates(len(files), tuple(with_gates), len(gated), max((info.started_at for info in gated), default=None))


def make_checklist(evidence: Evidence, now: datetime, bars: Bars = DEFAULT_BARS) -> Checklist:
    """Decide every step as of `now`."""
    taxonomy = evidence.taxonomy
    return Checklist(
        measured_at=now,
        taxonomy=f"{taxonomy.id} {taxonomy.version}",
        incidents=len(evidence.records),
        steps=(
            _versioned(evidence),
            _two_annotators(evidence, bars),
            _kappa(evidence, bars),
            _detection(evidence, bars),
            _times(evidence, bars),
            _mitigation(evidence, bars),
            _review(evidence, now, bars),
            _gates(evidence.gates),
            _live(evidence.live, bars),
        ),
    )


def checklist_table(checklist: Checklist) -> Table:
    """One row per step, with its evidence and the next command."""
    rows = tuple(
        Row((step.title, "done" if step.is_fulfilled else "open", "; ".join(step.evidence), step.next))
        for step in checklist.steps
    )
    caption = f"Taxonomy {checklist.taxonomy}, {checklist.incidents} incidents in the history. {checklist.source}"
    columns = columns_of("step | state | evidence | next")
    return Table("checklist", "Adoption checklist", caption, columns, rows, "Adoption checklist")


def _versioned(evidence: Evidence) -> ChecklistStep:
    taxonomy = evidence.taxonomy
    known = {facet.id: set(facet.ids) for facet in taxonomy.facets}
    unknown = sum(
        any(facet not in known or not set(ids) <= known[facet] for facet, ids in labels.items())
        for _, labels in evidence.records
    )
    return ChecklistStep(
        id="taxonomy_versioned",
        title="The taxonomy is versioned, and the history is labelled with this version's labels",
        is_fulfilled=bool(evidence.records) and not unknown,
        evidence=(
            f"{taxonomy.id} {taxonomy.version}, content {taxonomy.fingerprint}",
            f"{unknown} of {len(evidence.records)} incidents have a label that this version does not have",
        ),
        next="triage taxonomy diff OLD.yaml NEW.yaml; triage taxonomy migrate",
    )


def _two_annotators(evidence: Evidence, bars: Bars) -> ChecklistStep:
    people = sum(annotator.labels > 0 for annotator in evidence.status.annotators)
    both, n = evidence.status.overlap, len(evidence.records)
    return ChecklistStep(
        id="two_annotators",
        title=f"Two people labelled the same incidents: {bars.least_overlap} or more, and {bars.overlap:.0%} of all",
        is_fulfilled=both >= bars.least_overlap and both >= bars.overlap * n,
        evidence=(f"{people} people gave labels", f"{both} incidents labelled by two or more, of {n} in the history"),
        next="triage annotate assign",
    )


def _kappa(evidence: Evidence, bars: Bars) -> ChecklistStep:
    lines, reached = [], []
    for facet in evidence.taxonomy.triaged:
        pairs = [pair for pair in evidence.status.agreement if pair.facet == facet.id]
        # Take the pair with the most shared incidents: the best of several pairs would flatter.
        pair = max(pairs, key=lambda pair: pair.kappa.n, default=None)
        if pair is None:
            lines.append(f"{facet.id}: no two people labelled it")
            reached.append(False)
            continue
        kappa = pair.kappa
        lines.append(f"{facet.id}: kappa {kappa} of {' and '.join(pair.annotators)}, n = {kappa.n}")
        reached.append(kappa.interval is not None and kappa.interval.low >= bars.kappa)
    return ChecklistStep(
        id="kappa",
        title=f"People agree on every triaged facet: kappa's whole interval at {bars.kappa:.2f} or above",
        is_fulfilled=bool(reached) and all(reached),
        evidence=tuple(lines),
        next="triage annotate status; triage serve, and settle on the page /label/adjudicate",
    )


def _detection(evidence: Evidence, bars: Bars) -> ChecklistStep:
    role = evidence.roles.detection
    facet = None if role is None else evidence.roles.applied(evidence.taxonomy).facet(role.facet)
    count = sum(
        incident.detected_at is not None or (facet is not None and _discloses(facet, labels))
        for incident, labels in evidence.records
    )
    title = "It is recorded how or when incidents were detected"
    return _recorded("detection", title, {"told": count}, evidence, bars)


def _times(evidence: Evidence, bars: Bars) -> ChecklistStep:
    names = ("started_at", "detected_at", "mitigated_at")
    counts = {name: sum(getattr(i, name) is not None for i, _ in evidence.records) for name in names}
    return _recorded("times", "Start, detection and mitigation are recorded", counts, evidence, bars)


def _mitigation(evidence: Evidence, bars: Bars) -> ChecklistStep:
    facet = evidence.roles.mitigations(evidence.roles.applied(evidence.taxonomy))
    count = sum(facet is not None and _discloses(facet, labels) for _, labels in evidence.records)
    return _recorded("mitigation", "It is recorded what mitigated incidents", {"told": count}, evidence, bars)


def _recorded(name: str, title: str, counts: Mapping[str, int], evidence: Evidence, bars: Bars) -> ChecklistStep:
    n = len(evidence.records)
    return ChecklistStep(
        id=f"{name}_recorded",
        title=f"{title}: in {bars.recorded:.0%} of the history or more",
        is_fulfilled=n > 0 and all(count >= bars.recorded * n for count in counts.values()),
        evidence=tuple(f"{what}: {count} of {n}, {Proportion(hits=count, n=n)}" for what, count in counts.items()),
        next="triage import FILE.csv",
    )


def _discloses(facet: Facet, labels: Mapping[str, Sequence[str]]) -> bool:
    undisclosed = {label.id for label in facet.labels if label.undisclosed}
    return bool(set(labels.get(facet.id, ())) - undisclosed)


def _review(evidence: Evidence, now: datetime, bars: Bars) -> ChecklistStep:
    latest = max(evidence.adjudicated, default=None)
    days = None if latest is None else (now - latest) / timedelta(days=1)
    lines = [f"{len(evidence.adjudicated)} adjudications; {evidence.status.open} disagreements are open"]
    if latest is not None and days is not None:
        lines.append(f"the latest on {latest:%Y-%m-%d}, {days:.0f} days ago")
    return ChecklistStep(
        id="review_cadence",
        title=f"Disagreements are settled regularly: the latest within {bars.review_days:g} days",
        is_fulfilled=days is not None and days <= bars.review_days,
        evidence=tuple(lines),
        next="triage serve, and settle on the page /label/adjudicate",
    )


def _gates(gates: Gates) -> ChecklistStep:
    latest = "" if gates.latest is None else f", the latest on {gates.latest:%Y-%m-%d}"
    return ChecklistStep(
        id="gates",
        title="Suites have gates, and are run",
        is_fulfilled=bool(gates.with_gates) and gates.runs > 0,
        evidence=(
            f"{len(gates.with_gates)} of {gates.suites} suites have gates: {', '.join(gates.with_gates) or 'none'}",
            f"{gates.runs} runs of suites with gates{latest}",
        ),
        next="triage eval run SUITE.yaml && triage eval gate latest",
    )


def _live(live: LiveReport, bars: Bars) -> ChecklistStep:
    window = f"labels of people in the last {live.window_days:g} days"
    return ChecklistStep(
        id="live_watch",
        title=f"Drift is watched live: a gate is set, and {bars.judgements} labels of people on each facet",
        is_fulfilled=live.gate is not None
        and bool(live.facets)
        and all(facet.kappa.n >= bars.judgements for facet in live.facets),
        evidence=(
            "no gate is set" if live.gate is None else f"the gate is {live.gate:.2f}",
            *(f"{facet.facet}: {facet.kappa.n} {window}" for facet in live.facets),
        ),
        next="TRIAGE_LIVE_KAPPA_GATE=0.6 triage serve; triage live",
    )
