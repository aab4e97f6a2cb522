"""The agreement report: for every facet, people with people, and models beside the ceiling that this sets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Unpack

from pydantic import BaseModel, Field

from triage.agreement.alpha import Alpha, krippendorff_alpha, set_alpha
from triage.agreement.balance import Balance, LabelKappa, balance_of, kappa_by_label
from triage.agreement.confusion import Confusion
from triage.agreement.distance import Weights
from triage.agreement.interpretation import Reading, read
from triage.agreement.interval import CONFIDENCE, METHOD, RESAMPLES, Method, Resampling
from triage.agreement.kappa import FleissKappa, Kappa, fleiss_kappa, kappa_of
from triage.agreement.ratings import LabelPairs, MeanAgreement, Ratings, mean_agreement, pairs_of
from triage.agreement.sets import SetAgreement, compare_sets
from triage.domain.annotation import Annotation, Origin
from triage.domain.taxonomy import Facet, Taxonomy

GOLD, DERIVED_GOLD = "gold", "gold (derived)"


class AnnotatorSummary(BaseModel, frozen=True):
    """How many incidents an annotator labelled."""

    name: str
    origin: Origin
    incidents: int = Field(ge=0)


class PairAgreement(BaseModel, frozen=True):
    """Agreement of two annotators, or of gold labels and one annotator, on the `n` incidents that both labelled.

    A facet with one label or a primary label has its `kappa`, `weighted` ones if its labels are ordered, the `balance`,
    and `labels` one by one. A facet with several labels has `sets`, with a kappa for each label, and `alpha` of the
    sets (MASI distance). A facet with several labels and a primary one has both.
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
        """The main figure."""
        return self.kappa or self.alpha


class LabelAlpha(BaseModel, frozen=True):
    """How far all people agree on whether one label applies. `given` counts how often they gave it."""

    label: str
    given: int = Field(ge=0)
    alpha: Alpha


class ModelAgreement(BaseModel, frozen=True):
    """One model against gold labels and against each person.

    `mean` is its mean agreement with people. `gap` is that mean less the ceiling, both on the incidents that the model
    and at least two people labelled: below 0, the model agrees with people less than they agree with each other.
    """

    model: str
    gold: tuple[PairAgreement, ...] = ()
    people: tuple[PairAgreement, ...] = ()
    mean: MeanAgreement
    gap: MeanAgreement

    def explain(self, ceiling: MeanAgreement) -> str:
        """The model beside the ceiling, in words."""
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

    `alpha` and `fleiss` compare all people at once; `ordinal` is alpha on the scale of an ordered facet, `set_alpha`
    that of whole label sets. `ceiling`, the best that a model can be expected to reach, is the mean over all pairs of
    people of Cohen's kappa on the (primary) label, or of alpha of the sets (MASI) where no label is primary.
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
    """Agreement on every labelled facet. `ignored` says which annotations were left out and why."""

    taxonomy: str
    annotations: int = Field(ge=0)
    method: Method
    resamples: int = Field(ge=0)
    confidence: float
    seed: int
    facets: tuple[FacetAgreement, ...]
    ignored: tuple[str, ...] = ()


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
    """Measure agreement on `facets` (default: all that were labelled). `annotations` are oldest first.

    If an annotator labelled a facet of an incident several times, the last one counts. Only labels of origin `human`
    count as people's. Raises `UnknownFacet` if the taxonomy has no such facet.
    """
    chosen = [taxonomy.facet(facet).id for facet in facets]
    known = {facet.id: set(facet.ids) for facet in taxonomy.facets}
    by_facet: dict[str, list[Annotation]] = {}
    ignored: Counter[str] = Counter()
    for annotation in annotations:
        facet_id = annotation.facet
        unknown = [label for label in annotation.labels if label not in known.get(facet_id, set())]
        if facet_id not in known or unknown:
            ignored[f"facet {facet_id!r}" if facet_id not in known else f"{unknown[0]!r} of facet {facet_id!r}"] += 1
        elif not chosen or facet_id in chosen:
            by_facet.setdefault(facet_id, []).append(annotation)
    options: Resampling = {"method": method, "resamples": resamples, "confidence": confidence, "seed": seed}
    return AgreementReport(
        taxonomy=f"{taxonomy.id}@{taxonomy.version}",
        annotations=sum(map(len, by_facet.values())),
        **options,
        facets=tuple(
            facet_agreement(facet, Ratings.of(by_facet[facet.id]), **options)
            for facet in taxonomy.facets
            if facet.id in by_facet
        ),
        ignored=tuple(f"{n} with {what}, which is not in the taxonomy" for what, n in ignored.items()),
    )


def facet_agreement(facet: Facet, ratings: Ratings, **options: Unpack[Resampling]) -> FacetAgreement:
    """Measure agreement on one facet."""
    people, models = ratings.columns("human"), ratings.columns("model")
    names = [annotator.name for annotator in ratings.annotators]
    ceiling = human_ceiling(facet, ratings, **options)
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
        models=tuple(_model(facet, ratings, column, ceiling, options) for column in models),
        notes=tuple(_notes(ratings, people, ceiling)),
    )
    return result.model_copy(update=_of_all(facet, ratings, options)) if len(people) > 1 else result


def pair_figure(facet: Facet, both: LabelPairs, **options: Unpack[Resampling]) -> Kappa | Alpha:
    """The main figure for two labellings, `PairAgreement.main`, without the others."""
    return set_alpha(both, **options) if facet.cardinality == "multi" else kappa_of(_confusion(facet, both), **options)


def human_ceiling(
    facet: Facet, ratings: Ratings, person: int | None = None, **options: Unpack[Resampling]
) -> MeanAgreement:
    """How far people agree: `FacetAgreement.ceiling`, or that of the `person` in one column with the others."""
    people = ratings.columns("human")
    pairs = [pair for pair in pairs_of(people) if person is None or person in pair]
    if len(people) < 2:
        reason = f"only {ratings.annotators[people[0]].name} labelled this facet" if people else "no person labelled it"
        return MeanAgreement(value=None, pairs=0, undefined=reason)
    if len(pairs) > 1:
        return mean_agreement(ratings.rows, pairs, of_sets=facet.cardinality == "multi", **options)
    figure = pair_figure(facet, ratings.both(*pairs[0]), **options)
    if figure.value is None:
        reason = figure.undefined or "" if figure.n else "no incident was labelled by both of any pair"
        return MeanAgreement(value=None, pairs=1, n=figure.n, undefined=reason)
    return MeanAgreement(value=figure.value, pairs=1, n=figure.n, interval=figure.interval)


def model_beside_people(
    facet: Facet, ratings: Ratings, column: int, ceiling: MeanAgreement, **options: Unpack[Resampling]
) -> ModelAgreement:
    """The model in a column beside the ceiling, without its agreement with each person and with gold labels."""
    people = ratings.columns("human")
    name = ratings.annotators[column].name
    with_people = [(person, column) for person in people]
    of_sets = facet.cardinality == "multi"
    mean = MeanAgreement(value=None, pairs=0, undefined="no person labelled this facet")
    if people:
        mean = mean_agreement(ratings.rows, with_people, of_sets=of_sets, **options)
    shared = [row for row in ratings.rows if row[column] and sum(row[person] is not None for person in people) > 1]
    reason = ceiling.undefined or f"{name} labelled no incident of theirs"
    gap = MeanAgreement(value=None, pairs=len(people), undefined=reason)
    if shared:
        gap = mean_agreement(shared, with_people, pairs_of(people), of_sets=of_sets, **options)
    return ModelAgreement(model=name, mean=mean, gap=gap)


def alpha_by_label(facet: Facet, ratings: Ratings, **options: Unpack[Resampling]) -> tuple[LabelAlpha, ...]:
    """How far people agree on each label that they gave: `FacetAgreement.labels`."""
    rows = ratings.of_columns(ratings.columns("human"))
    considered = [[labels if facet.cardinality == "multi" else labels and labels[:1] for labels in row] for row in rows]
    found = []
    for label in facet.ids:
        given = sum(label in labels for row in considered for labels in row if labels)
        if given:
            applies = [
                [None if not labels else label if label in labels else f"not {label}" for labels in row]
                for row in considered
            ]
            found.append(LabelAlpha(label=label, given=given, alpha=krippendorff_alpha(applies, **options)))
    return tuple(found)


def _of_all(facet: Facet, ratings: Ratings, options: Resampling) -> dict[str, Any]:
    """The figures of all people at once."""
    rows = ratings.of_columns(ratings.columns("human"))
    found: dict[str, Any] = {"labels": alpha_by_label(facet, ratings, **options)}
    if facet.cardinality != "single":
        found["set_alpha"] = set_alpha(rows, **options)
    if facet.cardinality == "multi":
        return found
    primary = [[labels[0] if labels else None for labels in row] for row in rows]
    # An incident with one label has no pair to agree, and would leave Fleiss' kappa undefined.
    shared = [row for row in primary if sum(label is not None for label in row) > 1]
    found |= {"alpha": krippendorff_alpha(primary, **options), "fleiss": fleiss_kappa(shared, **options)}
    if facet.ordered:
        found["ordinal"] = krippendorff_alpha(primary, scale=facet.ids, **options)
    return found


def _confusion(facet: Facet, both: LabelPairs) -> Confusion:
    return Confusion.of([a[0] for a, _ in both], [b[0] for _, b in both], facet.ids)


def _pair(facet: Facet, first: str, second: str, both: LabelPairs, options: Resampling) -> PairAgreement:
    result: dict[str, Any] = {"first": first, "second": second, "n": len(both)}
    if facet.cardinality != "single":
        result["sets"] = compare_sets([a for a, _ in both], [b for _, b in both], facet.ids, **options)
        result["alpha"] = set_alpha(both, **options)
    if facet.cardinality == "multi":
        return PairAgreement(**result, reading=read(result["alpha"]))
    confusion = _confusion(facet, both)
    kinds: tuple[Weights, ...] = ("linear", "quadratic") if facet.ordered else ()
    kappa, balance = kappa_of(confusion, **options), balance_of(confusion)
    return PairAgreement(
        **result,
        kappa=kappa,
        weighted=tuple(kappa_of(confusion, weights=weights, **options) for weights in kinds),
        balance=balance,
        labels=kappa_by_label(confusion, confusion.used().labels, **options) if both else (),
        reading=read(kappa, balance),
    )


def _model(facet: Facet, ratings: Ratings, column: int, ceiling: MeanAgreement, options: Resampling) -> ModelAgreement:
    beside = model_beside_people(facet, ratings, column, ceiling, **options)
    golds = [(GOLD, ratings.gold), (DERIVED_GOLD, ratings.derived_gold)]
    with_gold = [(name, both) for name, gold in golds if (both := ratings.with_gold(column, gold))]
    with_people = [
        (ratings.annotators[person].name, ratings.both(person, column)) for person in ratings.columns("human")
    ]
    gold, people = (
        tuple(_pair(facet, name, beside.model, both, options) for name, both in pairs)
        for pairs in (with_gold, with_people)
    )
    return beside.model_copy(update={"gold": gold, "people": people})


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
