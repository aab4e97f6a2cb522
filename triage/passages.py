"""The text of an incident, cut where evidence begins and ends."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from triage.triage_result import Evidence


class Passage(NamedTuple):
    """A piece of the text, and the facets that it is evidence for; of these, `begun` are those whose evidence starts
    here."""

    text: str
    facets: tuple[str, ...] = ()
    begun: tuple[str, ...] = ()


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
