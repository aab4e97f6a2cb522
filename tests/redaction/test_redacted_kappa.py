from __future__ import annotations

import pytest

from evals.bench.redacted_kappa import difference, redacted, with_planted
from triage.domain.incident import Incident
from triage.evaluation import Case
from triage.redaction import Redactor

CASE = Case(
    incident=Incident(
        id="case", title="Outage", write_up="The gateway refused requests. It recovered after a restart."
    ),
    gold={"cause": ("code",)},
)


def test_what_was_planted_is_the_same_every_time_and_redaction_takes_it_out() -> None:
    planted = with_planted(CASE, 5)

    assert planted == with_planted(CASE, 5)
    assert planted.incident.text != CASE.incident.text
    assert redacted(planted, Redactor()).incident.text != planted.incident.text
    assert redacted(CASE, Redactor()).incident.text == CASE.incident.text


def test_the_difference_of_two_kappas_has_an_interval_around_it() -> None:
    gold = ["a", "b"] * 20
    worse = ["a", "b"] * 15 + ["b", "a"] * 5

    assert difference(gold, worse, worse, seed=0)[0] == 0
    value, interval = difference(gold, gold, worse, seed=0)
    assert value == pytest.approx(-0.5)
    assert interval.startswith("[-0.")
