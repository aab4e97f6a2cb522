"""What ended incidents like this one: the nearest in its own words, then mitigations counted by kind of incident."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from statistics import quantiles
from typing import Any, NamedTuple

from triage.domain.incident import TtmUntil
from triage.domain.taxonomy import Facet, Taxonomy
from triage.domain.triage_result import FacetResult, KindCount, Neighbour, Precedent, Step, Suggestion, Supporter
from triage.history import Example
from triage.history.retrieval import by_likely_label
from triage.pipeline.ending import EndingReader

CLOSE = 0.7
"""Cosine similarity from which what ended the nearest incident is more likely right than wrong.

Fitted with evals/bench/mitigations.py on MiniLM.
"""
MAX_STEPS = 2
MAX_GENERAL_ADVICE = 3


class Shrinkage(NamedTuple):
    """How much a coarser estimate weighs, in incidents. Chosen with evals/bench/mitigations.py.

    `to_kind` draws the share among the neighbours to that in the likely kinds of incident, `to_parent` that of a
    failure mode to its category's, and that of a category to the whole history's.
    """

    to_kind: float = 10.0
    to_parent: float = 2.0


DEFAULT_SHRINKAGE = Shrinkage()


class Advice(NamedTuple):
    """The nearest incident whose mitigation is known, or why there is none, and the mitigations, likeliest first."""

    precedent: Precedent | None = None
    nothing_close: str | None = None
    suggestions: tuple[Suggestion, ...] = ()


def suggest(
    taxonomy: Taxonomy,
    neighbours: Sequence[Neighbour],
    decided: Mapping[str, FacetResult],
    examples: Sequence[Example] = (),
) -> Advice:
    """What ended similar incidents and others of this kind. Empty for a taxonomy without a mitigation facet.

    Suggested are the mitigations of `neighbours`, and up to three more actions that ended `examples` of the same kind.
    Near-duplicates among the examples are quoted, and not counted.
    """
    facet = taxonomy.mitigation
    if facet is None:
        return Advice()
    reader = EndingReader(facet)
    texts = {example.incident_id: example.text for example in examples}
    used = [(neighbour, actions) for neighbour in neighbours if (actions := named_actions(facet, neighbour.labels))]
    precedent = _precedent(taxonomy, [neighbour for neighbour, _ in used], decided, texts, reader)
    copies = {neighbour.incident_id for neighbour in neighbours if neighbour.is_near_duplicate}
    distinct = [example for example in examples if example.incident_id not in copies]
    shares = estimate_shares(taxonomy, neighbours, decided, distinct)
    supported = {mitigation for _, actions in used for mitigation in actions}
    of_kind = _OfKind(taxonomy, facet, decided, distinct)
    others = [m for m in shares if m not in supported and facet.label(m).is_action and of_kind.using(m)]
    return Advice(
        precedent,
        None if precedent else _why_nothing_is_close([neighbour for neighbour, _ in used]),
        tuple(
            Suggestion(
                mitigation=mitigation,
                definition=facet.label(mitigation).definition,
                score=share,
                is_general_advice=mitigation not in supported,
                **_support(mitigation, used, texts, reader),
                **of_kind.figures(mitigation),
            )
            for mitigation, share in shares.items()
            if mitigation in supported or mitigation in others[:MAX_GENERAL_ADVICE]
        ),
    )


def estimate_shares(
    taxonomy: Taxonomy,
    neighbours: Sequence[Neighbour],
    decided: Mapping[str, FacetResult],
    examples: Sequence[Example] = (),
    shrinkage: Shrinkage = DEFAULT_SHRINKAGE,
) -> dict[str, float]:
    """Mitigation -> the estimated share of such incidents that it ends, 0 to 1, highest first.

    The share among the neighbours is shrunk to that in the incidents of the likely failure modes, that to the category,
    and that to the whole history: each counts like some incidents more (a Dirichlet prior). Failure modes and
    categories are weighted by probability, whether the facet abstained or not.
    """
    facet = taxonomy.mitigation
    if facet is None:
        return {}
    near = [actions for neighbour in neighbours if (actions := named_actions(facet, neighbour.labels))]
    expected = _expected(taxonomy, facet, decided, examples, shrinkage.to_parent)
    strength = shrinkage.to_kind if expected else 0.0
    prior = dict.fromkeys((mitigation for actions in near for mitigation in actions), 0.0) | expected
    shares = _shrunk(near, prior, strength)
    return dict(sorted(shares.items(), key=lambda pair: (-pair[1], pair[0])))


def named_actions(facet: Facet, labels: Mapping[str, Collection[str]]) -> list[str]:
    """The mitigations among the labels that say how an incident ended."""
    known = {label.id for label in facet.labels if not label.undisclosed}
    return [mitigation for mitigation in dict.fromkeys(labels.get(facet.id, ())) if mitigation in known]


def kind_facets(taxonomy: Taxonomy) -> list[Facet]:
    """The facets that say what kind of incident it is: the first triaged one, then those that refine it."""
    kinds: list[Facet] = []
    for facet in taxonomy.triaged:
        if facet.role != "mitigation" and facet.parent == (kinds[-1].id if kinds else None):
            kinds.append(facet)
    return kinds


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """The lower quartile, median and upper quartile of at least one value, by linear interpolation."""
    low, middle, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    return low, middle, high


def _precedent(
    taxonomy: Taxonomy,
    used: Sequence[Neighbour],
    decided: Mapping[str, FacetResult],
    texts: Mapping[str, str],
    reader: EndingReader,
) -> Precedent | None:
    """The first of the near incidents that say what ended them, those of the likely failure mode first."""
    near = [neighbour for neighbour in used if neighbour.similarity >= CLOSE]
    if not near or taxonomy.mitigation is None:
        return None
    kind = next((kind.id for kind in reversed(kind_facets(taxonomy)) if _likely(decided.get(kind.id))), "")
    first = by_likely_label(near, kind, _likely(decided.get(kind)))[0]
    mitigations = named_actions(taxonomy.mitigation, first.labels)
    found = reader.find(texts.get(first.incident_id, ""), mitigations)
    return Precedent(
        incident_id=first.incident_id,
        title=first.title,
        url=first.url,
        similarity=first.similarity,
        is_near_duplicate=first.is_near_duplicate,
        mitigations=tuple(mitigations),
        sentence=found[0] if found else "",
        ttm_minutes=first.ttm_minutes,
        ttm_until=first.ttm_until,
    )


def _why_nothing_is_close(used: Sequence[Neighbour]) -> str:
    if not used:
        return "Nothing close: no similar incident says what ended it."
    nearest = max(neighbour.similarity for neighbour in used)
    return (
        f"Nothing close: the nearest incident that says what ended it has similarity {nearest:.2f}, and {CLOSE:.2f} is "
        "needed."
    )


def _expected(
    taxonomy: Taxonomy,
    facet: Facet,
    decided: Mapping[str, FacetResult],
    examples: Sequence[Example],
    strength: float,
) -> dict[str, float]:
    """Mitigation -> its expected share in incidents of the likely kinds; {} without examples."""
    known = [(example.labels, actions) for example in examples if (actions := named_actions(facet, example.labels))]
    used = Counter(mitigation for _, actions in known for mitigation in actions)
    whole = {mitigation: count / len(known) for mitigation, count in used.items()}
    expected, shares = whole, dict[str | None, dict[str, float]]()
    for kind in kind_facets(taxonomy):
        if not (likely := _likely(decided.get(kind.id))):
            continue
        within: dict[str, list[list[str]]] = {label: [] for label in likely}
        for labels, actions in known:
            for label in within.keys() & set(labels.get(kind.id, ())):
                within[label].append(actions)
        shares = {
            label: _shrunk(same, shares.get(kind.label(label).parent, whole), strength)
            for label, same in within.items()
        }
        expected = {m: sum(chance * shares[label][m] for label, chance in likely.items()) for m in whole}
    return expected


def _shrunk(incidents: Sequence[Sequence[str]], prior: Mapping[str, float], strength: float) -> dict[str, float]:
    """The share of `incidents` with each mitigation of `prior`, which counts like `strength` incidents."""
    used = Counter(mitigation for actions in incidents for mitigation in actions)
    size = len(incidents) + strength
    return {m: min(1.0, (used[m] + strength * share) / size) if size else share for m, share in prior.items()}


def _likely(result: FacetResult | None) -> dict[str, float]:
    """Label -> probability, summing to 1; uniform over the labels if there are no probabilities."""
    if result is None:
        return {}
    shares = {one.label: one.probability for one in result.distribution} or dict.fromkeys(result.labels, 1.0)
    total = sum(shares.values())
    return {label: share / total for label, share in shares.items() if share > 0} if total else {}


def _support(
    mitigation: str,
    used: Sequence[tuple[Neighbour, list[str]]],
    texts: Mapping[str, str],
    reader: EndingReader,
) -> dict[str, Any]:
    """The figures and sentences of the similar incidents that used the mitigation, nearest first."""
    using = sorted(((n, actions) for n, actions in used if mitigation in actions), key=lambda pair: -pair[0].similarity)
    supporters = [neighbour for neighbour, _ in using]
    return {
        "support": len(supporters),
        "considered": len(used),
        "ended": sum(neighbour.ttm_minutes is not None and len(actions) == 1 for neighbour, actions in using),
        "incidents": tuple(neighbour.incident_id for neighbour in supporters),
        "supporters": tuple(Supporter(incident_id=n.incident_id, title=n.title, url=n.url) for n in supporters),
        "steps": _steps(mitigation, [n.incident_id for n in supporters], texts, reader),
    }


def _steps(
    mitigation: str, incident_ids: Iterable[str], texts: Mapping[str, str], reader: EndingReader
) -> tuple[Step, ...]:
    """Up to two sentences, the clearest first, at most one of each incident."""
    found = [(name, sentence) for name in incident_ids if (sentence := reader.find(texts.get(name, ""), {mitigation}))]
    clearest = sorted(found, key=lambda pair: -pair[1][1])[:MAX_STEPS]
    return tuple(Step(text=sentence, incident_id=name) for name, (sentence, _) in clearest)


class _OfKind:
    """The incidents of the finest kind that was given a label, or all if none was, by mitigation."""

    def __init__(
        self, taxonomy: Taxonomy, facet: Facet, decided: Mapping[str, FacetResult], examples: Sequence[Example]
    ) -> None:
        self._kind: tuple[str, str] | None = None
        for kind in kind_facets(taxonomy):
            if kind.id in decided and decided[kind.id].labels:
                self._kind = kind.id, decided[kind.id].labels[0]
        self._known = [
            (example, actions)
            for example in examples
            if self._kind is None or self._kind[1] in example.labels.get(self._kind[0], ())
            if (actions := named_actions(facet, example.labels))
        ]

    def using(self, mitigation: str) -> list[Example]:
        """Those that used the mitigation."""
        return [example for example, actions in self._known if mitigation in actions]

    def figures(self, mitigation: str) -> dict[str, Any]:
        """How many used the mitigation, and how long those took. Times to mitigate and to resolve are not mixed."""
        using = self.using(mitigation)
        facet, label = self._kind or (None, None)
        figures: dict[str, Any] = {
            "of_kind": KindCount(facet=facet, label=label, used=len(using), known=len(self._known))
        }
        times: dict[TtmUntil | None, list[float]] = {"mitigation": [], "resolution": [], None: []}
        for example in using:
            if example.ttm_minutes is not None:
                times[example.ttm_until].append(example.ttm_minutes)
        until, minutes = max(times.items(), key=lambda pair: len(pair[1]))
        if not minutes:
            return figures
        low, middle, high = quartiles(minutes)
        return figures | {
            "median_ttm_minutes": middle,
            "ttm_interquartile_range_minutes": (low, high) if len(minutes) > 1 else None,
            "ttm_count": len(minutes),
            "ttm_until": until,
        }
