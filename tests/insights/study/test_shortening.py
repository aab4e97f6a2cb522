"""A study of bounded length keeps its counts."""

from __future__ import annotations

from tests.insights.study.conftest import TAXONOMY, by_lot, corpus, record
from triage.insights.study import Roles, Study, StudyOptions, make_study
from triage.insights.study.study import MOST_GROUPS, shortened

QUICK = StudyOptions(draws=99, resamples=50)


def test_ids_are_left_out_and_counts_are_not() -> None:
    study = make_study(by_lot(1, 80), Roles.load(TAXONOMY), QUICK)
    short = Study.model_validate(shortened(study, 2))
    assert [one.n for one in short.distributions] == [one.n for one in study.distributions]
    assert [len(share.incident_ids) for one in short.distributions for share in one.shares] == [
        min(2, share.hits) for one in study.distributions for share in one.shares
    ]
    assert [(one.n_ended, len(one.ended)) for one in short.durations] == [
        (one.n_ended, min(2, one.n_ended)) for one in study.durations
    ]
    assert "i1" not in str(shortened(study, 0)["distributions"])


def test_groups_of_repeats_are_bounded_and_counted() -> None:
    texts = [
        f"{word} {word}x {word}y {word}z"
        for n in range(MOST_GROUPS + 5)
        if (word := f"w{chr(97 + n % 26)}{n // 26 * 'q'}")
    ]
    records = [record(2 * n + twin, {}, text=text) for n, text in enumerate(texts) for twin in range(2)]
    document = shortened(make_study(corpus(records), Roles(), QUICK), 20)
    assert document["repeats"]["n_groups"] == MOST_GROUPS + 5
    assert len(document["repeats"]["groups"]) == MOST_GROUPS
