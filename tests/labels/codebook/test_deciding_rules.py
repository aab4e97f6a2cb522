"""Words that tell two labels apart, and the rules made of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from triage.labels.codebook.deciding_rules import Labelled, Rule, draft, try_out, with_rule
from triage.labels.codebook.terms import Term, separating_terms, terms_of, top_terms


def cases(n: int = 40, *, telltale: bool = True, seed: int = 0) -> list[Labelled]:
    """Half `setting`, half `release`; with `telltale` words nearly all say which."""
    rng = np.random.default_rng(seed)
    filler = ["pods", "queue", "region", "alerts", "customers", "gateway", "retries", "dashboard"]
    found = []
    for i in range(n):
        label = "setting" if i % 2 else "release"
        words = list(rng.choice(filler, 3))
        if telltale and rng.random() < 0.9:
            words.append("misconfigured" if label == "setting" else "deployment")
        found.append(Labelled(label, " ".join(words)))
    return found


def test_terms_are_words_and_pairs_without_common_words_dates_and_placeholders() -> None:
    found = terms_of("The rollout of bad config was on Sept 3. See https://example.org, <EMAIL_1> wrote. Config!")

    assert {"rollout", "bad", "config", "bad config", "wrote"} <= found
    assert not found & {"the", "sept", "https", "email_1", "of bad", "wrote config"}


def test_log_odds_are_those_of_the_formula() -> None:
    first, second = ["disk full", "disk slow"], ["cache full"]
    by_term = {term.term: term for term in separating_terms(first, second, [])}
    # Terms of the groups: disk 2, full 1, slow 1, and the pairs 'disk full', 'disk slow'; cache, full, 'cache full'.
    n_a, n_b, total = 6, 3, 9
    prior = 3 * 2 / total
    odds = math.log((2 + prior) / (n_a + 3 - 2 - prior)) - math.log(prior / (n_b + 3 - prior))

    assert by_term["disk"].z == pytest.approx(odds / math.sqrt(1 / (2 + prior) + 1 / prior), abs=1e-4)
    assert (by_term["disk"].first, by_term["disk"].second) == (2, 0)
    assert by_term["full"].z < 0 < by_term["disk"].z


def test_swapping_the_groups_turns_every_sign() -> None:
    a, b = (["alpha beta", "alpha gamma"], ["gamma delta", "beta delta"])
    there = {term.term: term.z for term in separating_terms(a, b, a + b)}
    back = {term.term: term.z for term in separating_terms(b, a, a + b)}

    assert there == {term: -z for term, z in back.items()}


def test_a_word_is_told_once_for_each_side() -> None:
    terms = [
        Term(term="disk full", first=5, second=0, z=4.0),
        Term(term="disk", first=5, second=0, z=3.5),
        Term(term="rare", first=1, second=0, z=3.0),
        Term(term="cache", first=0, second=6, z=-4.0),
    ]
    for_first, for_second = top_terms(terms, least_z=1.6, least_texts=3, most=5)

    assert [term.term for term in for_first] == ["disk full"]
    assert [term.term for term in for_second] == ["cache"]


def test_telltale_words_make_a_rule_that_holds_on_other_cases() -> None:
    rule = draft("setting", "release", cases(), [])
    trial = try_out("setting", "release", cases(), [])

    assert rule is not None
    assert rule.text == (
        'Between setting and release: if the write-up says "misconfigured", choose setting; if it says "deployment", '
        "choose release."
    )
    assert rule.decide("A deployment went wrong.") == "release"
    assert rule.decide("The deployment was misconfigured.") is None
    assert trial.holds
    assert trial.right.share == 1.0


def test_chance_words_make_no_rule_that_holds() -> None:
    held = [try_out("setting", "release", cases(telltale=False, seed=seed), []).holds for seed in range(20)]

    assert sum(held) <= 2


def test_a_rule_of_one_side_decides_all_others_for_the_other() -> None:
    rule = Rule(a="setting", b="release", for_b=(Term(term="deployment", first=0, second=4, z=-3.0),))

    assert rule.text == 'Between setting and release: if the write-up says "deployment", choose release, else setting.'
    assert (rule.decide("a deployment"), rule.decide("a typo")) == ("release", "setting")


def test_a_rule_is_added_once_whatever_it_said_before() -> None:
    present = "If a setting is blamed, choose setting; otherwise release."
    once = with_rule(present, "setting", "release", "Between setting and release: look at 1.5. Then choose.")
    other = with_rule(once, "setting", "unknown", "Between setting and unknown: choose setting.")
    again = with_rule(other, "setting", "release", "Between setting and release: choose release.")

    assert once.startswith(present)
    assert again == (
        f"{present} Between setting and unknown: choose setting. Between setting and release: choose release."
    )
