"""Text from anybody stays text in Markdown: read by a parser with tables, strikethrough and bare addresses as links."""

from __future__ import annotations

import unicodedata
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from triage.render.markdown import code, link, plain

READER = MarkdownIt("gfm-like")
MARKUP = st.text(st.sampled_from("\\`*_[]()<>#+-=|~!$&:;@./\"'{}0123456789 \t\nawxhtps") | st.characters(), max_size=40)
HARMLESS = {"text", "softbreak"}


def inline(markdown: str) -> list[Token]:
    """The tokens within the one block that `markdown` is meant to be."""
    return [token for block in READER.parse(markdown) for token in block.children or ()]


def shown(text: str) -> str:
    """What is left of `text` to be seen: white space as one space, without what is invisible or turns direction."""
    kept = "".join(c for c in text if c.isspace() or unicodedata.category(c) not in ("Cc", "Cs"))
    turning = {0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)}
    return " ".join("".join(c for c in kept if ord(c) not in turning).split())


@settings(deadline=None)
@given(MARKUP, st.sampled_from(["", "- ", "> “", "# ", "1. ", "- [ ] "]))
@example("# heading", "")
@example("- [x] done", "- ")
@example("1. one", "> “")
@example("```\nnext", "")
@example("~~~ sh", "- ")
@example("<img src=x onerror=alert(1)>", "")
@example("&lt;b&gt; &#35;", "# ")
@example("https://evil.example/a www.evil.example a@evil.example mailto:a@b.c", "- ")
@example("[click](javascript:alert(1)) ![x](y) [a]: http://b", "")
@example("a | b\n--- | ---", "")
@example("---", "")
@example("===", "")
@example("\\<b>", "")
@example("_a_ __b__ c_d", "")
@example("\u202egnp.exe", "")
@example("://x", "")
@example("see evil.example or a_b.org", "- ")
@example("http:\\//x", "")
def test_a_reader_shows_the_text_and_makes_nothing_of_it(text: str, before: str) -> None:
    if not shown(text):
        return
    tokens = inline(before + plain(text))

    assert {token.type for token in tokens} <= HARMLESS
    prefix = {"> “": "“", "- [ ] ": "[ ] "}.get(before, "")
    assert "".join(token.content for token in tokens) == prefix + shown(text)


@settings(deadline=None)
@given(MARKUP)
def test_text_stays_in_its_cell_of_a_table(text: str) -> None:
    rows = READER.parse(f"| a | b |\n| --- | --- |\n| {plain(text)} | last |\n")

    cells = [token.content for n, token in enumerate(rows) if n and rows[n - 1].type == "td_open"]
    assert len(cells) == 2
    assert cells[1] == "last"


@settings(deadline=None)
@given(MARKUP)
def test_text_stays_in_its_code_span(text: str) -> None:
    if not shown(text):
        return
    tokens = inline(code(text))

    assert [token.type for token in tokens] == ["code_inline"]


@settings(deadline=None)
@given(MARKUP, MARKUP)
@example("x", ") [y](https://evil.example")
@example("x](https://evil.example) [y", "/a b")
def test_a_link_leads_where_it_says_and_nowhere_else(text: str, rest: str) -> None:
    tokens = inline(link(f"a{text}", f"https://good.example/{rest}"))

    targets = [str(token.attrs["href"]) for token in tokens if token.type == "link_open"]
    assert [urlsplit(target).hostname for target in targets] in ([], ["good.example"])
    assert {token.type for token in tokens} <= HARMLESS | {"link_open", "link_close"}


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//evil.example",
        "/local",
        "https://",
        "https://good.example@evil.example/",
        "https://a\nb",
        "https://[bad",
        "https://x.example/" + "a" * 3_000,
    ],
)
def test_an_address_that_is_none_of_the_web_becomes_no_link(url: str) -> None:
    assert link("Outage", url) == "Outage"


def test_words_stay_readable_as_they_are() -> None:
    told = "The 5xx rate of cache_size jobs rose to 12.5% (p99: 30 s) - twice."
    assert plain(told) == told
    assert link("Down", "https://www.status.example/i?a=1&b=(2)") == (
        "[Down](https://www.status.example/i?a=1&amp;b=%282%29) (status\\.example)"
    )
