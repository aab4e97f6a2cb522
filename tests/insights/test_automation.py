from __future__ import annotations

import pytest

from tests.insights.test_ledger import TAXONOMY, record
from triage.cli.past_incidents import markdown
from triage.domain.taxonomy import Taxonomy
from triage.insights.automation import DEFAULT_CRITERIA, Opportunities, opportunities, playbook_table
from triage.insights.ledger import NoMitigationFacet, Record


def crashes() -> list[Record]:
    """Eight crashes that a restart ended, one where it needed a hotfix too, one that a hotfix ended; and timeouts."""
    restarted = [record(f"r{n}", "restart", minutes=60 + n) for n in range(8)]
    odd = [record("both", "restart", "hotfix", minutes=300), record("other", "hotfix", minutes=200)]
    timeouts = [record(f"t{n}", "hotfix", minutes=400 + n, mode="timeout") for n in range(6)]
    return [*restarted, *odd, *timeouts]


def texts(records: list[Record]) -> dict[str, str]:
    told = {"restart": "the worker hung in a deadlock", "hotfix": "the parser refused emoji"}
    return {incident.id: f"Then {told[labels['mitigation'][-1]]}." for incident, labels in records}


def found(records: list[Record] | None = None, **criteria: float) -> Opportunities:
    records = crashes() if records is None else records
    return opportunities(TAXONOMY, records, texts(records), DEFAULT_CRITERIA._replace(**criteria))  # type: ignore[arg-type]


def test_what_ended_the_same_kind_again_and_again_is_a_candidate() -> None:
    playbook = found().playbooks[0]

    assert playbook.trigger == {"category": ("inference_engine",), "failure_mode": ("crash",)}
    assert (playbook.action, str(playbook.ended)) == ("restart", "8 of 9 [57%, 98%]")
    assert playbook.incidents == (*(f"r{n}" for n in range(8)), "both")
    assert {"worker hung", "deadlock"} & set(playbook.words)


def test_the_guard_holds_the_incidents_in_which_it_did_not_do() -> None:
    guard = found().playbooks[0].guard

    assert (guard.not_enough, guard.otherwise, guard.others) == (("both",), ("other",), {"hotfix": 2})


def test_the_saving_counts_only_what_the_action_ended_alone_less_its_own_time() -> None:
    saving = found(action_minutes=10.0).playbooks[0].saving

    assert saving.n == 10
    assert saving.mean == pytest.approx(sum(60 + n - 10 for n in range(8)) / 10)
    assert saving.interval is not None
    assert 0 < saving.interval.low < saving.mean < saving.interval.high < 60


def test_a_coarser_kind_with_the_same_action_is_left_out() -> None:
    assert [one.action for one in found().playbooks] == ["restart"]


def test_what_is_frequent_and_no_candidate_says_why() -> None:
    slow = {(one.action, one.doubts) for one in found().near_misses}
    assert ("hotfix", ("not fast",)) in slow
    unsure = [record(f"i{n}", *(("restart",) if n < 3 else ("restart", "hotfix"))) for n in range(6)]
    assert {one.doubts for one in found(unsure).near_misses} == {("not repeatable",)}
    unknown = [record(f"i{n}", "restart", minutes=None) for n in range(6)]
    assert {one.doubts for one in found(unknown).near_misses} == {("few known ends",)}


def test_labels_that_the_taxonomy_no_longer_has_make_no_kind() -> None:
    gone = [record(f"g{n}", "restart", minutes=60 + n, mode="gone") for n in range(9)]

    (playbook,) = found(gone).playbooks
    table = playbook_table(found(gone), TAXONOMY)

    assert playbook.trigger == {"category": ("inference_engine",)}
    assert table.rows[0].cells[0] == "Inference engine"


def test_what_nobody_carries_out_is_no_playbook() -> None:
    alone = [record(f"i{n}", "self_recovered") for n in range(9)]
    records_without_words = opportunities(TAXONOMY, alone, {})
    assert (records_without_words.playbooks, records_without_words.near_misses) == ((), ())
    assert Taxonomy.load("llm_inference").fingerprint == "7f1053b6c367"


def test_the_report_is_markdown_with_the_assumptions() -> None:
    told = markdown(found(), TAXONOMY)
    assert told.startswith("# Automation opportunities")
    assert "## 1. Restart, in incidents of Inference engine, Crash" in told
    assert "upper bound" in told
    assert "| Inference engine, Timeout | Hotfix | 6 | 100% | 402 | not fast |" in told
    assert "No pair of kind and action" in markdown(found([]), TAXONOMY)


def test_a_taxonomy_without_mitigations_is_refused() -> None:
    with pytest.raises(NoMitigationFacet):
        opportunities(Taxonomy.load("cloud_faults"), [], {})
