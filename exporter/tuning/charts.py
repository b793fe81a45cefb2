"""Charts as plain data. The HTML report draws them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


class Shape(Enum):
    """How values are drawn."""

    POINTS = "points"
    LINE = "line"
    BARS = "bars"
    STACK = "stack"


@dataclass(frozen=True, slots=True)
class ChartLine:
    """Values that belong together. Bars of several lines are drawn side by side, stacks above one another."""

    name: str
    shape: Shape
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True, slots=True)
class ChartMark:
    """A vertical line with a name, or a band where `end` is given."""

    name: str
    x: float
    end: float | None = None


@dataclass(frozen=True, slots=True)
class ChartSpec:
    """One chart."""

    title: str
    x_title: str
    y_title: str
    lines: Sequence[ChartLine] = ()
    marks: Sequence[ChartMark] = ()
    categories: Sequence[str] = ()
    """Names of the places 0, 1, ... on the x axis."""
    grid: Sequence[Sequence[float]] = ()
    """A heat map: rows from the top, columns from the left; drawn instead of lines."""
    rows: Sequence[str] = ()
    """Names of the rows of the heat map."""
