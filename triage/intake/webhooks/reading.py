"""What is read out of a webhook's payload: incidents whose texts are bounded and whose ids are stable."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from triage.domain.incident import Incident, Scalar

MOST_ATTRIBUTES = 50
MOST_WRITE_UP = 100_000
_LONGEST = {"title": 500, "service": 200, "severity": 50}


class Reading(NamedTuple):
    """The incidents of a payload; `ignored` says of the rest why it makes none."""

    incidents: tuple[Incident, ...] = ()
    ignored: tuple[str, ...] = ()


def stable_id(kind: str, source_id: str, *parts: str) -> str:
    """The same id for the same thing of the same source; of another source, and so of another team, another one."""
    content = "\x1f".join((source_id, *parts))
    return f"{kind}-{hashlib.sha256(content.encode('utf-8', 'replace')).hexdigest()[:24]}"


def made(
    incident_id: str,
    source: str,
    title: str,
    write_up: str,
    *,
    service: str = "",
    severity: str = "",
    url: str = "",
    started_at: datetime | None = None,
    attributes: Mapping[str, Scalar] | None = None,
) -> Incident:
    """An incident out of what a sender wrote, cut where it is too long."""
    texts = {"title": " ".join(title.split()), "service": service, "severity": severity}
    return Incident(
        id=incident_id,
        source=source,
        write_up=_clean(write_up)[:MOST_WRITE_UP],
        url=url if url.startswith(("https://", "http://")) and len(url) <= 2_000 and "\x00" not in url else "",
        started_at=started_at,
        attributes={
            _clean(name)[:200]: _clean(value)[:1_000] if isinstance(value, str) else value
            for name, value in list((attributes or {}).items())[:MOST_ATTRIBUTES]
        },
        **{name: _clean(text)[: _LONGEST[name]] for name, text in texts.items()},
    )


def _clean(text: str) -> str:
    return text.replace("\x00", " ").strip()
