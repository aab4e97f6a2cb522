"""What every webhook provider is, and how the incidents in its payloads get bounded texts and stable ids."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import NamedTuple

from triage.domain.incident import Incident, Scalar
from triage.intake.webhooks.signatures import check_secret

MOST_ATTRIBUTES = 50
MOST_WRITE_UP = 100_000
_LONGEST = {"title": 500, "service": 200, "severity": 50}


class Reading(NamedTuple):
    """The incidents of a payload; `ignored` gives the reasons why other parts make none."""

    incidents: tuple[Incident, ...] = ()
    ignored: tuple[str, ...] = ()


class Provider(NamedTuple):
    """A kind of webhook sender.

    `read` makes incidents of a payload and the id of its source: the same payload from the same source gives the same
    incidents with the same ids. It raises a pydantic `ValidationError` for any other content.
    `verify` takes the secret, the headers (names in lower case), the body and the time in Unix seconds, and raises
    `BadSignature` unless the body was sent by someone who knows the secret.
    `check_secret` returns a secret that the provider accepts, else raises `InvalidInput`. The service makes the secret,
    unless the provider `makes_secret` itself once it has the URL.
    """

    kind: str
    read: Callable[[bytes, str], Reading]
    verify: Callable[[str, Mapping[str, str], bytes, float], None]
    check_secret: Callable[[str], str] = check_secret
    makes_secret: bool = False


def stable_id(kind: str, source_id: str, *parts: str) -> str:
    """An id that depends on the source and `parts` only: different sources, and so teams, get different ids."""
    content = "\x1f".join((source_id, *parts))
    return f"{kind}-{hashlib.sha256(content.encode('utf-8', 'replace')).hexdigest()[:24]}"


def make_incident(
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
    """An incident from a sender's texts, which are cut where they are too long."""
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
