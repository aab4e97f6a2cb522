"""Deciding rules drafted from the words that separate two labels, tried on cases that they were not drafted from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel

from triage.agreement.proportion import Proportion
from triage.labels.codebook.terms import Term, separating_terms, telling, terms_of

_LEAST_Z = 1.64
_LEAST_TEXTS = 3
_MOST_TERMS = 5
_LEAST_DECIDED = 10


class Rule(BaseModel, frozen=True):
    """Words that choose label `a` and words that choose label `b`."""

    a: str
    b: str
    for_a: tuple[Term, ...] = ()
    for_b: tuple[Term, ...] = ()

    @property
    def text(self) -> str:
        """The rule in plain words."""
        sides = [(label, terms) for label, terms in ((self.a, self.for_a), (self.b, self.for_b)) if terms]
        told = f"Between {self.a} and {self.b}: if the write-up says {_listed(sides[0][1])}, choose {sides[0][0]}"
        if len(sides) == 2:
            return f"{told}; if it says {_listed(sides[1][1])}, choose {self.b}."
        return f"{told}, else {self.b if sides[0][0] == self.a else self.a}."

    def decide(self, text: str) -> str | None:
        """The label that the words choose; None where they are silent or speak for both alike."""
        held = terms_of(text)
        a, b = (sum(term.term in held for term in side) for side in (self.for_a, self.for_b))
        if not self.for_a or not self.for_b:
            only, other = (self.a, self.b) if self.for_a else (self.b, self.a)
            return only if a + b else other
        return None if a == b else self.a if a > b else self.b


class Trial(BaseModel, frozen=True):
    """How a rule's words do on cases with either gold label that they were not drawn from (drafted on one half, tried
    on the other, both ways).

    `decided` counts the cases in which the words choose, `right` those of them in which they choose gold, and `usual`
    those of them in which the commoner label of the two is gold.
    """

    decided: Proportion
    right: Proportion
    usual: Proportion

    @property
    def holds(self) -> bool:
        """Whether the words choose better than always taking the commoner label: by the whole of their interval."""
        interval, usual = self.right.interval, self.usual.share
        return self.right.n >= _LEAST_DECIDED and interval is not None and usual is not None and interval[0] > usual


class Labelled(NamedTuple):
    """A redacted write-up with its gold label."""

    label: str
    text: str


def draft(a: str, b: str, cases: Sequence[Labelled], background: Sequence[str]) -> Rule | None:
    """A rule from the words that tell cases of `a` and `b` apart; None where no word does well enough."""
    first, second = ([case.text for case in cases if case.label == label] for label in (a, b))
    terms = separating_terms(first, second, background)
    for_a, for_b = telling(terms, least_z=_LEAST_Z, least_texts=_LEAST_TEXTS, most=_MOST_TERMS)
    return Rule(a=a, b=b, for_a=tuple(for_a), for_b=tuple(for_b)) if for_a or for_b else None


def try_out(a: str, b: str, cases: Sequence[Labelled], background: Sequence[str], *, seed: int = 0) -> Trial:
    """What a rule that is drafted like this one reaches on cases that it was not drafted from."""
    either = [case for case in cases if case.label in (a, b)]
    commoner = max((a, b), key=lambda label: sum(case.label == label for case in either))
    halves = (np.random.default_rng(seed).permutation(len(either)) % 2).tolist()
    chosen: list[tuple[str, str]] = []
    for half in (0, 1):
        known, new = (
            [case for case, side in zip(either, halves, strict=True) if (side == half) == is_new]
            for is_new in (False, True)
        )
        rule = draft(a, b, known, background)
        chosen += [(case.label, said) for case in new if rule is not None and (said := rule.decide(case.text))]
    return Trial(
        decided=Proportion(hits=len(chosen), n=len(either)),
        right=Proportion(hits=sum(label == said for label, said in chosen), n=len(chosen)),
        usual=Proportion(hits=sum(label == commoner for label, _ in chosen), n=len(chosen)),
    )


def with_rule(present: str, a: str, b: str, rule: str) -> str:
    """A deciding rule with another one added, in place of what was added for the same two labels before."""
    added = rf"\s*Between (?:{a} and {b}|{b} and {a}): .*?(?=\s+Between \w+ and \w+: |$)"
    return f"{re.sub(added, '', ' '.join(present.split())).strip()} {rule}".strip()


def _listed(terms: Sequence[Term]) -> str:
    quoted = [f'"{term.term}"' for term in terms]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"
