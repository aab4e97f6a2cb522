"""The sentence of a write-up that says what ended the incident, for mitigations that are known."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from typing import NamedTuple

from triage.domain.taxonomy import Facet, Label
from triage.history.text_cache import cached_by_text
from triage.pipeline.classification.cues import cue_patterns
from triage.pipeline.classification.sentences import is_boilerplate, split

# Rounded from a logistic regression on the quotes of the shipped history; see evals/bench/mitigations.py.
_CUE, _WORD, _ACT, _LATE, _UNDONE, _BOILERPLATE = 2.0, 1.0, 2.0, 1.5, -1.5, -1.0
_MOST_ACTS = 2
_MOST_WORDS = 2.0
_ENOUGH_WORDS = 0.3
"""A word that three labels share, or one word of a definition."""


class EndingReader:
    """Finds the sentence that says how mitigations of `facet` were carried out.

    It needs a word of remedy, and a cue or words of a mitigation. The more of them, and the later, the better. Plans
    don't count, and work in progress counts less.
    """

    def __init__(self, facet: Facet) -> None:
        labels_with = Counter(stem for label in facet.labels for stem in _words_of(label))
        self._words = {
            label.id: {stem: weight / labels_with[stem] for stem, weight in _words_of(label).items()}
            for label in facet.labels
        }
        patterns = cue_patterns(tuple(label.cues for label in facet.labels))
        self._cues = dict(zip(facet.ids, patterns, strict=True))

    def find(self, text: str, mitigations: Collection[str]) -> tuple[str, float] | None:
        """The sentence of `text`, verbatim, that says best that one of `mitigations` was done, with its score."""
        scored = [
            (sentence.text, sentence.score + named)
            for sentence in _telling(text)
            if (named := max((self._named(sentence, mitigation) for mitigation in mitigations), default=0.0))
        ]
        return max(scored, key=lambda pair: pair[1], default=None)

    def _named(self, sentence: _Telling, mitigation: str) -> float:
        """How clearly the sentence names the mitigation; 0 if it does not."""
        words = sum(self._words[mitigation].get(stem, 0.0) for stem in sentence.stems)
        cue = _CUE if self._cues[mitigation].search(sentence.text) else 0.0
        return cue + _WORD * min(words, _MOST_WORDS) if cue or words >= _ENOUGH_WORDS else 0.0


class _Telling(NamedTuple):
    """A sentence with a word of remedy; `score` is what doesn't depend on the mitigation."""

    text: str
    stems: frozenset[str]
    score: float


@cached_by_text  # every new incident is compared with the same history
def _telling(text: str) -> tuple[_Telling, ...]:
    sentences = split(text)
    found = []
    for place, sentence in enumerate(sentences):
        acts = {match.casefold() for match in _REMEDY.findall(sentence.text)}
        if not acts or _NOT_DONE.search(sentence.text):
            continue
        score = _ACT * min(len(acts), _MOST_ACTS) + _LATE * place / len(sentences)
        score += _UNDONE * bool(_UNFINISHED.search(sentence.text)) + _BOILERPLATE * is_boilerplate(sentence.text)
        found.append(_Telling(sentence.text, frozenset(_stems(sentence.text)), score))
    return tuple(found)


def _words_of(label: Label) -> dict[str, float]:
    """Stem -> weight: 1 for the name and the inclusions of a label, 0.5 for its definition."""
    named = _stems(" ".join((label.name, *label.includes)))
    return dict.fromkeys(_stems(label.definition), 0.5) | dict.fromkeys(named, 1.0)


def _stems(text: str) -> set[str]:
    """The words of `text` without endings: rolled, rolls and rolling have one stem."""
    words = (word for word in re.findall(r"[a-z]{3,}", text.casefold()) if word not in _COMMON)
    return {re.sub(r"(?:ing|ed|es|s|e)$", "", word) if len(word) > 4 else word for word in words}


_COMMON = frozenset(  # one string, because a list would take a line a word
    """
    and another are back end ended for from had has have impact incident into its new not off other out over quickly
    service services set some than that the their then this those under was were which with
    """.split()  # noqa: SIM905
)
# What responders write when they have done something.
_REMEDY = re.compile(
    r"\b(?:add(?:ed|ing)|adjusted|applied|back(?:ed)? out|blocked|brought back|cached?|changed|cleared|cordoned|"
    r"correct(?:ed|ion)|cut|deployed|disabl(?:ed|ing)|drained|enabled|expanded|failed over|fix(?:ed)?|gave|"
    r"implemented|increased|(?:is|are|went) (?:in|out|live)|let in|limited|lower(?:ed|ing)|mended|migrated|"
    r"mitigat(?:ed|es|ing|ion)|mov(?:ed|ing)|patched|paused|put|rais(?:ed|ing)|re-?imaged|reapplied|"
    r"rebalanc(?:ed|ing)|rebooted|rebuilt|recover(?:ed|ing)|recreated|redeploy\w*|redirected|redistributed|"
    r"reduced|released|removed|renewed|repair(?:ed|ing)|replaced|re-?rout(?:ed|ing)|resolved|restarted|restored|"
    r"revert(?:ed|ing)|rollbacks?|roll(?:ed|ing) (?:\w+ ){0,4}(?:back|out)|rotated|scaled|sent|set back|shed|"
    r"shifted|shut down|stopped|switched|(?:taken|took) (?:\w+ ){0,4}(?:back|out|offline)|throttled|"
    r"turn(?:ed|ing)|undid|undone|updated|went back|withdrawn|withdrew)\b",
    re.IGNORECASE,
)
# Future work, earlier changes and undisclosed actions did not end the incident.
_NOT_DONE = re.compile(
    r"\b(?:will|going forward|in the future|to prevent|we plan|plans? to|we are (?:also )?(?:adding|working|building)|"
    r"had (?:also |just |recently |already )?(?:been )?(?:changed|rolled out|deployed|released|updated|added|removed|"
    r"limited)|"
    r"(?:not|never|nor) (?:\w+ ){0,2}(?:told|published|said|known|disclosed|described|given|named|work|help)|"
    r"(?:did|could|does) not|likely reason|afterwards|under review|"
    r"(?:improved?|extended|sturdier|better|stronger) (?:\w+ ){0,3}(?:monitoring|alerts|tests|visibility|telemetry)|"
    r"(?:monitoring|alerts|tests|telemetry|playbooks) (?:\w+ ){0,6}(?:improved|extended|strengthened|added))\b",
    re.IGNORECASE,
)
# Work in progress, and causes, which may name the same deeds.
_UNFINISHED = re.compile(
    r"\b(?:(?:is|are|be|being) (?:being|working|looking|investigating|rolling)|working on|"
    r"being (?:implemented|worked|deployed|rolled)|investigat\w+|under ?way|in progress|to be|looking into|next|later|"
    r"since then|from now on|now also|long[- ]term|root cause|caus(?:e|ed|es|ing)|led to|triggered)\b",
    re.IGNORECASE,
)
