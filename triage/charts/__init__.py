"""Charts: values that become an element of a page, an SVG or a PNG, all from plain numbers and names.

A function for each shape makes a `Chart`; `as_figure`, `as_inline_svg`, `as_svg` and `as_png` show it.
"""

from __future__ import annotations

from triage.charts.chart import Chart, Size
from triage.charts.confusion import confusion_chart
from triage.charts.coverage import Covered, coverage_chart
from triage.charts.medians import Median, medians_chart
from triage.charts.months import Level, Month, months_chart
from triage.charts.over_time import Goal, Moment, over_time_chart
from triage.charts.panels import panels_chart
from triage.charts.pictures import as_pdf, as_png, format_of, write_picture, write_pictures
from triage.charts.reliability import Series, Stated, reliability_chart
from triage.charts.seconds import seconds_chart
from triage.charts.shares import Share, shares_chart
from triage.charts.svg import as_figure, as_inline_svg, as_svg, stylesheet
from triage.charts.theme import THEMES, Colours, Theme

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
