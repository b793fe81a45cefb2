"""Draws charts with matplotlib, as SVG that fits into a page."""

from __future__ import annotations

import io
from base64 import b64encode

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from exporter.tuning.charts import ChartLine, ChartMark, ChartSpec, Shape

SIZE = (9.0, 3.6)
"""Inches."""
MARK_COLORS = ("#d62728", "#f0a0a0", "#7f7f7f", "#2ca02c")
OVER_BARS = 3
"""Lines are drawn after them."""
MAX_TICKS = 12
"""Names of columns of a heat map that are shown."""


def draw_chart(chart: ChartSpec) -> str:
    """The chart as a data URL."""
    with mpl.rc_context({"svg.hashsalt": chart.title, "svg.fonttype": "path"}):
        figure = Figure(figsize=SIZE, layout="constrained")
        axes = figure.subplots()
        if chart.grid:
            draw_grid(figure, axes, chart)
        else:
            draw_lines(axes, chart)
        axes.set_title(chart.title)
        axes.set_xlabel(chart.x_title)
        axes.set_ylabel(chart.y_title)
        file = io.BytesIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    return f"data:image/svg+xml;base64,{b64encode(file.getvalue()).decode()}"


def draw_lines(axes: Axes, chart: ChartSpec) -> None:
    """Lines, points, bars and marks."""
    base: list[float] = []
    stacks = sum(1 for line in chart.lines if line.shape is Shape.BARS)
    for number, line in enumerate(chart.lines):
        match line.shape:
            case Shape.POINTS:
                axes.plot(line.x, line.y, "o", label=line.name, color=f"C{number}")
            case Shape.LINE:
                axes.plot(line.x, line.y, label=line.name, color=f"C{number}", zorder=OVER_BARS)
            case Shape.BARS:
                draw_bars(axes, line, number, stacks)
            case Shape.STACK:
                below = base or [0.0] * len(line.y)
                axes.bar(list(line.x), line.y, bottom=below, label=line.name)
                base = [low + high for low, high in zip(below, line.y, strict=True)]
    for mark, color in zip(chart.marks, MARK_COLORS, strict=False):
        draw_mark(axes, mark, color)
    if chart.categories:
        axes.set_xticks(range(len(chart.categories)), chart.categories, rotation=30, ha="right")
    if not chart.categories or stacks != 1:
        axes.set_ylim(bottom=0)
    if len(chart.lines) > 1 or chart.marks:
        axes.legend()


def draw_bars(axes: Axes, line: ChartLine, number: int, count: int) -> None:
    """Bars beside those of other lines."""
    width = 0.8 / count
    axes.bar([x + width * (number - (count - 1) / 2) for x in line.x], line.y, width=width, label=line.name)


def draw_mark(axes: Axes, mark: ChartMark, color: str) -> None:
    """A vertical line or a band."""
    if mark.end is None:
        axes.axvline(mark.x, color=color, linestyle="--", label=mark.name)
    else:
        axes.axvspan(mark.x, mark.end, color=color, alpha=0.3, label=mark.name)


def draw_grid(figure: Figure, axes: Axes, chart: ChartSpec) -> None:
    """A heat map."""
    image = axes.imshow([list(row) for row in chart.grid], aspect="auto", cmap="viridis")
    figure.colorbar(image, ax=axes)
    axes.set_yticks(range(0, len(chart.rows), 3), chart.rows[::3])
    step = max(1, -(-len(chart.categories) // MAX_TICKS))
    axes.set_xticks(range(0, len(chart.categories), step), chart.categories[::step])
