from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from triage.domain.incident import Incident, content_id

TIMES = ("started_at", "detected_at", "mitigated_at", "resolved_at")


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"write_up": "  \n ... "}, "is empty"),
        ({"write_up": "a\x00b"}, "NUL"),
        ({"write_up": "down", "id": "../etc"}, "pattern"),
        (
            {"write_up": "down", "started_at": "2026-01-02T10:00", "detected_at": "2026-01-02T09:59"},
            "before started_at",
        ),
        ({"write_up": "down", "started_at": "yesterday"}, "started_at"),
        ({"write_up": "down", "sevrity": "high"}, "Extra inputs"),
    ],
)
def test_an_incident_that_makes_no_sense_is_refused_with_the_reason(fields: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        Incident.model_validate({"id": "i", **fields})


def test_a_time_without_a_zone_is_utc() -> None:
    incident = Incident.model_validate({"id": "i", "write_up": "down", "started_at": "2026-01-02T10:00:00"})

    assert incident.started_at == datetime(2026, 1, 2, 10, tzinfo=UTC)


@given(st.lists(st.datetimes(timezones=st.just(UTC)), min_size=4, max_size=4), st.sets(st.sampled_from(TIMES)))
def test_times_in_their_order_are_accepted_whichever_are_known(moments: list[datetime], known: set[str]) -> None:
    times = {name: moment for name, moment in zip(TIMES, sorted(moments), strict=True) if name in known}

    assert Incident.model_validate({"id": "i", "write_up": "down", **times})


def test_the_time_to_mitigate_counts_from_the_start() -> None:
    incident = Incident.model_validate(
        {"id": "i", "write_up": "down", "started_at": "2026-01-02T10:00", "mitigated_at": "2026-01-02T11:30"}
    )

    assert incident.ttm_minutes == 90


@given(st.text(), st.text())
def test_the_id_of_a_content_is_an_id_and_always_the_same(title: str, write_up: str) -> None:
    made = content_id(title, write_up)

    assert made == content_id(title, write_up)
    assert Incident(id=made, write_up="down").id == made


def test_an_incident_without_a_title_is_told_by_the_beginning_of_its_write_up() -> None:
    assert Incident(id="i", title="Zone\n down", write_up="A switch failed.").headline == "Zone down"
    assert Incident(id="i", write_up="\n A switch\n failed. ").headline == "A switch failed."
    long = Incident(id="i", write_up="word " * 100).headline
    assert long.endswith("word…")
    assert len(long) <= 91
