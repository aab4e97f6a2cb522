"""The cascade: a model is asked only about facets where its answer can change a label."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import NamedTuple

from triage.domain.taxonomy import Facet, Taxonomy
from triage.domain.triage_result import FacetResult
from triage.pipeline.classification import Answer
from triage.pipeline.decision import FacetRule, default_rule

Decide = Callable[[Mapping[str, Answer]], Mapping[str, FacetResult]]
"""Decides with these answers of the model, by facet."""

KnownPrior = Callable[[Facet], dict[str, float] | None]
"""The prior of the model's answers about a facet, None while it is unknown; see `Classifier.known_prior`."""


class Cascade(NamedTuple):
    """Chooses the facets to ask a model about. `alone` is the decision without it, `rules` are those fitted with it.

    A facet is left out where the rules give the model no weight, and where every answer leaves all labels as they are.
    The decision is tried with the answers that move it furthest: those that are sure of one label, and one for all
    labels but those decided. A facet and those that refine it are asked about together, since each can change the
    others.
    """

    taxonomy: Taxonomy
    rules: Mapping[str, FacetRule]
    alone: Mapping[str, FacetResult]
    decide: Decide
    known_prior: KnownPrior

    def facets(self) -> list[Facet]:
        """The facets to ask about: first the kind of incident, each before those that refine it."""
        return [facet for family in families(self.taxonomy) for facet in self._asked_of(family)]

    def _asked_of(self, family: list[Facet]) -> list[Facet]:
        weighing = [facet for facet in family if weighs_model(self.rules, facet.id)]
        answers = [[(facet.id, answer) for answer in self._furthest(facet)] for facet in weighing]
        can_change = any(self._changes(dict(combined)) for combined in itertools.product(*answers))
        return weighing if can_change else []

    def _furthest(self, facet: Facet) -> list[Answer]:
        decided = self.alone[facet.id].labels
        prior = self.known_prior(facet)
        if prior is None:
            prior = dict.fromkeys(decided, 1.0)
        others = {label: 1.0 for label in facet.ids if label not in decided}
        return [Answer(distribution=shares, prior=prior) for shares in (others, *({k: 1.0} for k in facet.ids))]

    def _changes(self, answers: Mapping[str, Answer]) -> bool:
        decided = self.decide(answers)
        return any(decided[facet].labels != result.labels for facet, result in self.alone.items())


def families(taxonomy: Taxonomy) -> list[list[Facet]]:
    """The triaged facets, each root with those that refine it, in file order.

    >>> [[facet.id for facet in family] for family in families(Taxonomy.load("cloud_reports"))]
    [['root_cause'], ['service_category'], ['user_symptom']]
    """
    found: list[list[Facet]] = []
    for facet in taxonomy.triaged:
        family = next((each for each in found if facet.parent in [known.id for known in each]), None)
        if family is None:
            found.append([facet])
        else:
            family.append(facet)
    return found


def weighs_model(rules: Mapping[str, FacetRule], facet: str) -> bool:
    """True if the rule of the facet gives a model's answer weight."""
    rule = rules.get(facet) or default_rule(())
    return rule.weights.get("model", 0.0) > 0
