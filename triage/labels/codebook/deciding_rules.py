"""Deciding rules drafted from the words that separate two labels, and tested on held-out cases."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel

from triage.agreement.proportion import Proportion
from triage.labels.codebook.terms import Term, separating_terms, terms_of, top_terms

_LEAST_Z = 1.64
_LEAST_TEXTS = 3
_MOST_TERMS = 5
_LEAST_DECIDED = 10


class Rule(BaseModel, frozen=True):
    """Words that choose label `a`, and words that choose label `b`."""

    a: str
    b: str
    for_a: tuple[Term, ...] = ()
    for_b: tuple[Term, ...] = ()

    @property
    def text(self) -> str:
        """The rule as a sentence."""
        sides = [(label, terms) for label, terms in ((self.a, self.for_a), (self.b, self.for_b)) if terms]
        start = f"Between {self.a} and {self.b}: if the write-up says {_listed(sides[0][1])}, choose {sides[0][0]}"
        if len(sides) == 2:
            return f"{start}; if it says {_listed(sides[1][1])}, choose {self.b}."
        return f"{start}, else {self.b if sides[0][0] == self.a else self.a}."

    def decide(self, text: str) -> str | None:
        """The label that the words choose; None if there are none, or as many for each label."""
        words = terms_of(text)
        a, b = (sum(term.term in words for term in side) for side in (self.for_a, self.for_b))
        if not self.for_a or not self.for_b:
            only, other = (self.a, self.b) if self.for_a else (self.b, self.a)
            return only if a + b else other
        return None if a == b else self.a if a > b else self.b


class Trial(BaseModel, frozen=True):
    """How a rule's words do on held-out cases: drafted on one half and tested on the other, both ways.

    `decided` counts the cases in which the words choose a label, `right` those of them with that gold label, and
    `usual` those of them whose gold label is the more common of the two.
    """

    decided: Proportion
    right: Proportion
    usual: Proportion

    @property
    def holds(self) -> bool:
        """True if the whole interval of `right` is above the share of the more common label."""
        interval, usual = self.right.interval, self.usual.share
        return self.right.n >= _LEAST_DECIDED and interval is not None and usual is not None and interval[0] > usual


class Labelled(NamedTuple):
    """A redacted write-up with its gold label."""

    label: str
    text: str


def draft(a: str, b: str, cases: Sequence[Labelled], background: Sequence[str]) -> Rule | None:
    """A rule from the words that separate cases of `a` and `b`; None if no word does well enough."""
    first, second = ([case.text for case in cases if case.label == label] for label in (a, b))
    terms = separating_terms(first, second, background)
    for_a, for_b = top_terms(terms, least_z=_LEAST_Z, least_texts=_LEAST_TEXTS, most=_MOST_TERMS)
    return Rule(a=a, b=b, for_a=tuple(for_a), for_b=tuple(for_b)) if for_a or for_b else None


def try_out(a: str, b: str, cases: Sequence[Labelled], background: Sequence[str], *, seed: int = 0) -> Trial:
    """Test rules that are drafted like this one on cases that they were not drafted from."""
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
        chosen += [(case.label, decision) for case in new if rule is not None and (decision := rule.decide(case.text))]
    return Trial(
        decided=Proportion(hits=len(chosen), n=len(either)),
        right=Proportion(hits=sum(label == decision for label, decision in chosen), n=len(chosen)),
        usual=Proportion(hits=sum(label == commoner for label, _ in chosen), n=len(chosen)),
    )


def with_rule(present: str, a: str, b: str, rule: str) -> str:
    """A deciding rule with another one added, replacing an earlier addition for the same two labels."""
    added = rf"\s*Between (?:{a} and {b}|{b} and {a}): .*?(?=\s+Between \w+ and \w+: |$)"
    return f"{re.sub(added, '', ' '.join(present.split())).strip()} {rule}".strip()


def _listed(terms: Sequence[Term]) -> str:
    quoted = [f'"{term.term}"' for term in terms]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"
