"""The agreement report: for every facet, people with people, the ceiling that this sets, and models held against it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, Field

from triage.agreement.alpha import Alpha, krippendorff_alpha, set_alpha
from triage.agreement.balance import Balance, LabelKappa, balance_of, kappa_by_label
from triage.agreement.bootstrap import METHOD
from triage.agreement.confusion import Confusion
from triage.agreement.distance import Weights
from triage.agreement.fleiss import FleissKappa, fleiss_kappa
from triage.agreement.interval import CONFIDENCE, RESAMPLES, Method
from triage.agreement.kappa import Kappa, kappa_of
from triage.agreement.pairs import MeanAgreement, mean_agreement
from triage.agreement.ratings import LabelSet, Ratings, pairs_of
from triage.agreement.reading import Reading, read
from triage.agreement.sets import SetAgreement, compare_sets
from triage.domain.annotation import Annotation, Origin
from triage.domain.taxonomy import Facet, Taxonomy

GOLD, DERIVED_GOLD = "gold", "gold (derived)"

_LabelPairs = Sequence[tuple[LabelSet, LabelSet]]


class AnnotatorSummary(BaseModel, frozen=True):
    """Who labelled how many incidents."""

    name: str
    origin: Origin
    incidents: int = Field(ge=0)


class PairAgreement(BaseModel, frozen=True):
    """Agreement of two annotators, or of gold labels and one annotator, on the `n` incidents that both labelled.

    A facet with one label, or a primary one, has `kappa` on it, `weighted` ones where its labels are ordered, the
    `balance` and `labels` one by one. A facet with several labels has `sets`, with a kappa for each label in it, and
    `alpha` of the sets (MASI distance); one with a primary label has both.
    """

    first: str
    second: str
    n: int = Field(ge=0)
    kappa: Kappa | None = None
    weighted: tuple[Kappa, ...] = ()
    balance: Balance | None = None
    labels: tuple[LabelKappa, ...] = ()
    sets: SetAgreement | None = None
    alpha: Alpha | None = None
    reading: Reading

    @property
    def main(self) -> Kappa | Alpha | None:
        """The figure to look at first."""
        return self.kappa or self.alpha


class LabelAlpha(BaseModel, frozen=True):
    """How far all people agree on whether one label applies. `given` counts how often they gave it."""

    label: str
    given: int = Field(ge=0)
    alpha: Alpha


class ModelAgreement(BaseModel, frozen=True):
    """One model against gold labels and against each person.

    `mean` is its mean agreement with people; `gap` is that mean less the ceiling, both on the incidents that the model
    and at least two people labelled: below 0 it agrees less with people than they do among themselves.
    """

    model: str
    gold: tuple[PairAgreement, ...] = ()
    people: tuple[PairAgreement, ...] = ()
    mean: MeanAgreement
    gap: MeanAgreement

    def explain(self, ceiling: MeanAgreement) -> str:
        """The model beside the ceiling, in plain words."""
        if self.mean.value is None:
            return f"{self.model} can't be held against people: {self.mean.undefined}."
        text = f"{self.model} agrees with people at {self.mean} on average"
        if ceiling.value is None or self.gap.value is None:
            return f"{text}; there is no ceiling to compare with: {ceiling.undefined or self.gap.undefined}."
        text = f"{text}, people among themselves at {ceiling}: on the same {self.gap.n} incidents {self._difference()}"
        interval = self.gap.interval
        if interval is not None and interval.low <= 0 <= interval.high:
            return f"{text}, which may be chance."
        return f"{text}."

    def _difference(self) -> str:
        gap = self.gap.value or 0.0
        side = "below" if gap < 0 else "above"
        interval = self.gap.interval
        within = f" (95% interval of the difference {interval.low:+.2f} to {interval.high:+.2f})" if interval else ""
        return f"{abs(gap):.2f} {side} them{within}"


class FacetAgreement(BaseModel, frozen=True):
    """Agreement on one facet. `overlap` counts the incidents that at least two people labelled.

    `alpha` and `fleiss` take in all people; `ordinal` is alpha on the scale of an ordered facet, `set_alpha` that of
    whole label sets. `ceiling` is the mean over all pairs of people: what a model can hope for. Its figure is Cohen's
    kappa, on the primary label where there are several, and alpha of the sets (MASI) where none is primary.
    """

    facet: str
    cardinality: str
    ordered: bool
    annotators: tuple[AnnotatorSummary, ...]
    incidents: int = Field(ge=0)
    overlap: int = Field(ge=0)
    pairs: tuple[PairAgreement, ...] = ()
    alpha: Alpha | None = None
    ordinal: Alpha | None = None
    set_alpha: Alpha | None = None
    fleiss: FleissKappa | None = None
    labels: tuple[LabelAlpha, ...] = ()
    ceiling: MeanAgreement
    models: tuple[ModelAgreement, ...] = ()
    notes: tuple[str, ...] = ()


class AgreementReport(BaseModel, frozen=True):
    """Agreement on every facet that was labelled. `ignored` says which annotations were left out, and why."""

    taxonomy: str
    annotations: int = Field(ge=0)
    method: Method
    resamples: int = Field(ge=0)
    confidence: float
    seed: int
    facets: tuple[FacetAgreement, ...]
    ignored: tuple[str, ...] = ()


class _Options(NamedTuple):
    method: Method
    resamples: int
    confidence: float
    seed: int

    @property
    def given(self) -> dict[str, Any]:
        return self._asdict()


def agreement_report(
    annotations: Iterable[Annotation],
    taxonomy: Taxonomy,
    facets: Sequence[str] = (),
    *,
    method: Method = METHOD,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> AgreementReport:
    """Measure agreement on `facets` (by default all that were labelled). `annotations` stand oldest first.

    Of one annotator's annotations of a facet of an incident the last counts. Only labels of origin `human` count as
    people's. Raises `UnknownFacet` for one of `facets` that the taxonomy does not have.
    """
    wanted = [taxonomy.facet(facet).id for facet in facets]
    known = {facet.id: set(facet.ids) for facet in taxonomy.facets}
    found: dict[str, list[Annotation]] = {}
    strange: dict[str, int] = {}
    for one in annotations:
        unknown = [label for label in one.labels if label not in known.get(one.facet, set())]
        if one.facet not in known or unknown:
            what = f"facet {one.facet!r}" if one.facet not in known else f"{unknown[0]!r} of facet {one.facet!r}"
            strange[what] = strange.get(what, 0) + 1
        elif not wanted or one.facet in wanted:
            found.setdefault(one.facet, []).append(one)
    options = _Options(method, resamples, confidence, seed)
    return AgreementReport(
        taxonomy=f"{taxonomy.id}@{taxonomy.version}",
        annotations=sum(map(len, found.values())),
        **options.given,
        facets=tuple(
            facet_agreement(facet, Ratings.of(found[facet.id]), **options.given)
            for facet in taxonomy.facets
            if facet.id in found
        ),
        ignored=tuple(f"{n} with {what}, which is not in the taxonomy" for what, n in strange.items()),
    )


def pair_figure(
    facet: Facet,
    both: _LabelPairs,
    *,
    method: Method = METHOD,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Kappa | Alpha:
    """The figure to look at first for two labellings, which is `PairAgreement.main`, without all others."""
    return _main(facet, both, _Options(method, resamples, confidence, seed))


def human_ceiling(
    facet: Facet,
    ratings: Ratings,
    person: int | None = None,
    *,
    method: Method = METHOD,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> MeanAgreement:
    """How far people agree, as in `FacetAgreement.ceiling`; with the column of a `person` only this one with others."""
    people = ratings.columns("human")
    pairs = [pair for pair in pairs_of(people) if person is None or person in pair]
    return _ceiling(facet, ratings, people, pairs, _Options(method, resamples, confidence, seed))


def model_beside_people(
    facet: Facet,
    ratings: Ratings,
    column: int,
    ceiling: MeanAgreement,
    *,
    method: Method = METHOD,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> ModelAgreement:
    """The model of a column beside the ceiling, without its agreement with each person and with gold labels."""
    options = _Options(method, resamples, confidence, seed)
    return _beside(facet, ratings, column, ratings.columns("human"), ceiling, options)


def alpha_by_label(
    facet: Facet,
    ratings: Ratings,
    *,
    method: Method = METHOD,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> tuple[LabelAlpha, ...]:
    """How far people agree on each label that they gave, as in `FacetAgreement.labels`."""
    rows = ratings.of_columns(ratings.columns("human"))
    return tuple(_by_label(facet, rows, _Options(method, resamples, confidence, seed)))


def facet_agreement(
    facet: Facet,
    ratings: Ratings,
    *,
    method: Method = METHOD,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> FacetAgreement:
    """Measure agreement on one facet."""
    options = _Options(method, resamples, confidence, seed)
    people, models = ratings.columns("human"), ratings.columns("model")
    rows = ratings.of_columns(people)
    names = [annotator.name for annotator in ratings.annotators]
    ceiling = _ceiling(facet, ratings, people, pairs_of(people), options)
    result = FacetAgreement(
        facet=facet.id,
        cardinality=facet.cardinality,
        ordered=facet.ordered,
        annotators=tuple(
            AnnotatorSummary(name=annotator.name, origin=annotator.origin, incidents=ratings.count(column))
            for column, annotator in enumerate(ratings.annotators)
        ),
        incidents=len(ratings.incidents),
        overlap=ratings.overlap(people),
        pairs=tuple(_pair(facet, names[a], names[b], ratings.both(a, b), options) for a, b in pairs_of(people)),
        ceiling=ceiling,
        models=tuple(_model(facet, ratings, column, people, ceiling, options) for column in models),
        notes=tuple(_notes(ratings, people, ceiling)),
    )
    return result.model_copy(update=_of_all(facet, rows, options)) if len(people) > 1 else result


def _of_all(facet: Facet, rows: Sequence[Sequence[LabelSet | None]], options: _Options) -> dict[str, Any]:
    """The figures that take in all people at once."""
    found: dict[str, Any] = {"labels": tuple(_by_label(facet, rows, options))}
    if facet.cardinality != "single":
        found["set_alpha"] = set_alpha(rows, **options.given)
    if facet.cardinality == "multi":
        return found
    primary = [[labels[0] if labels else None for labels in row] for row in rows]
    # An incident that one person alone labelled says nothing about agreement, so it need not stop Fleiss' kappa.
    shared = [row for row in primary if sum(label is not None for label in row) > 1]
    found |= {"alpha": krippendorff_alpha(primary, **options.given), "fleiss": fleiss_kappa(shared, **options.given)}
    if facet.ordered:
        found["ordinal"] = krippendorff_alpha(primary, scale=facet.ids, **options.given)
    return found


def _by_label(facet: Facet, rows: Sequence[Sequence[LabelSet | None]], options: _Options) -> Iterator[LabelAlpha]:
    considered = [[labels if facet.cardinality == "multi" else labels and labels[:1] for labels in row] for row in rows]
    for label in facet.ids:
        given = sum(label in labels for row in considered for labels in row if labels)
        if given:
            applies = [
                [None if not labels else label if label in labels else f"not {label}" for labels in row]
                for row in considered
            ]
            yield LabelAlpha(label=label, given=given, alpha=krippendorff_alpha(applies, **options.given))


def _main(facet: Facet, both: _LabelPairs, options: _Options) -> Kappa | Alpha:
    if facet.cardinality == "multi":
        return set_alpha(both, **options.given)
    return kappa_of(Confusion.of([a[0] for a, _ in both], [b[0] for _, b in both], facet.ids), **options.given)


def _pair(facet: Facet, first: str, second: str, both: _LabelPairs, options: _Options) -> PairAgreement:
    result: dict[str, Any] = {"first": first, "second": second, "n": len(both)}
    if facet.cardinality != "single":
        one, other = [a for a, _ in both], [b for _, b in both]
        result["sets"] = compare_sets(one, other, facet.ids, **options.given)
        result["alpha"] = set_alpha(both, **options.given)
    if facet.cardinality == "multi":
        return PairAgreement(**result, reading=read(result["alpha"]))
    confusion = Confusion.of([a[0] for a, _ in both], [b[0] for _, b in both], facet.ids)
    kinds: tuple[Weights, ...] = ("linear", "quadratic") if facet.ordered else ()
    kappa, balance = kappa_of(confusion, **options.given), balance_of(confusion)
    return PairAgreement(
        **result,
        kappa=kappa,
        weighted=tuple(kappa_of(confusion, weights=weights, **options.given) for weights in kinds),
        balance=balance,
        labels=kappa_by_label(confusion, confusion.used().labels, **options.given) if both else (),
        reading=read(kappa, balance),
    )


def _ceiling(
    facet: Facet, ratings: Ratings, people: Sequence[int], pairs: Sequence[tuple[int, int]], options: _Options
) -> MeanAgreement:
    if len(people) < 2:
        who = f"only {ratings.annotators[people[0]].name} labelled this facet" if people else "no person labelled it"
        return MeanAgreement(value=None, pairs=0, undefined=who)
    if len(pairs) == 1:
        return _only(_main(facet, ratings.both(*pairs[0]), options))
    return mean_agreement(ratings.rows, pairs, of_sets=facet.cardinality == "multi", **options.given)


def _only(figure: Kappa | Alpha) -> MeanAgreement:
    """The ceiling that one pair sets: its own figure."""
    if figure.value is None:
        why = figure.undefined if figure.n else "no incident was labelled by both of any pair"
        return MeanAgreement(value=None, pairs=1, n=figure.n, undefined=why)
    return MeanAgreement(value=figure.value, pairs=1, n=figure.n, interval=figure.interval)


def _model(
    facet: Facet, ratings: Ratings, column: int, people: Sequence[int], ceiling: MeanAgreement, options: _Options
) -> ModelAgreement:
    golds = ((GOLD, ratings.gold), (DERIVED_GOLD, ratings.derived_gold))
    beside = _beside(facet, ratings, column, people, ceiling, options)
    name = beside.model
    more = {
        "gold": tuple(
            _pair(facet, said, name, both, options) for said, gold in golds if (both := ratings.with_gold(column, gold))
        ),
        "people": tuple(
            _pair(facet, ratings.annotators[person].name, name, ratings.both(person, column), options)
            for person in people
        ),
    }
    return beside.model_copy(update=more)


def _beside(
    facet: Facet, ratings: Ratings, column: int, people: Sequence[int], ceiling: MeanAgreement, options: _Options
) -> ModelAgreement:
    name = ratings.annotators[column].name
    with_people = [(person, column) for person in people]
    of_sets = facet.cardinality == "multi"
    shared = [row for row in ratings.rows if row[column] and sum(row[person] is not None for person in people) > 1]
    gap = (
        mean_agreement(shared, with_people, pairs_of(people), of_sets=of_sets, **options.given)
        if shared
        else MeanAgreement(
            value=None, pairs=len(people), undefined=ceiling.undefined or f"{name} labelled no incident of theirs"
        )
    )
    return ModelAgreement(
        model=name,
        mean=mean_agreement(ratings.rows, with_people, of_sets=of_sets, **options.given)
        if people
        else MeanAgreement(value=None, pairs=0, undefined="no person labelled this facet"),
        gap=gap,
    )


def _notes(ratings: Ratings, people: Sequence[int], ceiling: MeanAgreement) -> Iterator[str]:
    if len(people) < 2:
        yield (
            f"There is no human-human ceiling: {ceiling.undefined}. Have a second person label the same incidents to "
            "see what a model can hope for."
        )
    elif ceiling.value is None:
        yield f"There is no human-human ceiling: {ceiling.undefined}."
    derived = ratings.columns("derived")
    if derived:
        names = ", ".join(ratings.annotators[column].name for column in derived)
        yield f"Labels derived from other facts count as nobody's opinion: {names}."
    if ratings.derived_gold:
        yield f"{len(ratings.derived_gold)} gold label(s) are derived, not a person's; they are compared separately."
