"""Plots as inline SVG whose colours are CSS variables, so that they follow the page into dark mode and print.

What is drawn holds no text of the data: titles are the page's own.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from triage.agreement import Bin, Coverage

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, MUTED, _GRID, DRAWN = "#010203", "#010204", "#010205", "#010206"
"""Stand for colours that the page gives; nothing else in a plot has them."""
_VARIABLES = {_INK: "--ink", MUTED: "--muted", _GRID: "--line", DRAWN: "--drawn"}

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": MUTED,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": _INK,
    "ytick.labelcolor": _INK,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 9,
}
SIZE = (4.0, 3.0)
_ID = re.compile(r' id="([^"]+)"')
_REFERENCE = re.compile(r'(?<=href="#)[^"]+|(?<=url\(#)[^)]+')
_FONT = re.compile(r"font-family: [^;\"]+")


def draw_reliability(bins: Sequence[Bin], anchor: str, about: str) -> Markup:
    """Stated probability against the share right, beside the diagonal on which both are equal."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=":")
        axes.plot([b.stated for b in bins], [b.right for b in bins], "o-", color=DRAWN)
        axes.set(xlabel="stated probability", ylabel="share right", xlim=(0, 1), ylim=(0, 1.03))

    points = "; ".join(f"{b.right:.0%} right where {b.stated:.0%} was stated (n = {b.n})" for b in bins)
    return drawn(draw, anchor, f"Reliability: {about}", f"{points}.")


def draw_risk_coverage(curve: Sequence[Coverage], anchor: str, about: str) -> Markup:
    """The accuracy among the surest cases, for every share of the cases that is answered."""

    def draw(axes: Axes) -> None:
        axes.plot([p.coverage for p in curve], [p.accuracy for p in curve], drawstyle="steps-post", color=DRAWN)
        axes.set(xlabel="share of the cases answered, surest first", ylabel="accuracy", xlim=(0, 1), ylim=(0, 1.03))

    last = curve[-1]
    half = next(p for p in curve if p.coverage >= 0.5)
    told = f"{half.accuracy:.0%} right on the surest {half.coverage:.0%}, {last.accuracy:.0%} on all."
    return drawn(draw, anchor, f"Accuracy by coverage: {about}", told)


def draw_seconds(seconds: Sequence[float], marks: dict[str, float], anchor: str) -> Markup:
    """The share of the cases that took at most so many seconds, with some quantiles marked by name."""
    from matplotlib.ticker import LogLocator, NullLocator

    ordered = sorted(max(one, 0.001) for one in seconds)

    def draw(axes: Axes) -> None:
        shares = [(n + 1) / len(ordered) for n in range(len(ordered))]
        axes.plot([ordered[0], *ordered], [0, *shares], drawstyle="steps-post", color=DRAWN)
        for at in marks.values():
            axes.axvline(max(at, 0.001), color=MUTED, linewidth=1, linestyle=":")
        axes.set(xlabel="seconds", ylabel="share of the cases done", ylim=(0, 1.03))
        if ordered[-1] > 10 * ordered[0]:
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")

    told = ", ".join(f"{name} {at:.3g} s" for name, at in marks.items())
    return drawn(draw, anchor, "Seconds of a case", f"From {ordered[0]:.3g} to {ordered[-1]:.3g} s; {told}.")


def drawn(
    draw: Callable[[Axes], None], anchor: str, title: str, description: str, size: tuple[float, float] = SIZE
) -> Markup:
    """What `draw` draws, in `MUTED` and `DRAWN` alone, as SVG with a title and a description; `size` in inches."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({**_STYLE, "svg.hashsalt": anchor}):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.add_subplot()
        axes.grid(visible=True, color=_GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        draw(axes)
        return _inlined(figure, anchor, title, description)


def _inlined(figure: Figure, anchor: str, title: str, description: str) -> Markup:
    """The figure without anything that would reach beyond its own element: ids, styles, fonts, metadata."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    svg = buffer.getvalue()
    box = re.search(r'viewBox="([^"]+)"', svg)
    body = svg[svg.index(">", svg.index("<svg")) + 1 : svg.rindex("</svg>")]
    body = re.sub(r"<metadata>.*?</metadata>|<style[^>]*>.*?</style>", "", body, flags=re.DOTALL)
    wanted = set(_REFERENCE.findall(body))
    body = _ID.sub(lambda m: f' id="{anchor}-{m[1]}"' if m[1] in wanted else "", body)
    body = _REFERENCE.sub(lambda m: f"{anchor}-{m[0]}", body).replace("xlink:href", "href")
    body = _FONT.sub("font-family: var(--font)", body)
    for colour, variable in _VARIABLES.items():
        body = body.replace(colour, f"var({variable})")
    body = re.sub(r"\s+", " ", re.sub(r">\s+<", "><", body)).strip().replace("<defs></defs>", "")
    names = f"{anchor}-title {anchor}-told"
    return Markup(  # noqa: S704
        f'<svg class="plot" role="img" aria-labelledby="{names}" viewBox="{box[1] if box else ""}">'
        f'<title id="{anchor}-title">{escape(title)}</title><desc id="{anchor}-told">{escape(description)}</desc>'
        f"{body}</svg>"
    )
