"""Detailed figures of any window: the model with one person or all, and people among themselves, with charts."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from triage.agreement import (
    Alpha,
    Confusion,
    Kappa,
    MeanAgreement,
    ModelAgreement,
    Reading,
    alpha_by_label,
    balance_of,
    model_beside_people,
    read,
)
from triage.agreement.proportion import Proportion
from triage.domain.errors import NotFound
from triage.domain.taxonomy import Facet, Taxonomy
from triage.insights.live_agreement.judgements import (
    RESAMPLES,
    LabelFigures,
    PairFigure,
    PersonFigure,
    Selection,
    alpha_of,
    ceiling,
    confusion_of,
    label_figures,
    pair_figures,
    person_figures,
    ratings_of,
)
from triage.insights.live_agreement.periods import LEAST, By, Period, over_time
from triage.insights.live_agreement.watch import LiveAgreement, LiveFacet, LiveOptions, LiveReport, kappa_with_model
from triage.render.charts import Chart, Goal, Moment, confusion_chart, over_time_chart
from triage.store import Judgement, Store

MOST_JUDGEMENTS = 5_000
"""The most judgements of a facet, and triaged incidents, that are read: the newest."""
MOST_ANNOTATORS = 200

_MOST_CACHED = 6
"""Cached windows; each may hold some ten thousand judgements."""


class FacetOverview(NamedTuple):
    """One facet in the window: the model with people, and people among themselves, which is the ceiling.

    `unseen` is `kappa` of people known not to have seen the model's labels; `annotators` counts the people who labelled
    the facet. `watch` is the facet in the watch's window; None if the model does not triage it.
    """

    facet: Facet
    kappa: Kappa
    unseen: Kappa
    abstained: int
    people: MeanAgreement
    alpha: Alpha | None
    annotators: int
    coverage: Proportion
    watch: LiveFacet | None
    is_cut: bool


class Overview(NamedTuple):
    """All facets as of a moment; `watch` has gate, window and alerts."""

    computed_at: datetime
    facets: tuple[FacetOverview, ...]
    watch: LiveReport

    @property
    def is_empty(self) -> bool:
        """True if no person labelled anything in the window."""
        return not any(facet.annotators for facet in self.facets)


class FacetFigures(NamedTuple):
    """All figures of one facet. `model_and_ceiling` compares the two, if two people set one."""

    overview: FacetOverview
    reading: Reading
    model_and_ceiling: ModelAgreement | None
    confusion: Confusion | None
    labels: tuple[LabelFigures, ...]
    pairs: tuple[PairFigure, ...]
    people: tuple[PersonFigure, ...]
    periods: tuple[Period, ...]
    charts: tuple[Chart, ...]

    @property
    def explanation(self) -> str:
        """The comparison with the ceiling in words; empty if there is none."""
        if self.model_and_ceiling is None:
            return ""
        text = self.model_and_ceiling.explain(self.overview.people)
        return f"{text[0].upper()}{text[1:]}"


class _Window:
    """The judgements of one selection, and the figures computed so far."""

    def __init__(self, judged: dict[str, list[Judgement]], overview: Overview) -> None:
        self.read_at = time.monotonic()
        self.judged = judged
        self.overview = overview
        self.figures: dict[tuple[str, By], FacetFigures] = {}


class LiveFigures:
    """Reads the store and computes figures; results are cached for `refresh_s` of the options."""

    def __init__(
        self,
        store: Store,
        taxonomy: Taxonomy,
        watch: LiveAgreement,
        options: LiveOptions = LiveOptions(),  # noqa: B008 - a value that does not change
    ) -> None:
        self._store = store
        self._taxonomy = taxonomy
        self._watch = watch
        self._options = options
        self._lock = asyncio.Lock()
        self._cache: OrderedDict[Selection, _Window] = OrderedDict()

    @property
    def least(self) -> int:
        """The fewest labels for a reliable figure."""
        return self._options.least

    def is_at_hand(self, selection: Selection) -> bool:
        """True if the overview is cached."""
        return self._cached(selection) is not None

    async def overview(self, selection: Selection) -> Overview:
        """All facets that the model triages or that people labelled.

        Raises `NotFound`, like every method with a selection, for an annotator who never labelled anything.
        """
        return (await self._window(selection)).overview

    async def facet(self, selection: Selection, facet: str, by: By) -> FacetFigures:
        """All figures of one facet. Raises `UnknownFacet`."""
        known_facet = self._taxonomy.facet(facet)
        window = await self._window(selection)
        async with self._lock:
            if (facet, by) not in window.figures:
                judged, overview = window.judged.get(facet, []), window.overview
                of_facet = next((candidate for candidate in overview.facets if candidate.facet.id == facet), None)
                window.figures[facet, by] = await asyncio.to_thread(
                    _figures, known_facet, judged, selection, by, of_facet, overview.computed_at, self._options.gate
                )
            return window.figures[facet, by]

    async def judgements(self, selection: Selection, facet: str) -> list[Judgement]:
        """The judgements to compare the model with on one facet, newest first. Raises `UnknownFacet`."""
        self._taxonomy.facet(facet)
        return selection.with_model((await self._window(selection)).judged.get(facet, []))

    async def annotators(self, teams: frozenset[str] | None) -> Sequence[str]:
        """The names of people who labelled anything, at most `MOST_ANNOTATORS`."""
        return await self._store.reviews.list_annotators(self._taxonomy.id, MOST_ANNOTATORS, teams)

    async def _window(self, selection: Selection) -> _Window:
        async with self._lock:
            window = self._cached(selection)
            if window is None:
                window = self._cache[selection] = await self._read(selection, datetime.now(UTC))
                self._cache.move_to_end(selection)
                while len(self._cache) > _MOST_CACHED:
                    self._cache.popitem(last=False)
            return window

    def _cached(self, selection: Selection) -> _Window | None:
        window = self._cache.get(selection)
        return window if window and time.monotonic() - window.read_at < self._options.refresh_s else None

    async def _read(self, selection: Selection, now: datetime) -> _Window:
        taxonomy, facets = self._taxonomy.id, [facet.id for facet in self._taxonomy.facets]
        since, teams, name = selection.since(now), selection.teams, selection.annotator
        # Unknown names must not cost a computation or evict a cached window.
        if name is not None and not await self._store.reviews.list_annotators(taxonomy, 1, teams, name):
            raise NotFound(f"{name!r} has labelled nothing. Choose someone from the list.", annotator=name)
        given = await self._store.reviews.list(
            taxonomy, facets, since, MOST_JUDGEMENTS, teams=teams, with_untriaged=True
        )
        covered = await self._store.reviews.count_coverage(
            taxonomy, facets, since, MOST_JUDGEMENTS, teams=teams, annotator=name
        )
        watch = await self._watch.report(teams)
        judged: dict[str, list[Judgement]] = {}
        for judgement in given:
            judged.setdefault(judgement.facet, []).append(judgement)
        watched = {facet.facet: facet for facet in watch.facets}

        def measure(facet: Facet) -> FacetOverview:
            coverage = Proportion(hits=covered.labelled[facet.id], n=covered.triaged)
            return facet_overview(facet, judged.get(facet.id, []), selection, coverage, watched.get(facet.id))

        shown = [facet for facet in self._taxonomy.facets if facet.id in watched or facet.id in judged]
        overviews = await asyncio.to_thread(lambda: tuple(map(measure, shown)))
        return _Window(judged, Overview(now, overviews, watch))


def facet_overview(
    facet: Facet,
    judged: Sequence[Judgement],
    selection: Selection,
    coverage: Proportion,
    watch: LiveFacet | None = None,
) -> FacetOverview:
    """Measure one facet on `judged`, newest first, as far as `selection` counts them."""
    with_model, ratings = selection.with_model(judged), ratings_of(selection.of(judged), selection.annotator)
    return FacetOverview(
        facet=facet,
        kappa=kappa_with_model(facet, with_model),
        unseen=kappa_with_model(facet, [judgement for judgement in with_model if judgement.saw_model is False]),
        abstained=sum(not judgement.triaged for judgement in with_model),
        people=ceiling(facet, ratings, selection.annotator, "labelled nothing here"),
        alpha=alpha_of(facet, ratings),
        annotators=len({judgement.annotator for judgement in selection.of(judged)}),
        coverage=coverage,
        watch=watch,
        is_cut=len(judged) >= MOST_JUDGEMENTS,
    )


def _figures(
    facet: Facet,
    judged: Sequence[Judgement],
    selection: Selection,
    by: By,
    overview: FacetOverview | None,
    now: datetime,
    gate: float | None,
) -> FacetFigures:
    known = overview or facet_overview(facet, judged, selection, Proportion(hits=0, n=0))
    with_model, ratings = selection.with_model(judged), ratings_of(selection.of(judged), selection.annotator)
    confusion = confusion_of(facet, with_model)
    compared = None
    if known.people.value is not None and with_model:
        compared = model_beside_people(facet, ratings, len(ratings.annotators) - 1, known.people)
    periods = over_time(facet, judged, selection, by, now.date())
    return FacetFigures(
        overview=known,
        reading=read(known.kappa, balance_of(confusion) if confusion else None),
        model_and_ceiling=compared,
        confusion=confusion,
        labels=label_figures(facet, with_model, alpha_by_label(facet, ratings, resamples=RESAMPLES)),
        pairs=pair_figures(facet, ratings, selection.annotator),
        people=person_figures(facet, with_model),
        periods=periods,
        charts=charts_of(facet, periods, by, confusion, gate),
    )


def charts_of(
    facet: Facet, periods: Sequence[Period], by: By, confusion: Confusion | None, gate: float | None
) -> tuple[Chart, ...]:
    """The charts of agreement over time, of the model and among people, and of confusion, as far as there is data."""
    pairs, axis = "incidents of two people", "alpha of sets" if facet.cardinality == "multi" else "kappa"
    charts = []
    for name, heading, counted, up in (
        ("model", "the model with people", "labels", "kappa"),
        ("people", "people among themselves", pairs, axis),
    ):
        figures: list[Kappa | MeanAgreement] = [getattr(period, name) for period in periods]
        if any(figure.value is not None for figure in figures):
            caption = f"By {by}, with 95% intervals; gaps where fewer than {LEAST} {counted} count."
            moments = [_moment(period, figure) for period, figure in zip(periods, figures, strict=True)]
            goal = None if gate is None or name == "people" else Goal(gate, f"gate {gate:.2f}")
            title = f"{facet.name}: {heading}"
            charts.append(over_time_chart(f"{name}-{facet.id}", title, caption, moments, goal, up))
    if confusion is not None and confusion.n:
        names = {label.id: label.name for label in facet.labels}
        charts.append(
            confusion_chart(
                f"confusion-{facet.id}",
                f"{facet.name}: confusion",
                f"n = {confusion.n}. The fill is the share of the row; where both agree is framed.",
                [names.get(label, label) for label in confusion.labels],
                confusion.counts,
                "people",
                "model",
            )
        )
    return tuple(charts)


def _moment(period: Period, figure: Kappa | MeanAgreement) -> Moment:
    interval = figure.interval
    return Moment(period.start, figure.value, (interval.low, interval.high) if interval else None, figure.n)
