"""Charts in Chromium under a strict Content-Security-Policy: coloured by the page, legible on a phone and on a desk."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.fixtures_browser import check_accessible
from tests.render.charts.samples import all_charts
from triage.render.charts import THEMES, as_figure, stylesheet

WIDTHS = (360, 1200)

pytestmark = pytest.mark.slow

LEGIBLE = """() => [...document.querySelectorAll('svg.plot')].filter(svg => svg.checkVisibility()).flatMap(svg => {
    const frame = svg.getBoundingClientRect(), found = []
    const texts = [...svg.querySelectorAll('text')].map(text => [text, text.getBoundingClientRect()])
    texts.forEach(([text, a], place) => {
        const told = `${svg.querySelector('title').textContent}: ${text.textContent}`
        const high = parseFloat(getComputedStyle(text).fontSize) * frame.width / svg.viewBox.baseVal.width
        if (high < 11) found.push(`${told} is ${high} pixels high`)
        const isIn = a.left > frame.left - 1 && a.right < frame.right + 1
        if (!isIn || a.top < frame.top - 1 || a.bottom > frame.bottom + 1)
            found.push(`${told} is cut`)
        texts.slice(place + 1).forEach(([other, b]) => {
            const across = Math.min(a.right, b.right) - Math.max(a.left, b.left)
            const down = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top)
            // Boxes of lines are higher than their letters.
            if (across > 1 && down > 4) found.push(`${told} lies on ${other.textContent}`)
        })
    })
    return found
})"""


def colours(theme: Any) -> str:
    """A theme as the variables of a page."""
    found = THEMES[theme]
    return "".join(f"--{name}: {getattr(found, name)}; " for name in ("ink", "muted", "line", "drawn", "paper"))


def page() -> str:
    """A page with all charts and no style of its own."""
    figures = "".join(as_figure(chart) for chart in all_charts())
    viewport = '<meta name="viewport" content="width=device-width, initial-scale=1">'
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8">{viewport}<link rel="stylesheet" href="/s.css">{figures}'
    )


def style() -> str:
    """The stylesheet of that page."""
    dark = f"@media (prefers-color-scheme: dark) {{ :root {{ {colours('dark')} }} }}"
    body = "body { margin: 1rem; background: var(--paper); color: var(--ink); font: 1rem/1.5 sans-serif; }"
    return f":root {{ {colours('light')} }} {dark} {body} {stylesheet()}"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    files = {
        "/": ("text/html", page().encode()),
        "/s.css": ("text/css", style().encode()),
        "/favicon.ico": ("image/x-icon", b""),
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            kind, content = files[self.path]
            self.send_response(200)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self'")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()


@pytest.fixture(params=list(zip(WIDTHS, reversed(THEMES), strict=True)), ids=str)
def shown(request: pytest.FixtureRequest, browser: Any, address: str) -> Iterator[tuple[Any, int, str, list[str]]]:
    width, theme = request.param
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=theme)
    opened, said = context.new_page(), []
    opened.on("console", lambda message: said.append(message.text))
    opened.goto(address)
    yield opened, width, theme, said
    context.close()


def test_a_strict_policy_refuses_nothing_and_the_page_gives_the_colours(shown: Any) -> None:
    opened, _, theme, said = shown
    assert said == []

    def computed(selector: str, name: str) -> str:
        return str(opened.evaluate(f"getComputedStyle(document.querySelector('{selector}')).{name}"))

    def rgb(colour: str) -> str:
        return f"rgb({', '.join(str(int(colour[n : n + 2], 16)) for n in (1, 3, 5))})"

    assert computed('text[fill="var(--ink)"]', "fill") == rgb(THEMES[theme].ink)
    assert computed('text[fill="var(--muted)"]', "fill") == rgb(THEMES[theme].muted)
    assert computed('path[stroke="var(--drawn)"]', "stroke") == rgb(THEMES[theme].drawn)
    assert computed('path[stroke="var(--line)"]', "stroke") == rgb(THEMES[theme].line)


def test_letters_are_large_enough_whole_and_apart(shown: Any) -> None:
    opened, _, _, _ = shown
    assert opened.evaluate(LEGIBLE) == []
    # It would be seen if they were not.
    opened.evaluate("document.querySelectorAll('svg.plot text').forEach(one => one.setAttribute('font-size', '40px'))")
    found = " ".join(opened.evaluate(LEGIBLE))
    assert "is cut" in found
    assert "lies on" in found


def test_a_phone_gets_the_narrow_form_and_only_what_has_none_is_moved_sideways(shown: Any) -> None:
    opened, width, _, _ = shown
    assert opened.evaluate("document.documentElement.scrollWidth") == width
    visible = "[...document.querySelectorAll('svg.plot-{}')].filter(one => one.checkVisibility()).length"
    wide, narrow = (opened.evaluate(visible.format(form)) for form in ("wide", "narrow"))
    assert bool(narrow) == (width == WIDTHS[0])
    assert bool(wide) == (width != WIDTHS[0])
    moved = opened.evaluate(
        "[...document.querySelectorAll('.plot-scroll')].filter(one => one.scrollWidth > one.clientWidth).length"
    )
    assert bool(moved) == (width == WIDTHS[0])


def test_everyone_can_read_them(shown: Any) -> None:
    opened, _, _, _ = shown
    # The page is there for the charts: it has neither title nor heading nor landmarks.
    check_accessible(opened, "document-title", "landmark-one-main", "page-has-heading-one", "region")


def test_print_shows_the_wide_form_on_paper(shown: Any) -> None:
    opened, _, _, _ = shown
    opened.emulate_media(media="print")
    assert opened.evaluate("[...document.querySelectorAll('svg.plot-narrow')].every(one => !one.checkVisibility())")
    assert opened.evaluate("[...document.querySelectorAll('svg.plot-wide')].every(one => one.checkVisibility())")
