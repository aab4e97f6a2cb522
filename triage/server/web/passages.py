"""The text of an incident, cut where evidence begins and ends."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from triage.domain.incident import Incident
from triage.domain.triage_result import Evidence


class Passage(NamedTuple):
    """A piece of the text, and the facets that it is evidence for; of these, `begun` are those whose evidence starts
    here."""

    text: str
    facets: tuple[str, ...] = ()
    begun: tuple[str, ...] = ()


class Read(NamedTuple):
    """Title and write-up in passages. `is_cut` where there is more of the write-up than this."""

    title: list[Passage]
    write_up: list[Passage]
    is_cut: bool


def read(incident: Incident, evidence: Mapping[str, Iterable[Evidence]], most: int | None = None) -> Read:
    """An incident with its evidence (facet -> evidence, by its places in `Incident.text`).

    Of the write-up with at most so many characters.
    """
    ends, begins = len(incident.title), len(incident.text) - len(incident.write_up)
    text = incident.text if most is None else incident.text[: begins + most]
    title, write_up, place = [], [], 0
    for one in passages(text, evidence, breaks=[ends, begins]):
        # What parts the two is neither's.
        if place < ends:
            title.append(one)
        elif place >= begins:
            write_up.append(one)
        place += len(one.text)
    return Read(title, write_up, len(text) < len(incident.text))


def passages(text: str, evidence: Mapping[str, Iterable[Evidence]], breaks: Iterable[int] = ()) -> list[Passage]:
    """`text` in pieces, each evidence for the same facets (facet -> evidence) from its first character to its last.

    Joined they are the text. Spans may overlap; what reaches beyond the text is cut off. It is cut at `breaks` too.

    >>> [(one.text, one.facets) for one in passages("It broke.", {"what": [Evidence(start=3, end=8, quote="broke")]})]
    [('It ', ()), ('broke', ('what',)), ('.', ())]
    """
    spans = [
        (facet, each.start, min(each.end, len(text)))
        for facet, found in evidence.items()
        for each in found
        if each.start < min(each.end, len(text))
    ]
    cuts = {0, len(text), *(place for _, start, end in spans for place in (start, end))}
    cuts |= {place for place in breaks if 0 < place < len(text)}
    places = sorted(cuts)
    return [
        Passage(
            text[start:end],
            tuple(dict.fromkeys(facet for facet, first, last in spans if first <= start < last)),
            tuple(dict.fromkeys(facet for facet, first, _ in spans if first == start)),
        )
        for start, end in itertools.pairwise(places)
    ]
