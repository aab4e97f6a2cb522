"""Charts as SVG, PNG and PDF, made from plain numbers and names.

A function for each shape makes a `Chart`; `as_figure`, `as_inline_svg`, `as_svg`, `as_png` and `as_pdf` render it.
"""

from __future__ import annotations

from triage.render.charts.chart import THEMES, Chart, Theme
from triage.render.charts.confusion import confusion_chart
from triage.render.charts.curves import Covered, Series, Stated, coverage_chart, reliability_chart, seconds_chart
from triage.render.charts.intervals import Median, Share, medians_chart, shares_chart
from triage.render.charts.panels import panels_chart
from triage.render.charts.pictures import (
    as_figure,
    as_inline_svg,
    as_pdf,
    as_png,
    as_svg,
    format_of,
    stylesheet,
    write_picture,
    write_pictures,
)
from triage.render.charts.time_series import Goal, Level, Moment, Month, months_chart, over_time_chart

__all__ = [
    "THEMES",
    "Chart",
    "Covered",
    "Goal",
    "Level",
    "Median",
    "Moment",
    "Month",
    "Series",
    "Share",
    "Stated",
    "Theme",
    "as_figure",
    "as_inline_svg",
    "as_pdf",
    "as_png",
    "as_svg",
    "confusion_chart",
    "coverage_chart",
    "format_of",
    "medians_chart",
    "months_chart",
    "over_time_chart",
    "panels_chart",
    "reliability_chart",
    "seconds_chart",
    "shares_chart",
    "stylesheet",
    "write_picture",
    "write_pictures",
]
