"""From a resolution to what is done for each value: the series are found, or made, and everything else is prepared.

What does not depend on labels is prepared once for each plan (names/plans.py), so that a name that differs from others
in ids only costs little more than its series.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from exporter.metrics.family import Family, Kind, Labels
from exporter.sources.statsd.model import Action, Resolution, Target, Type

MAX_RECIPES = 2_000
"""How many recipes are remembered, one for each plan and sample rate."""
MAX_OBSERVATIONS = 1_000
"""How many ways to observe are shared."""
EXACT = 2**53
"""Up to here floats are exact."""
MODEST = 1e100
"""Up to here a scale, or what is added after it, cannot take what the warm path adds out of the finite."""
LARGEST_VALUE = 1e300
LARGEST_SCALE = 1e8
"""The largest value by the largest scale is still a number."""


class Cell(Protocol):
    """What is changed of a series. One that expired has a negative `exposed_at`."""

    value: float | list[float]
    exposed_at: float


class Tables(Protocol):
    """The live tables (exporter/store/live_tables.py), which take back the series that they found."""

    def find(self, family: Family, labels: Labels) -> Cell | None: ...
    def bounds(self, family: Family) -> tuple[float, ...]: ...
    def set(self, family: Family, series: Any, sender: bytes, value: float, *, relative: bool) -> bool: ...  # noqa: ANN401
    def observe(self, series: Any, value: float, weight: float) -> bool: ...  # noqa: ANN401
    def touch(self, family: Family, series: Any) -> None: ...  # noqa: ANN401
    def sweep(self) -> bool: ...
    def respell(self, spell: Callable[[tuple[str, ...], Labels], Labels]) -> None: ...


class Feed(NamedTuple):
    """One series that a signature feeds, with what one value does to it."""

    family: Family
    action: Action
    series: Cell
    scale: float
    plus: float
    weight: float
    bounds: tuple[float, ...]


# Plain tuples from here on: Python takes them apart twice as fast as named ones.
Addition = tuple[Any, float, float]
"""A counter, `scale` and `plus`: it grows by value * scale + plus."""
Observation = tuple[tuple[float, ...], float, float, float]
"""How values are counted in a histogram's cells: its bounds, `scale`, `plus` and `weight`. What is observed is
value * scale + plus, `weight` times.
"""
Meaning = tuple[list[int], Any, list[float] | None, Observation | None, Sequence[Addition], Sequence[Feed]]
"""What lines with one key do, in as few objects as it takes: there is one for every series and more.

These are `tally, counter, cells, how, adds, feeds`. `tally` counts them, together with all of the same type and fate.
What lives as long as the process is changed in place: `counter` grows by the value as it is, `cells` are a histogram's
in which it is observed `how`, `adds` are further counters. `feeds` is whatever needs more: gauges, summaries, what may
expire, a second histogram.
"""


class Recipe(NamedTuple):
    """How the series of a plan's targets are put into a meaning; the numbers are places in its targets."""

    tally: list[int]
    counter: int
    """The target that grows by the value as it is; -1 where there is none."""
    cells: int
    """The target that observes in a histogram; -1 where there is none."""
    how: Observation | None
    adds: tuple[tuple[int, float, float], ...]
    feeds: tuple[tuple[int, Feed], ...]
    """What needs more; with the feed as it was for the first series."""
    harmless: bool
    """Every target takes every plain number up to LARGEST_VALUE."""


class Compiled(NamedTuple):
    """What came of a resolution."""

    meaning: Meaning | None
    """None where no target has a series."""
    drop: str = ""
    """Why a target that would take the value has no series, one of DROPS."""
    refused: tuple[str, ...] = ()
    """Why targets do not take the value, one of REJECTIONS for each that does not."""


class Compiler:
    """Makes meanings of resolutions. Of each family only a series that something counts in is made."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables
        self.tallies: dict[tuple[Type, str], list[int]] = {}
        """How many events came, by type and by why they were dropped; all meanings of one kind share a number."""
        self._recipes: dict[tuple[Any, Type, float], Recipe] = {}
        self._observations: dict[Observation, Observation] = {}

    def forget(self) -> None:
        """Prepare everything again: buckets may be others."""
        self._recipes.clear()

    def tally(self, kind: Type, drop: str) -> list[int]:
        """The shared number."""
        return self.tallies.setdefault((kind, drop), [0])

    def compile(self, kind: Type, found: Resolution, value: float, rate: float) -> Compiled:
        """Find or make the series of every target that takes the value."""
        if found.plan is not None and found.claim is None:
            recipe = self._recipes.get((found.plan, kind, rate))
            if recipe and recipe.harmless and 0 <= value < LARGEST_VALUE:
                series = self._find_all(found.targets)
                if series:
                    return Compiled(assemble(recipe, series))
        return self._compile_slowly(kind, found, value, rate)

    def _find_all(self, targets: Sequence[Target]) -> list[Any] | None:
        """The series of all targets; None where one has none."""
        find = self._tables.find
        try:
            series = [find(target.family, target.labels) for target in targets]
        except ValueError:
            return None
        return None if None in series else series

    def _compile_slowly(self, kind: Type, found: Resolution, value: float, rate: float) -> Compiled:
        feeds: list[Feed] = []
        drop = ""
        refused: list[str] = []
        for target in found.targets:
            refusal = refuse(target, value, 1.0 / rate)
            if refusal:
                refused.append(refusal)
                continue
            try:
                series = self._tables.find(target.family, target.labels)
            except ValueError:
                drop = "conflict"
                continue
            if series is None:
                drop = "capped"
                continue
            feeds.append(self._feed(target, series, 1.0 / rate))
        if not feeds:
            tally = self.tally(kind, "")
            return Compiled((tally, None, None, None, (), ()) if refused and not drop else None, drop, tuple(refused))
        if found.claim:
            found.claim()
        recipe = self._prepare(kind, feeds)
        if found.plan is not None and len(feeds) == len(found.targets):
            if len(self._recipes) >= MAX_RECIPES:
                self._recipes.clear()
            self._recipes[found.plan, kind, rate] = recipe
        return Compiled(assemble(recipe, [feed.series for feed in feeds]), drop, tuple(refused))

    def _prepare(self, kind: Type, feeds: Sequence[Feed]) -> Recipe:
        counter, cells, how = -1, -1, None
        adds: list[tuple[int, float, float]] = []
        others: list[tuple[int, Feed]] = []
        for place, feed in enumerate(feeds):
            modest = 0 <= feed.scale <= MODEST and 0 <= feed.plus <= MODEST
            simple = kind is not Type.GAUGE and not feed.family.ttl and modest
            if simple and feed.action is Action.ADD:
                if counter < 0 and (feed.scale, feed.plus) == (1, 0):
                    counter = place
                else:
                    adds.append((place, feed.scale, feed.plus))
            elif simple and feed.action is Action.OBSERVE and feed.bounds and cells < 0:
                cells, how = place, self._share(feed)
            else:
                others.append((place, feed))
        harmless = all(0 <= feed.scale <= LARGEST_SCALE and 0 <= feed.plus <= LARGEST_SCALE for feed in feeds)
        return Recipe(self.tally(kind, ""), counter, cells, how, tuple(adds), tuple(others), harmless)

    def _share(self, feed: Feed) -> Observation:
        """The one object for all series of which it says the same."""
        how = feed.bounds, feed.scale, feed.plus, feed.weight
        if len(self._observations) >= MAX_OBSERVATIONS:
            self._observations.clear()
        return self._observations.setdefault(how, how)

    def _feed(self, target: Target, series: Cell, events: float) -> Feed:
        """`events` is how many a line stands for; an observation counts a whole number of times."""
        times = tidy(events) if target.action is Action.ADD else 1
        bounds = self._tables.bounds(target.family) if target.family.kind is Kind.HISTOGRAM else ()
        scale, plus = tidy(target.scale * times), tidy(target.plus * times)
        return Feed(target.family, target.action, series, scale, plus, round(events), bounds)


def assemble(recipe: Recipe, series: Sequence[Any]) -> Meaning:
    """The meaning by a recipe, with these series."""
    tally, counter, cells, how, adds, feeds, _ = recipe
    return (
        tally,
        series[counter] if counter >= 0 else None,
        series[cells].value if cells >= 0 else None,
        how,
        tuple([(series[place], scale, plus) for place, scale, plus in adds]) if adds else (),
        tuple([feed._replace(series=series[place]) for place, feed in feeds]) if feeds else (),
    )


def refuse(target: Target, value: float, events: float) -> str:
    """Why a value does not count in a target, one of REJECTIONS; empty where it does."""
    amount = value * target.scale + target.plus
    if target.action is Action.SET:
        # A gauge may be endless if it is sent so, but not because it was scaled.
        return "" if amount == value or math.isfinite(amount) else "overflow"
    if target.action is Action.ADD:
        amount = value * tidy(target.scale * tidy(events)) + tidy(target.plus * tidy(events))
        if not amount >= 0:
            return "bad_value"
    return "" if math.isfinite(amount) else "overflow"


def is_stale(feeds: Sequence[Feed]) -> bool:
    """Whether a series that is to be changed has expired."""
    for feed in feeds:  # noqa: SIM110 - a generator would cost more than all the rest
        if feed.series.exposed_at < 0:
            return True
    return False


def tidy(value: float) -> float:
    """The same number, as an integer where it is one: whole counts stay whole."""
    return int(value) if abs(value) < EXACT and value == int(value) else value
