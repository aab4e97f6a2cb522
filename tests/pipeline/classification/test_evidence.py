from __future__ import annotations

from triage.pipeline.classification.evidence import locate
from triage.redaction import Redactor

TEXT = "Mail ops@corp.example.\n\nThe  Redis cluster\nran out of connections. Restarted at 10.2.3.4."


def test_a_quote_is_found_whatever_its_white_space_and_case_and_points_into_the_original() -> None:
    (evidence,) = locate(["the redis cluster ran out"], Redactor().redact(TEXT))

    assert TEXT[evidence.start : evidence.end] == "The  Redis cluster\nran out"


def test_a_quote_that_is_not_there_is_left_out() -> None:
    assert locate(["the cluster was fine", ""], Redactor().redact(TEXT)) == ()


def test_a_quote_over_a_placeholder_covers_the_whole_item_and_does_not_show_it() -> None:
    redacted = Redactor().redact(TEXT)
    (evidence,) = locate(["Restarted at <IP_1>"], redacted)

    assert TEXT[evidence.start : evidence.end] == "Restarted at 10.2.3.4"
    assert "10.2.3.4" not in evidence.quote
