"""Charts: values that become an element of a page, an SVG or a PNG, all from plain numbers and names.

A function for each shape makes a `Chart`; `as_figure`, `as_inline_svg`, `as_svg` and `as_png` show it.
"""

from __future__ import annotations

from triage.render.charts.chart import Chart, Size
from triage.render.charts.confusion import confusion_chart
from triage.render.charts.coverage import Covered, coverage_chart
from triage.render.charts.medians import Median, medians_chart
from triage.render.charts.months import Level, Month, months_chart
from triage.render.charts.over_time import Goal, Moment, over_time_chart
from triage.render.charts.panels import panels_chart
from triage.render.charts.pictures import as_pdf, as_png, format_of, write_picture, write_pictures
from triage.render.charts.reliability import Series, Stated, reliability_chart
from triage.render.charts.seconds import seconds_chart
from triage.render.charts.shares import Share, shares_chart
from triage.render.charts.svg import as_figure, as_inline_svg, as_svg, stylesheet
from triage.render.charts.theme import THEMES, Colours, Theme

__all__ = [
    "THEMES",
    "Chart",
    "Colours",
    "Covered",
    "Goal",
    "Level",
    "Median",
    "Moment",
    "Month",
    "Series",
    "Share",
    "Size",
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
