"""Removes prompt injections: sentences of a write-up that instruct a model instead of describing the incident.

A write-up is untrusted text. Asking a model to ignore instructions in it helps large models, but hardly small ones. So
such sentences are removed and counted before any model sees the text. The stored write-up keeps them, and people see
all of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from triage.domain.lines import clean_text
from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import Neighbour
from triage.pipeline.classification.disguises import has_cue, hidden, unmasked
from triage.pipeline.classification.sentences import Sentence, before_resolution, split

_TARGET = (
    r"(?:instructions?|directions?|prompts?|rules?|guidelines?|guidance|codebook|definitions?|taxonomy|everything"
    r"|(?:above|previous|prior|earlier|preceding)(?=\s*(?:[.,;:!?)\"'-]|$|and\b))|write-?up|facts|evidence|anweisung\w*|vorgaben|regeln|definition\w*|instru[cç]\w+"
    r"|istruzioni|consignes?|règles|reglas|regole|regras|defini\w+|instructies|regels|instrukcj\w*|zasad\w*|инструкц\w*"
    r"|указани\w*|правил\w*|определени\w*)"
)
_IGNORE = (
    r"(?:ignore[nrsz]?|ignorier\w*|ignora\w*|ignoruj\w*|disregard|forget|override|bypass|skip|discard|vergiss|vergessen|vergeet"
    r"|oubli\w+|olvid\w+|dimentica\w*|esque[cç]\w*|negeer|zignoruj|игнорируй\w*|забудь\w*|проигнорируй\w*"
    r"|(?:do not|don't|never) (?:follow|heed|obey|apply|weigh|judge by|rely on|look at)|pay no (?:attention|heed) to|leave aside"
    r"|nicht befolgen|befolge nicht|ne (?:ti\w+|tenez|suis|suivez) pas|no (?:sigas|siga|hagas caso)|não (?:siga|sigas)"
    r"|non (?:seguire|segua)|volg niet|nie przestrzegaj|не (?:обращай\w*|следуй\w*|учитывай\w*))"
)
_ANSWER = (
    r"(?:answer|respond|reply|output|print|return|classify|categori[sz]e|label|choose|select|pick|prefer|say|write|mark|tag"
    r"|set|report|assign|give|go with|antworte\w*|klassifizier\w*|wähle\w*|ordne|stufe|responde\w*|r[eé]pond\w*|class(?:e|ez|ifica|ifique)"
    r"|choisi\w+|elige|elija|escolh\w+|scegli\w*|kies|wybierz|rispondi|classifica|contesta|clasific\w+|antwoord|odpowiedz"
    r"|einstufen|einordnen|zuordnen|contestar|sınıflandır\w*|ответь\w*|отвечай\w*|выбери\w*|отнеси\w*|классифицируй\w*)"
)
_CATEGORY = (
    r"(?:label|category|class|answer|bucket|kategorie|klasse|catégorie|étiquette|categor[ií]a|etiqueta|r[óo]tulo|etichetta"
    r"|categorie|kategori\w+|etykiet\w+|категори\w+|метк\w+)"
)
# Readers who label write-ups: machines and people.
_MACHINE = (
    r"(?:ai|llm|language model|assistant|classifier|chat ?bot|(?:triage|review|label\w*)[ -](?:bot|model|tool|system|agent)"
    r"|(?:automat\w+|ai|llm)[ -](?:review\w*|label\w*|classifi\w*|triage|annotat\w*|reader|grader|tool|agent)|labell?er)s?"
)
_LABELLER = r"(?:reviewers?|annotators?|labell?ers?|graders?|raters?|who(?:ever| ever) (?:labels|reads|reviews|triages|classifies))"
_LEAD = r"^[\s>*#\-`\"'(\[{/|<!]*"
_CLAUSE = r"(?:^|[.:;,!?\n]|\b(?:please|and|then|now|must|should|before|first)\b)[\s\"'*`#>(-]*"

# Phrases that no write-up contains by chance, even in a disguised reading.
_PLAIN = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        # A flag such as --ignore-eos gives no order, but --ignore-previous-instructions does.
        rf"\b(?!(?<=--)(?:\w+-)+(?!{_TARGET}\b)\w+(?![-\w])){_IGNORE}\b[^.!?\n]{{0,60}}\b{_TARGET}\b",
        r"\b(?:ignore|disregard|forget)\b[^.!?\n]{0,20}\b(?:the rest|this (?:document|text)|what the others|remaining text)\b",
        # Without spaces between the words.
        r"(?:ignore|disregard|forget|override)(?:all|any|the|these|your|of|previous|prior|above|earlier){1,4}(?:instructions?|rules|prompts?|definitions|guidelines)",
        r"\b(?:correct|right|true|final|expected|only|proper|gold)\s+(?:answer|label|category|classification|letter|option|output)\s*(?:is\b|here\b|:|=|for (?:this|the|evaluation|grading)\b)",
        r"\b(?:your|the)\s+(?:answer|classification|output|response|verdict|label)\s+(?:must|should|shall|has to|needs to|will)\s+be\b",
        r"\b(?:forced?|override|expected|target|gold|final)\s+(?:label|category|answer|class|verdict)\s*[:=]",
    )
)
_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?:忽略|无视|無視|不要理会|忘记|忘れ|(?:不要|不必|不用|别|請勿|请勿)(?:遵守|遵循|理会|管|看|参考))[^。！？\n]{0,30}",
        r"(?:무시하|무시해|잊어|따르지 ?마)",
        r"تجاهل|تجاهلوا|لا تتبع",
        # Marks of a chat with a model, and of the quotation around the write-up.
        r"<\|?/?\s*(?:im_start|im_end|system|assistant|endoftext|begin_of_text|start_header_id|eot_id)\b",
        r"\[/?(?:INST|SYS)\]|<</?SYS>>|</?\s*write_?up\s*>|</?\s*(?:instructions?|prompt|answer|label)s?\s*>",
        r"^[\s>*#\-`\"'(\[{]*(?:system|assistant|developer|human)(?:\s+(?:prompt|message|note|override|notice))?[\s*`\"'\])}]*:(?!\s*(?:ubuntu|debian|centos|rhel|red hat|linux|windows|mac ?os)\b)",
        r"^[\s>]*(?:#{1,6}|\[+|\*\*|<|={2,}|-{2,})\s*(?:system|developer|assistant)\s+(?:prompt|message|override|instructions?|notice|update|policy)\b",
        r"^[\s>*#\-`\"']*(?:new|updated|final|important|special)\s+(?:instructions?|task|system prompt|directive)\b",
        # Statements about the model's task.
        r"\byou (?:are(?! (?:trying|using|running|loading|serving|able|getting|seeing))|act|will act|must act|should act)\b[^.!?\n]{0,40}\b(?:ai|llm|language model|assistant|classifier|model)\b",
        r"\b(?:as an|dear|hey|hello|note to(?: the)?|attention)[\s,:]+(?:ai|llm|language model|assistant|classifier|model|bot)\b",
        rf"\b(?:note|message|hint|instructions?|reminder)\s+(?:to|for)\s+(?:the |any |all |every )?{_MACHINE}\b",
        rf"{_LEAD}(?:note\s+)?(?:to|for)\s+(?:the |any |all |every )?{_MACHINE}\b[^.!?\n]{{0,40}}[:,]",
        rf"{_LEAD}(?:(?:ai|llm|bot|agent|reviewer)[ _-](?:instructions?|directives?|hints?))\b",
        rf"(?:{_LEAD}|[\"“@])(?:{_MACHINE}|model)\s*[,:]\s*(?:please\s+)?(?:you\b|your\b|{_ANSWER}\b|{_IGNORE}\b)",
        rf"\b{_MACHINE}\b[^.!?\n]{{0,20}}:\s*(?:please\s+)?{_ANSWER}\b",
        rf"\bwhat (?:should|must|will|does) (?:the |an? )?{_MACHINE} (?:answer|say|choose|label)\b",
        r"\b(?:which|what) (?:label|category)\b[^.!?\n]{0,30}\?|\b(?:give|tell) me (?:the|your) (?:label|category|answer)\b",
        rf"(?:^|[.!?:;,\n]|\b(?:and|e|et|en|und|y|i|и))\s*{_ANSWER}\b[^.!?\n]{{0,60}}\b(?:der kategorie|als label|die kategorie|la catégorie|la categor[ií]a|a categoria|l'étiquette|etichetta|como etiqueta|de categorie|kategori[aęi]\w*|категори[юией]+)\b",
        r"\b(?:decode|decrypt|unscramble)\b[^.!?\n]{0,40}\b(?:do|follow|obey|execute|act|comply)\b",
        r"\b(?:old|above|earlier|previous|prior)\s+(?:prompts?|instructions?|rules)\b[^.!?\n]{0,20}\b(?:no longer|not|void|obsolete|invalid|expired|over)\b",
        r"\bend of (?:the )?(?:write-?up|document|report|quotation)\b|\byour (?:new|real|actual|only) (?:task|job|goal|instructions?)\b|\byour (?:hidden|system|initial|original) (?:prompt|instructions?)\b",
        r"\b(?:what (?:were|are)|dump|translate|repeat) your (?:prompt|instructions?|rules)\b|\byour (?:job|task) is to (?:answer|output|return|label|say)\b",
        r"\b(?:talimat\w*|kural\w*)\s+(?:yok say|görmezden gel|unut)",
        # Requests for the prompt or for what was redacted.
        r"\b(?:repeat|reveal|print|show|output|disclose|leak|quote)\b\s+(?:me\s+)?(?:your|the|all|this|these|any)\b[^.!?\n]{0,30}\b(?:prompts?|instructions|codebook|placeholders?|neighbou?rs)\b",
        rf"{_CLAUSE}(?:repeat|reveal|print|show|disclose|leak|quote|copy|list|recite|write (?:down|out)|spell out|tell me|include|undo|restore|unmask|remove)\b[^.!?\n]{{0,60}}\b(?:system (?:prompt|message)|codebook|placeholders?|redact(?:ed|ion)s?|masking|masked|above the write-?up)\b",
        r"\b(?:what|whatever|(?:value|original) (?:of|behind|for))\s+<[A-Z_]{2,24}_[0-9]{1,4}>",
        r"\b(?:instructions?|prompts?|past incidents|examples|definitions|rules|codebook|system message)\s+(?:that\s+)?you\s+(?:(?:were|are|have been) (?:shown|given|told)|received|got|follow)\b",
        r"\banswer\s+(?:with\s+)?(?:the\s+)?(?:letter\s+)?[\"'`(]?[A-Z][\"'`)]?\s*(?:[.,;!]|$|for\b|to\b|only\b)",
        r"\bdo not (?:read|analy[sz]e|consider|classify|use the (?:write-up|definitions))\b",
    )
)
_NO_NOUN = (
    r"(?=\W*(?:$|[.,;:!?)\n]|(?:severity|severities|level|case|incident|category|label|class|one|fault|and|or|as|at|because|but|by|even|"
    r"for|from|here|if|in|instead|no|not|now|on|only|please|regardless|since|that|there|this|though|to|when|whatever|with|without|"
    r"for|ein|zu|an|als|por|para|pour|per|come|como)\b))"
)
_DISTINCT = 10
"""Label names of this length rarely occur by chance; `high` or `node` do."""
_PIECE = 60
_PIECES = 6
_LIST_MARKS = re.compile(r"^[\s>*#|+•-]+(?=\s)\s*|^\d+[.)]\s+|[\s|]+$")
_PROSE = re.compile(r"[^\W\d_][\w'’\" ,:;-]*[.:;!]?")


class ReadableText(NamedTuple):
    """The sentences of a write-up that are read, how many were withheld, and the text that they make.

    If `is_whole`, no sentence was left out: the text is the redacted write-up without comments and repeated log lines.
    """

    sentences: list[Sentence]
    withheld: int
    text: str
    is_whole: bool


def readable_text(text: str, taxonomy: Taxonomy, *, without_ending: bool = False) -> ReadableText:
    """A redacted write-up as it is embedded, learned from and shown to a model.

    With `without_ending` the sentences that tell how the incident ended are left out.
    """
    sentences, withheld = without_instructions(split(text), taxonomy)
    if without_ending:
        sentences = before_resolution(sentences)
    is_whole = not withheld and not without_ending
    # Instructions name labels: they must not affect retrieval or count as words of the incident.
    kept = clean_text(text) if is_whole else "\n".join(sentence.text for sentence in sentences)
    return ReadableText(sentences, withheld, kept, is_whole)


def without_instructions(sentences: Iterable[Sentence], taxonomy: Taxonomy) -> tuple[list[Sentence], int]:
    """The sentences without instructions to a model, and how many were removed.

    If none would remain, all are kept: there is no incident to protect then.
    """
    every = list(sentences)
    kept = _kept(every, _orders(taxonomy))
    return (kept, len(every) - len(kept)) if kept else (every, 0)


def without_instructions_in(neighbour: Neighbour, taxonomy: Taxonomy) -> Neighbour:
    """`neighbour` without instructions in its title and excerpt, even if nothing remains of them."""
    cleaned = {name: _without_orders(getattr(neighbour, name), _orders(taxonomy)) for name in ("title", "excerpt")}
    return neighbour.model_copy(update=cleaned)


class _Orders(NamedTuple):
    """Patterns of instructions that name labels of a taxonomy: `outright` ones, and all with implied ones."""

    outright: tuple[re.Pattern[str], ...]
    all: tuple[re.Pattern[str], ...]


def _without_orders(text: str, orders: _Orders) -> str:
    sentences = split(text)
    kept = _kept(sentences, orders)
    return clean_text(text) if len(kept) == len(sentences) else " ".join(sentence.text for sentence in kept)


def _kept(sentences: Sequence[Sentence], orders: _Orders) -> list[Sentence]:
    withheld = {index for index, sentence in enumerate(sentences) if _is_order(sentence.text, orders)}
    withheld |= _in_pieces(sentences, withheld, orders)
    return [sentence for index, sentence in enumerate(sentences) if index not in withheld]


def _is_order(text: str, orders: _Orders) -> bool:
    readings = {text, unmasked(text)}
    if any(pattern.search(reading) for reading in readings for pattern in (*_PLAIN, *_PATTERNS, *orders.all)):
        return True
    return any(pattern.search(reading) for reading in hidden(text) for pattern in (*_PLAIN, *orders.outright))


def _in_pieces(sentences: Sequence[Sentence], known: set[int], orders: _Orders) -> set[int]:
    """The sentences that are an instruction only together: one that was split into short lines."""
    found: set[int] = set()
    lines = [_LIST_MARKS.sub("", sentence.text) for sentence in sentences]
    is_piece = [n not in known and len(line) <= _PIECE and bool(_PROSE.fullmatch(line)) for n, line in enumerate(lines)]
    for count in range(2, _PIECES + 1):
        for first in range(len(lines) - count + 1):
            window = range(first, first + count)
            if not all(is_piece[n] and n not in found for n in window):
                continue
            joined = unmasked(" ".join(lines[n] for n in window))
            if has_cue(joined) and any(pattern.search(joined) for pattern in (*_PLAIN, *orders.outright)):
                found |= set(window)
    return found


@lru_cache(maxsize=16)
def _patterns_of(names: frozenset[str]) -> _Orders:
    def spelled(least: int) -> str:
        chosen = sorted((name for name in names if len(name) >= least), key=len, reverse=True)
        return "|".join(re.escape(name).replace("_", "[ _-]").replace("\\ ", "[ _-]") for name in chosen) or r"(?!)"

    # Short names are everyday words ('give connections to the critical endpoints'): no noun may follow them.
    label = rf"[\s\"'`:(]+(?:(?:{spelled(_DISTINCT)})\b|(?:{spelled(1)})\b{_NO_NOUN})"
    distinct = rf"(?<![A-Za-z])(?:{spelled(_DISTINCT)})(?![A-Za-z])"
    # The label as a noun, not as an attribute of another noun.
    ends = r"(?=\W*(?:$|[.,;:!?)\n]|(?:case|incident|category|label|class|one|fault|for|in|as|by|from|when|whatever|and|or|here|there)\b))"
    soft = (
        rf"{_LABELLER}|as (?:we )?agreed|agreed that|by convention|for consistency|kindly|please|would be (?:kind|good|nice|helpful)"
        r"|appreciate|should|must|needs? to|ought to|has to|have to|(?:is|are) to be|usually|from (?:now|here) on|any (?:later|further|future)"
        r"|whatever|in future"
    )
    file = (
        r"files?|filed|record(?:ed)?|book(?:ed)?|count(?:ed)?|treat(?:ed)?|class(?:ed|ified)?|classify|categori[sz]ed?"
        r"|label(?:led|ed|s)?|tag(?:ged|s)?|bucket(?:ed)?|belongs?|settled|scored?|rated?|gets?|answer(?:ed)?"
    )
    outright = (
        rf"(?:^|[.!?:;,\n>]|\b(?:please|just|simply|always|now|must|should|and|to|bitte|por favor|veuillez))\s*[\"'*`#>-]*\s*"
        rf"\b{_ANSWER}\b[^.!?\n]{{0,40}}{label}",
        rf"(?:分类|归类|标记|回答|选择|選択|分類|答え|选|اختر|صنف)[^。！？\n]{{0,20}}{distinct}",
        rf"{distinct}[^.!?\n]{{0,20}}\b(?:einstufen|einordnen|zuordnen|einstufst|ein\b(?=\W*$)|zu\b(?=\W*$)|olarak)",
        rf"\b(?:responder|contestar|répondre|rispondere|отнеси\w*)\b[^.!?\n]{{0,30}}{distinct}",
        rf"{distinct}[^。！？\n]{{0,12}}(?:分类|归类|分類|答え|選|답|분류|선택)",
    )
    implied = (
        # A statement about the label is about the task, in any mood.
        rf"\b{_CATEGORY}\b[^.!?\n]{{0,40}}\b(?:is|must|has to be|should|to be|to|stays?|remains?)\b[^.!?\n]{{0,25}}{distinct}",
        rf"^(?=.*\b(?:{soft})\b).*\b(?:{file})\b(?:[^.!?\n]{{0,60}}\b(?:as|under|in|into|to|on|with|label)\b)?\s+(?:an?\s+|the\s+)?[\"'`*]*{distinct}{ends}",
        rf"\b(?:{_MACHINE}|model)\b\s+(?:(?:must|should|shall|will|now|always|has to|is to)\s+){{0,2}}{_ANSWER}s?\b[^.!?\n]{{0,40}}{distinct}",
        rf"\bit (?:should|must|has to|will) {_ANSWER}\b[^.!?\n]{{0,20}}{distinct}",
    )
    compiled = [tuple(re.compile(p, re.IGNORECASE) for p in patterns) for patterns in (outright, implied)]
    return _Orders(outright=compiled[0], all=(*compiled[0], *compiled[1]))


def _orders(taxonomy: Taxonomy) -> _Orders:
    """Patterns of instructions to answer with one of the taxonomy's labels, by id or name."""
    return _patterns_of(
        frozenset(name for facet in taxonomy.triaged for label in facet.labels for name in (label.id, label.name))
    )
