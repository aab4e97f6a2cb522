"""Sentences of a write-up that talk to the model instead of telling of the incident: they are not shown to it.

A write-up is untrusted text. Telling a model not to obey what it quotes helps large models and hardly small ones, so
what reads like an order to the reader's program is left out before any model sees it, and counted. The write-up itself
is kept as it is, and people see all of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from triage.classification.sentences import Sentence
from triage.taxonomy import Taxonomy

_TARGET = (
    r"(?:instructions?|directions?|prompts?|rules?|guidelines?|codebook|definitions?|taxonomy|above|previous|prior"
    r"|earlier|preceding|everything|write-?up|facts|evidence|anweisung\w*|regeln|instruc\w+|instrucciones|istruzioni"
    r"|consignes?|règles|reglas|regole|regras|instructies|instrukcj\w*|инструкц\w*|указани\w*|правил\w*)"
)
_IGNORE = (
    r"(?:ignore[nrsz]?|ignorier\w*|ignora\w*|ignoruj\w*|disregard|forget|override|bypass|skip|discard|vergiss|vergessen"
    r"|oubli\w+|olvid\w+|dimentica\w*|esque[cç]\w*|negeer|zignoruj|игнорируй\w*|забудь\w*|проигнорируй\w*)"
)
_ANSWER = (
    r"(?:answer|respond|reply|output|print|return|classify|categori[sz]e|label|choose|select|pick|say|write|mark|tag"
    r"|set|report|assign|give|antworte\w*|klassifizier\w*|wähle\w*|responde\w*|r[eé]pond\w*|class(?:e|ez|ifica|ifique)"
    r"|rispondi|classifica|contesta|clasific\w+|antwoord|odpowiedz|ответь\w*|отвечай\w*|выбери\w*|классифицируй\w*)"
)
_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"\b{_IGNORE}\b[^.!?\n]{{0,60}}\b{_TARGET}\b",
        r"(?:忽略|无视|無視|不要理会|忘记|忘れ)[^。！？\n]{0,30}",
        r"(?:무시하|무시해|잊어)",
        r"تجاهل|تجاهلوا",
        # Marks of a conversation with a model, and of the quotation that the write-up stands in.
        r"<\|?/?\s*(?:im_start|im_end|system|assistant|endoftext|begin_of_text|start_header_id|eot_id)\b",
        r"\[/?(?:INST|SYS)\]|<</?SYS>>|</?\s*write_?up\s*>|</?\s*(?:instructions?|prompt|answer|label)s?\s*>",
        r"^[\s>*#\-`\"'(\[{]*(?:system|assistant|developer|human)(?:\s+(?:prompt|message|note|override|notice))?[\s*`\"'\])}]*:",
        r"^[\s>*#\-`\"']*(?:new|updated|final|important|special)\s+(?:instructions?|task|system prompt|directive)\b",
        # Talk about the task that only the model has.
        r"\byou (?:are|act|will act|must act|should act)\b[^.!?\n]{0,40}\b(?:ai|llm|language model|assistant|classifier|model)\b",
        r"\b(?:as an|dear|hey|hello|note to(?: the)?|attention)[\s,:]+(?:ai|llm|language model|assistant|classifier|model|bot)\b",
        r"\b(?:correct|right|true|final|expected|only|proper|gold)\s+(?:answer|label|category|classification|letter|option)\s*(?:is\b|here\b|:|=|for (?:this|the)\b)",
        r"\b(?:your|the)\s+(?:answer|classification|output|response|verdict|label)\s+(?:must|should|shall|has to|needs to|will)\s+be\b",
        r"\b(?:repeat|reveal|print|show|output|disclose|leak|quote)\b\s+(?:me\s+)?(?:your|the|all|this|these|any)\b[^.!?\n]{0,30}\b(?:prompts?|instructions|codebook|placeholders?|neighbou?rs)\b",
        r"\banswer\s+(?:with\s+)?(?:the\s+)?(?:letter\s+)?[\"'`(]?[A-Z][\"'`)]?\s*(?:[.,;!]|$|for\b|to\b|only\b)",
        r"\bdo not (?:read|analy[sz]e|consider|classify|use the (?:write-up|definitions))\b",
    )
)


def without_instructions(sentences: Iterable[Sentence], taxonomy: Taxonomy) -> tuple[list[Sentence], int]:
    """The sentences that tell of the incident, and how many were left out because they talk to a model.

    Where nothing would be left, everything is kept: there is no incident to protect then.
    """
    given = list(sentences)
    orders = _orders(taxonomy)
    kept = [sentence for sentence in given if not _is_order(sentence.text, orders)]
    return (kept, len(given) - len(kept)) if kept else (given, 0)


def _is_order(text: str, orders: re.Pattern[str]) -> bool:
    return any(pattern.search(text) for pattern in _PATTERNS) or bool(orders.search(text))


def _orders(taxonomy: Taxonomy) -> re.Pattern[str]:
    """An order to answer with one of the taxonomy's labels, by id or name."""
    names = {name for facet in taxonomy.triaged for label in facet.labels for name in (label.id, label.name)}
    # A label with a space in its name or an underscore in its id is seldom said by chance.
    spelled = "|".join(sorted((re.escape(name).replace("_", "[ _-]") for name in names), key=len, reverse=True))
    return re.compile(
        rf"(?:^|[.!?:;,\n>]|\b(?:please|just|simply|always|now|must|should|and|to|bitte|por favor|veuillez))\s*[\"'*`#>-]*\s*"
        rf"\b{_ANSWER}\b[^.!?\n]{{0,40}}[\s\"'`:(]+(?:{spelled})\b",
        re.IGNORECASE,
    )
