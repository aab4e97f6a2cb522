"""The lines of a write-up, told apart by what kind of text they are: the one place that decides what is read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Literal, NamedTuple

Kind = Literal["heading", "comment", "fence", "log", "table", "quote", "prose"]
"""`comment` is an HTML comment or a hint of a template. `fence` is a mark without words: a fence, a rule, a ruler.
`log` is program output: log lines, stack traces and what stands between fences."""

_LEVEL = r"(?:TRACE|DEBUG|INFO|NOTICE|WARN(?:ING)?|ERROR|ERR|FATAL|CRIT(?:ICAL)?|SEVERE|PANIC)"
_CLOCK = r"\d{1,2}:\d\d:\d\d"
_LOG = re.compile(
    # A time of day with seconds, and a level or fractions of a second: people write neither.
    rf"^[\s>]*(?:[\w.-]{{1,40}}\s+\|\s+)?(?:\([^()]{{1,60}}\)\s*)?[\[(]?[\d/T:.\s-]{{0,22}}{_CLOCK}"
    rf"(?:[.,]\d{{3,9}}|[^\n]{{0,60}}?(?:\b{_LEVEL}\b|\blevel=|\[\w+\]))"
    rf"|^\s*(?:\([^()]{{1,60}}\)\s*)?(?:\[{_LEVEL}\]|(?:TRACE|DEBUG|INFO|WARN|ERROR|FATAL)[:\s]|"
    r"(?:WARNING|CRITICAL)\s*[:|\[\d])"
    rf"|^[IWEF]\d{{4}} {_CLOCK}|^[A-Z][a-z]{{2}} +\d{{1,2}} {_CLOCK} \S+ \S+:"
    r"|^\S+ \S+ \S+ \[\d\d/[A-Z][a-z]{2}/\d{4}:"
    r"|^\s*\{\"(?:ts|time|timestamp|level|msg|severity|log)\"\s*:"
    r"|^\s*(?:time|ts|level)=\S"
    r"|^\s*(?:Traceback \(most recent call last\)|During handling of the above exception|The above exception was)"
    r"|^\s+File \"[^\"]+\", line \d+|^\s+at [\w.$<>/]+\(|^\s*Caused by: \w|^\s*\.\.\. \d+ more|^goroutine \d+ \["
    r"|^[\s>]*(?:[A-Za-z_]\w*\.)*[A-Z]\w*(?:Error|Exception|Interrupt)(?::|\s*$)"
    r"|^(?:[a-z]+_)+[a-z\d]+\s*:\s|^\s*\^+\s*$|^panic: |^\s*\[rank\d+\]:"
)
_TRACE = re.compile(r"^\s*Traceback \(most recent call last\)")
_FENCE = re.compile(r"^[\s>]*(`{3,}|~{3,})[ \t]*([\w.+-]{0,20})[ \t\r]*$")
_RULE = re.compile(r"(?:[|:+-][|:+ \t-]*|([*_=~])(?:[ \t]*\1){2,}|</?(?:details|summary|div|p|br|hr)\b[^<>]*>)$")
_UNDERLINE = re.compile(r"^\s*(?:={3,}|-{3,}|~{3,})\s*$")
_TABLE = re.compile(r"^\s*\|.*\|\s*$")
_HEADING_WORDS = (
    r"(?:(?:executive |incident )?summary|overview|(?:customer )?impact|timeline|root[ -]cause(?: analysis)?|causes?|"
    r"trigger|detection|resolution|mitigation|remediation|recovery|fix|background|description|details|next steps|"
    r"action items|lessons(?: learned)?|follow[ -]?ups?|logs?|symptoms?|status|environment|"
    r"zusammenfassung|überblick|ursachen?|auswirkung(?:en)?|lösung|behebung|verlauf|zeitleiste|maßnahmen|"
    r"resumen|causa(?: ra[ií]z)?|impacto|resolución|cronología|résumé|cause racine|résolution|chronologie|"
    r"resumo|causa raiz|resolução|сводка|описание|причин[аы]|влияние|решение|хронология|"
    r"概要|摘要|原因|根本原因|影響|影响|対応|对策|解决|解決|経緯|时间线|タイムライン|背景)"
)
_HEADING = re.compile(
    r"^\s*(?:#{1,6}[ \t]+\S|#{2,6}\w|={1,6} \S.*=\s*$|h[1-6]\. \S|"
    r"(\*\*|__)[^*_\n]{1,80}\1\s*[:：]?\s*$|【[^】]{1,40}】\s*$|"
    # A lead-in such as 'What we did:', and a question as a heading.
    r"[^\W\d_a-z][^.:;,!?|\n]{0,40}[:：]\s*$|(?:What|Why|How|When|Who|Where)\b[^.!\n]{0,60}\?\s*$|"
    rf"(?i:{_HEADING_WORDS})\s*[:：]?\s*$)"
)
_LONGEST_HEADING_WORDS = 6
_HINT_WORDS = (
    r"(?:e\.g\.|eg\b|for example\b|describe|explain|list|provide|add|fill|insert|enter|what|how|who|when|why|which|"
    r"summari[sz]e|write|include|replace|delete|remove|todo|tbd|optional|your|an? (?:short|brief|clear|concise))\b"
)
_HINT = re.compile(
    rf"^[\s>]*(?:([_*]){_HINT_WORDS}[^_*\n]*\1|\[{_HINT_WORDS}[^\]\n]*\]|<{_HINT_WORDS}[^>\n]*>|"
    rf"\({_HINT_WORDS}[^)\n]*\)|\{{\{{[^}}\n]*\}}\}})\s*$"
    r"|^\s*[-*]\s*\[[ xy*]\]\s*(?:I\b|I've|make sure|yes\b|no\b|please|my\b|this (?:issue|bug)|the (?:issue|bug))"
    r"|^\s*(?:_No response_|TODO|TBD|N/?A)\.?\s*$"
    r"|^\s*Please (?:answer|provide|describe|include|fill|paste|enter|read|search)\b"
    r"|^\s*A clear and concise description of\b",
    re.IGNORECASE,
)
_VARIABLE = re.compile(r"0x[0-9a-f]+|\b[0-9a-f-]*\d[0-9a-f-]*\b|\d+", re.IGNORECASE)
_TELLING = re.compile(
    r"\b[A-Z]\w*(?:Error|Exception)\b|\bError: |(?i:\b(?:out of memory|oom\w*|killed|panic\w*|segfault|"
    r"segmentation fault|sigsegv|sigkill|core dumped|no space left|"
    r"no free \w+|too many (?:open files|connections|requests)|exhausted|quota|"
    r"deadline exceeded|timed out|time-?out (?:after|waiting|exceeded)|certificate|expired|refused|unreachable|"
    r"nccl|xid|ecc|illegal memory access)\b)"
)


class Line(NamedTuple):
    """A line of a text, or the part of one beside a comment: a span of characters and its kind."""

    start: int
    end: int
    kind: Kind


@lru_cache(maxsize=16)
def tell_apart(text: str) -> tuple[Line, ...]:
    """The lines of `text` that are not blank, in order, with their kinds."""
    spans = list(_spans(text))
    fences = _fences([text[start:end] for start, end, is_comment in spans if not is_comment])
    lines: list[Line] = []
    place, in_trace = -1, False
    for n, (start, end, is_comment) in enumerate(spans):
        if is_comment:
            lines.append(Line(start, end, "comment"))
            continue
        place += 1
        line = text[start:end]
        is_next = n + 1 < len(spans) and spans[n + 1][0] == end + 1
        after = text[spans[n + 1][0] : spans[n + 1][1]] if is_next else ""
        in_trace = bool(_TRACE.match(line)) or (in_trace and line[:1].isspace())
        kind = fences.get(place) or ("log" if in_trace else _kind(line, after))
        lines.append(Line(start, end, kind))
    return tuple(lines)


def read_lines(text: str) -> list[Line]:
    """The lines of `text` without comments and marks; of log lines that differ in numbers and ids only, the first.

    If none would remain, all lines, as prose: there is nothing else to read.
    """
    lines, seen = [], set[str]()
    for line in tell_apart(text):
        if line.kind in ("comment", "fence"):
            continue
        if line.kind == "log":
            key = _VARIABLE.sub("#", text[line.start : line.end]).strip()
            if key in seen:
                continue
            seen.add(key)
        lines.append(line)
    return lines or [line._replace(kind="prose") for line in tell_apart(text)]


def clean_text(text: str) -> str:
    """`text` as it is embedded and learned from: without comments and repeated log lines; marks without words stay."""
    kept = {line.start for line in read_lines(text)}
    dropped = [line for line in tell_apart(text) if line.start not in kept and line.kind != "fence"]
    if not dropped or not kept:
        return text
    pieces, at = [], 0
    for line in dropped:
        pieces.append(text[at : line.start])
        at = line.end
    return " ".join([*pieces, text[at:]]).strip()


def is_telling(line: str) -> bool:
    """True if a log line names an exception or a resource, so that it can be the evidence of a label."""
    return bool(_TELLING.search(line))


def _spans(text: str) -> Iterator[tuple[int, int, bool]]:
    """The lines as (start, end, whether it is in a comment). A comment that is not closed is none."""
    at = 0
    while (opened := text.find("<!--", at)) >= 0 and (closed := text.find("-->", opened + 4)) >= 0:
        yield from ((*span, False) for span in _lines(text, at, opened))
        yield from ((*span, True) for span in _lines(text, opened, closed + 3))
        at = closed + 3
    yield from ((*span, False) for span in _lines(text, at, len(text)))


def _lines(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end:
        stop = text.find("\n", start, end)
        stop = end if stop < 0 else stop
        if not text[start:stop].isspace() and stop > start:
            yield start, stop
        start = stop + 1


def _fences(lines: Iterable[str]) -> dict[int, Kind]:
    """Place -> kind of the fences and the lines between them. A fence that is not closed has no lines."""
    kinds: dict[int, Kind] = {}
    opened, mark = -1, ""
    for place, line in enumerate(lines):
        fence = _FENCE.match(line)
        if not fence:
            continue
        kinds[place] = "fence"
        if opened >= 0 and fence[1][0] == mark and not fence[2]:
            kinds.update(dict.fromkeys(range(opened + 1, place), "log"))
            opened = -1
        elif opened < 0:
            opened, mark = place, fence[1][0]
    return kinds


def _kind(line: str, after: str) -> Kind:
    """The kind of a line outside of comments and fences; `after` is the next line."""
    if _is_rule(line):
        return "fence"
    if _HINT.match(line):
        return "comment"
    if _LOG.match(line):
        return "log"
    if _TABLE.match(line):
        return "heading" if "|" in after and _is_rule(after) else "table"
    is_underlined = bool(_UNDERLINE.match(after)) and len(line.split()) <= _LONGEST_HEADING_WORDS
    is_marked = line.lstrip()[:1] in tuple("#=*_【") or len(line.split()) <= _LONGEST_HEADING_WORDS
    if is_underlined or (is_marked and _HEADING.match(line)):
        return "heading"
    return "quote" if line.lstrip().startswith(">") else "prose"


def _is_rule(line: str) -> bool:
    return bool(_RULE.match(line.strip())) and (line.lstrip()[:1] not in tuple("|:+-") or "--" in line)
