"""Suggests mitigations: ranked by their support among similar incidents, with sentences that say what was done."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from statistics import quantiles
from typing import NamedTuple

from triage.domain.taxonomy import Facet, Label, Taxonomy
from triage.domain.triage_result import FacetResult, Neighbour, Step, Suggestion, Supporter
from triage.history import Example
from triage.pipeline.classification.sentences import split
from triage.pipeline.decision import VOTE_TEMPERATURE

MAX_STEPS = 2
MAX_GENERAL_ADVICE = 3


class Shrinkage(NamedTuple):
    """How much the history weighs against the neighbours. Chosen with evals/bench/mitigations.py.

    `to_kind` counts like this many neighbours that used mitigations as often as incidents of this kind do. `to_whole`
    shrinks the share within a kind to that in the whole history, and that within a finer kind to that of its parent,
    like this many incidents.
    """

    to_kind: float = 20.0
    to_whole: float = 4.0


DEFAULT_SHRINKAGE = Shrinkage()


def suggest(
    taxonomy: Taxonomy,
    neighbours: Sequence[Neighbour],
    decided: Mapping[str, FacetResult],
    examples: Sequence[Example] = (),
    shrinkage: Shrinkage = DEFAULT_SHRINKAGE,
) -> list[Suggestion]:
    """Mitigations used in similar incidents, best supported first, then general advice.

    General advice is the actions used most often in `examples` of the decided kind; there is none if no kind is decided
    or no incident of it is known. Empty for a taxonomy without a mitigation facet.
    """
    facet = taxonomy.mitigation
    if facet is None:
        return []
    used = [(neighbour, actions) for neighbour in neighbours if (actions := named_actions(facet, neighbour.labels))]
    shares = support_shares(taxonomy, neighbours, decided, examples, shrinkage)
    texts = {example.incident_id: example.text for example in examples}
    supported = [
        _suggestion(
            facet, facet.label(mitigation), score, [pair for pair in used if mitigation in pair[1]], len(used), texts
        )
        for mitigation, score in shares.items()
    ]
    supported.sort(key=lambda s: (-s.score, -s.support, s.mitigation))
    common = _counts(facet, _of_kind(taxonomy, decided, examples))
    others = sorted((m for m in common if m not in shares and facet.label(m).is_action), key=lambda m: (-common[m], m))
    advice = [
        Suggestion(
            mitigation=mitigation, definition=facet.label(mitigation).definition, score=0.0, is_general_advice=True
        )
        for mitigation in others[:MAX_GENERAL_ADVICE]
    ]
    return supported + advice


def support_shares(
    taxonomy: Taxonomy,
    neighbours: Sequence[Neighbour],
    decided: Mapping[str, FacetResult],
    examples: Sequence[Example] = (),
    shrinkage: Shrinkage = DEFAULT_SHRINKAGE,
) -> dict[str, float]:
    """For each mitigation that a neighbour used, the shrunken share of similar incidents that used it, 0 to 1.

    Neighbours are weighted by similarity, and their share by their effective number (Kish, Survey Sampling, 1965): ten
    neighbours, one of them far closer than the rest, count for little more than one.
    """
    facet = taxonomy.mitigation
    if facet is None:
        return {}
    used = [(neighbour, actions) for neighbour in neighbours if (actions := named_actions(facet, neighbour.labels))]
    # The nearest has weight 1, so that the weights of distant neighbours don't vanish.
    nearest = max((neighbour.similarity for neighbour, _ in used), default=0.0)
    weights = [math.exp((neighbour.similarity - nearest) / VOTE_TEMPERATURE) for neighbour, _ in used]
    shares: dict[str, float] = {}
    for (_, actions), weight in zip(used, weights, strict=True):
        for mitigation in actions:
            shares[mitigation] = shares.get(mitigation, 0.0) + weight / sum(weights)
    expected = _expected(taxonomy, facet, decided, examples, shrinkage.to_whole)
    if not expected:
        return {mitigation: min(1.0, share) for mitigation, share in shares.items()}
    size = sum(weights) ** 2 / sum(weight**2 for weight in weights) if weights else 0.0
    return {
        mitigation: min(
            1.0, (size * share + shrinkage.to_kind * expected.get(mitigation, 0.0)) / (size + shrinkage.to_kind)
        )
        for mitigation, share in shares.items()
    }


def steps(facet: Facet, label: Label, texts: Iterable[tuple[str, str]]) -> tuple[Step, ...]:
    """Up to two sentences that say how the mitigation was done, verbatim, from (incident id, text), nearest first.

    A sentence needs words of the label and a past-tense word of remedy; the more of both, the better. Words of many
    labels count little. Each incident gives at most one sentence.
    """
    labels_with = Counter(stem for other in facet.labels for stem in _words_of(other))
    words = {stem: weight / labels_with[stem] for stem, weight in _words_of(label).items()}
    best: list[tuple[float, int, Step]] = []
    for place, (incident_id, text) in enumerate(texts):
        scored = [(_score(sentence.text, words), sentence.text) for sentence in split(text)]
        score, sentence = max(scored, key=lambda pair: pair[0], default=(0.0, ""))
        if score > 0:
            best.append((-score, place, Step(text=sentence, incident_id=incident_id)))
    return tuple(step for _, _, step in sorted(best, key=lambda scored: scored[:2])[:MAX_STEPS])


def named_actions(facet: Facet, labels: Mapping[str, Collection[str]]) -> list[str]:
    """The mitigations among the labels that are actions."""
    known = {label.id for label in facet.labels if not label.undisclosed}
    return [mitigation for mitigation in dict.fromkeys(labels.get(facet.id, ())) if mitigation in known]


def _of_kind(taxonomy: Taxonomy, decided: Mapping[str, FacetResult], examples: Sequence[Example]) -> list[Example]:
    """The examples with a label decided for the first triaged facet; none if it is undecided."""
    kind = next((facet.id for facet in kind_facets(taxonomy)), "")
    labels = set(decided[kind].labels) if kind in decided else set()
    return [example for example in examples if labels & set(example.labels.get(kind, ()))]


def kind_facets(taxonomy: Taxonomy) -> list[Facet]:
    """The facets that say what kind of incident it is: the first triaged one, then those that refine it."""
    kinds: list[Facet] = []
    for facet in taxonomy.triaged:
        if facet.role != "mitigation" and facet.parent == (kinds[-1].id if kinds else None):
            kinds.append(facet)
    return kinds


def _counts(facet: Facet, examples: Sequence[Example]) -> Counter[str]:
    return Counter(mitigation for example in examples for mitigation in named_actions(facet, example.labels))


def _expected(
    taxonomy: Taxonomy,
    facet: Facet,
    decided: Mapping[str, FacetResult],
    examples: Sequence[Example],
    to_whole: float,
) -> dict[str, float]:
    """The expected share of incidents that used each mitigation, over the likely kinds; {} without examples.

    Kinds are weighted by probability, whether the facet abstained or not. A finer kind's share is shrunk to that of its
    parent, and that to the whole history's.
    """
    known = [example for example in examples if named_actions(facet, example.labels)]
    if not known:
        return {}
    expected = {mitigation: count / len(known) for mitigation, count in _counts(facet, known).items()}
    for kind in kind_facets(taxonomy):
        likely = _likely(decided.get(kind.id))
        within = {label: [example for example in known if label in example.labels.get(kind.id, ())] for label in likely}
        counts = {label: _counts(facet, same) for label, same in within.items()}
        sizes = {label: len(same) + to_whole for label, same in within.items()}
        if likely:
            expected = {
                mitigation: sum(
                    chance * ((counts[label][mitigation] + to_whole * share) / sizes[label] if sizes[label] else share)
                    for label, chance in likely.items()
                )
                for mitigation, share in expected.items()
            }
    return expected


def _likely(result: FacetResult | None) -> dict[str, float]:
    """Label -> probability, summing to 1; uniform over the labels if there are no probabilities."""
    if result is None:
        return {}
    shares = {one.label: one.probability for one in result.distribution} or dict.fromkeys(result.labels, 1.0)
    total = sum(shares.values())
    return {label: share / total for label, share in shares.items() if share > 0} if total else {}


def _suggestion(
    facet: Facet,
    label: Label,
    score: float,
    used: Sequence[tuple[Neighbour, list[str]]],
    considered: int,
    texts: Mapping[str, str],
) -> Suggestion:
    used = sorted(used, key=lambda pair: -pair[0].similarity)
    supporters = [neighbour for neighbour, _ in used]
    times = [neighbour.ttm_minutes for neighbour in supporters if neighbour.ttm_minutes is not None]
    spread = quartiles(times) if times else None
    return Suggestion(
        mitigation=label.id,
        definition=label.definition,
        score=score,
        support=len(supporters),
        considered=considered,
        ended=sum(1 for neighbour, actions in used if neighbour.ttm_minutes is not None and len(actions) == 1),
        incidents=tuple(neighbour.incident_id for neighbour in supporters),
        supporters=tuple(Supporter(incident_id=n.incident_id, title=n.title, url=n.url) for n in supporters),
        steps=steps(
            facet, label, ((n.incident_id, texts[n.incident_id]) for n in supporters if n.incident_id in texts)
        ),
        median_ttm_minutes=spread[1] if spread else None,
        ttm_interquartile_range_minutes=(spread[0], spread[2]) if spread and len(times) > 1 else None,
        ttm_count=len(times),
    )


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """The lower quartile, median and upper quartile of at least one value, by linear interpolation."""
    low, middle, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    return low, middle, high


def _words_of(label: Label) -> dict[str, float]:
    """Stem -> weight: 1 for the name and the inclusions of a label, 0.5 for its definition."""
    named = _stems(" ".join((label.name, *label.includes)))
    return dict.fromkeys(_stems(label.definition), 0.5) | dict.fromkeys(named, 1.0)


def _score(sentence: str, words: Mapping[str, float]) -> float:
    """How well a sentence says that the mitigation was done; 0 if it does not."""
    remedies = {match.casefold() for match in _REMEDY.findall(sentence)}
    shared = sum(words.get(stem, 0.0) for stem in _stems(sentence))
    if shared < _ENOUGH or not remedies or _NOT_DONE.search(sentence):
        return 0.0
    return shared + 0.25 * min(len(remedies), 2)


def _stems(text: str) -> set[str]:
    """The words of `text` without endings: rolled, rolls and rolling have one stem."""
    words = (word for word in re.findall(r"[a-z]{3,}", text.casefold()) if word not in _COMMON)
    return {re.sub(r"(?:ing|ed|es|s|e)$", "", word) if len(word) > 4 else word for word in words}


_COMMON = frozenset(  # one string, because a list would take a line a word
    """
    and another are back end ended for from had has have impact incident into its new not off other out over quickly
    service services set some than that the their then this those under was were which with
    """.split()  # noqa: SIM905
)
_ENOUGH = 0.5
"""A word that two labels share, or one word of a definition."""
# What responders write when they have done something.
_REMEDY = re.compile(
    r"\b(?:added|adjusted|applied|backed out|blocked|brought back|changed|cleared|cordoned|corrected|cut|deployed|"
    r"disabled|drained|enabled|expanded|failed over|fixed|implemented|increased|let in|limited|lowered|mended|"
    r"migrated|mitigated|moved|patched|paused|put (?:\w+ ){0,4}(?:back|in place)|raised|"
    r"rebalanced|rebooted|rebuilt|recovered|recreated|redirected|redistributed|reduced|released|removed|renewed|repaired|replaced|rerouted|resolved|restarted|restored|"
    r"reverted|rolled (?:\w+ ){0,4}(?:back|out)|rotated|scaled|set back|shed|shifted|shut down|stopped|switched|"
    r"(?:taken|took) (?:\w+ ){0,4}(?:back|out|offline)|throttled|turned (?:\w+ ){0,4}(?:off|on)|undid|undone|updated|"
    r"went back|withdrawn|withdrew)\b",
    re.IGNORECASE,
)
# Future work, earlier changes and undisclosed actions did not end the incident.
_NOT_DONE = re.compile(
    r"\b(?:will|going forward|in the future|to prevent|we plan|plans? to|we are (?:also )?(?:adding|working|building)|"
    r"had (?:also |just |recently |already )?(?:been )?(?:changed|rolled out|deployed|released|updated|added|removed|"
    r"limited)|"
    r"(?:not|never|nor) (?:\w+ ){0,2}(?:told|published|said|known|disclosed|described|given|named|work|help)|"
    r"(?:did|could|does) not|likely reason|afterwards|under review|"
    r"(?:improved?|extended|sturdier|better|stronger) (?:\w+ ){0,3}(?:monitoring|alerts|tests|visibility|telemetry)|"
    r"(?:monitoring|alerts|tests|telemetry|playbooks) (?:\w+ ){0,6}(?:improved|extended|strengthened|added))\b",
    re.IGNORECASE,
)
