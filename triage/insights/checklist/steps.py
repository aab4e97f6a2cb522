"""The adoption checklist: which steps of the method a corpus fulfils, by what is counted in it.

The paper that the method follows, arXiv 2511.07424, comes with an adoption checklist. Its wording is not repeated here:
the steps are those of the method as this project carries it out, each one measurable.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from pydantic import AwareDatetime, BaseModel

from triage.agreement.proportion import Proportion
from triage.domain.taxonomy import Facet, Taxonomy
from triage.insights.ledger import Record
from triage.insights.live_agreement import LiveReport
from triage.insights.study import Roles
from triage.labels.annotation_job.status import JobStatus

SOURCE = (
    "After the adoption checklist of arXiv 2511.07424 (the paper this method follows); the steps and bars are this "
    "project's, in words of its own."
)


class Bars(NamedTuple):
    """What must be reached. `kappa` must lie below the whole interval; shares are of the history's incidents.

    `review_days` is how old the latest adjudication may be, `judgements` how many labels of people the drift watch
    needs in its window for each triaged facet.
    """

    kappa: float = 0.8
    overlap: float = 0.1
    least_overlap: int = 50
    recorded: float = 0.8
    review_days: float = 90.0
    judgements: int = 30


DEFAULT_BARS = Bars()


class Gates(NamedTuple):
    """Suites in a folder and how many have gates; runs of suites with gates in the archive, and the latest of them."""

    suites: int
    with_gates: tuple[str, ...]
    runs: int
    latest: datetime | None


class Corpus(NamedTuple):
    """What is measured. `gate` is the setting of the drift watch; `adjudicated` are the moments of adjudications.

    `roles` say which facets tell how incidents were detected and ended.
    """

    taxonomy: Taxonomy
    records: Sequence[Record]
    status: JobStatus
    adjudicated: Sequence[datetime]
    gates: Gates
    live: LiveReport
    roles: Roles


class Step(BaseModel, frozen=True):
    """One step: fulfilled or not, the counts and dates that say so, and the command that comes next."""

    id: str
    title: str
    is_fulfilled: bool
    evidence: tuple[str, ...]
    next: str


class Checklist(BaseModel, frozen=True):
    """All steps in the order in which they are best taken."""

    measured_at: AwareDatetime
    taxonomy: str
    incidents: int
    steps: tuple[Step, ...]
    source: str = SOURCE

    @property
    def is_fulfilled(self) -> bool:
        """True if every step is."""
        return all(step.is_fulfilled for step in self.steps)


def checklist(corpus: Corpus, now: datetime, bars: Bars = DEFAULT_BARS) -> Checklist:
    """Measure every step as of `now`."""
    steps = (
        _versioned(corpus),
        _two_annotators(corpus, bars),
        _kappa(corpus, bars),
        _detection(corpus, bars),
        _times(corpus, bars),
        _mitigation(corpus, bars),
        _review(corpus, now, bars),
        _gates(corpus.gates),
        _live(corpus.live, bars),
    )
    taxonomy = corpus.taxonomy
    return Checklist(
        measured_at=now,
        taxonomy=f"{taxonomy.id} {taxonomy.version}",
        incidents=len(corpus.records),
        steps=steps,
    )


def _versioned(corpus: Corpus) -> Step:
    taxonomy = corpus.taxonomy
    strange = sum(not _fits(labels, taxonomy) for _, labels in corpus.records)
    return Step(
        id="taxonomy_versioned",
        title="The taxonomy is versioned, and the history is labelled with this version's labels",
        is_fulfilled=bool(corpus.records) and not strange,
        evidence=(
            f"{taxonomy.id} {taxonomy.version}, content {taxonomy.fingerprint}",
            f"{strange} of {len(corpus.records)} incidents have a label that this version does not have",
        ),
        next="triage taxonomy diff OLD.yaml NEW.yaml; triage taxonomy migrate",
    )


def _fits(labels: Mapping[str, Sequence[str]], taxonomy: Taxonomy) -> bool:
    known = {facet.id: set(facet.ids) for facet in taxonomy.facets}
    return all(facet in known and set(ids) <= known[facet] for facet, ids in labels.items())


def _two_annotators(corpus: Corpus, bars: Bars) -> Step:
    people = sum(one.labels > 0 for one in corpus.status.annotators)
    both, n = corpus.status.overlap, len(corpus.records)
    enough = both >= bars.least_overlap and both >= bars.overlap * n
    return Step(
        id="two_annotators",
        title=f"Two people labelled the same incidents: {bars.least_overlap} or more, and {bars.overlap:.0%} of all",
        is_fulfilled=enough,
        evidence=(f"{people} people gave labels", f"{both} incidents labelled by two or more, of {n} in the history"),
        next="triage annotate assign",
    )


def _kappa(corpus: Corpus, bars: Bars) -> Step:
    evidence, held = [], []
    for facet in corpus.taxonomy.triaged:
        pairs = [pair for pair in corpus.status.agreement if pair.facet == facet.id]
        # The pair that shares most incidents says most; the best of several pairs would flatter.
        pair = max(pairs, key=lambda one: one.kappa.n, default=None)
        if pair is None:
            evidence.append(f"{facet.id}: no two people labelled it")
            held.append(False)
            continue
        kappa = pair.kappa
        evidence.append(f"{facet.id}: kappa {kappa} of {' and '.join(pair.annotators)}, n = {kappa.n}")
        held.append(kappa.interval is not None and kappa.interval.low >= bars.kappa)
    return Step(
        id="kappa",
        title=f"People agree on every triaged facet: kappa's whole interval at {bars.kappa:.2f} or above",
        is_fulfilled=bool(held) and all(held),
        evidence=tuple(evidence),
        next="triage annotate status; triage serve, and settle on the page /label/adjudicate",
    )


def _detection(corpus: Corpus, bars: Bars) -> Step:
    role = corpus.roles.detection
    facet = None if role is None else corpus.roles.applied(corpus.taxonomy).facet(role.facet)
    told = sum(
        incident.detected_at is not None or (facet is not None and _discloses(facet, labels))
        for incident, labels in corpus.records
    )
    return _recorded("detection", "It is recorded how or when incidents were detected", {"told": told}, corpus, bars)


def _times(corpus: Corpus, bars: Bars) -> Step:
    names = ("started_at", "detected_at", "mitigated_at")
    counts = {name: sum(getattr(i, name) is not None for i, _ in corpus.records) for name in names}
    return _recorded("times", "Start, detection and mitigation are recorded", counts, corpus, bars)


def _mitigation(corpus: Corpus, bars: Bars) -> Step:
    facet = corpus.roles.mitigations(corpus.roles.applied(corpus.taxonomy))
    told = sum(facet is not None and _discloses(facet, labels) for _, labels in corpus.records)
    return _recorded("mitigation", "It is recorded what mitigated incidents", {"told": told}, corpus, bars)


def _recorded(name: str, title: str, counts: Mapping[str, int], corpus: Corpus, bars: Bars) -> Step:
    n = len(corpus.records)
    return Step(
        id=f"{name}_recorded",
        title=f"{title}: in {bars.recorded:.0%} of the history or more",
        is_fulfilled=n > 0 and all(count >= bars.recorded * n for count in counts.values()),
        evidence=tuple(f"{what}: {count} of {n}, {Proportion(hits=count, n=n)}" for what, count in counts.items()),
        next="triage import FILE.csv",
    )


def _discloses(facet: Facet, labels: Mapping[str, Sequence[str]]) -> bool:
    hidden = {label.id for label in facet.labels if label.undisclosed}
    return bool(set(labels.get(facet.id, ())) - hidden)


def _review(corpus: Corpus, now: datetime, bars: Bars) -> Step:
    latest = max(corpus.adjudicated, default=None)
    days = None if latest is None else (now - latest) / timedelta(days=1)
    evidence = [f"{len(corpus.adjudicated)} adjudications; {corpus.status.open} disagreements are open"]
    if latest is not None and days is not None:
        evidence.append(f"the latest on {latest:%Y-%m-%d}, {days:.0f} days ago")
    return Step(
        id="review_cadence",
        title=f"Disagreements are settled regularly: the latest within {bars.review_days:g} days",
        is_fulfilled=days is not None and days <= bars.review_days,
        evidence=tuple(evidence),
        next="triage serve, and settle on the page /label/adjudicate",
    )


def _gates(gates: Gates) -> Step:
    evidence = [f"{len(gates.with_gates)} of {gates.suites} suites have gates: {', '.join(gates.with_gates) or 'none'}"]
    latest = "" if gates.latest is None else f", the latest on {gates.latest:%Y-%m-%d}"
    evidence.append(f"{gates.runs} runs of suites with gates{latest}")
    return Step(
        id="gates",
        title="Suites have gates, and are run",
        is_fulfilled=bool(gates.with_gates) and gates.runs > 0,
        evidence=tuple(evidence),
        next="triage eval run SUITE.yaml && triage eval gate latest",
    )


def _live(live: LiveReport, bars: Bars) -> Step:
    return Step(
        id="live_watch",
        title=f"Drift is watched live: a gate is set, and {bars.judgements} labels of people on each facet",
        is_fulfilled=live.gate is not None
        and bool(live.facets)
        and all(one.kappa.n >= bars.judgements for one in live.facets),
        evidence=tuple(_about_live(live)),
        next="TRIAGE_LIVE_KAPPA_GATE=0.6 triage serve; triage live",
    )


def _about_live(live: LiveReport) -> Iterator[str]:
    yield "no gate is set" if live.gate is None else f"the gate is {live.gate:.2f}"
    for one in live.facets:
        yield f"{one.facet}: {one.kappa.n} labels of people in the last {live.window_days:g} days"
