"""Throughput and stretch over concurrency, and where more concurrency stops to help: the knee.

Five-minute averages are noisy: tasks differ, and long ones count where they end. So they are collected in bins of
concurrency, in which work and time are added up before they are divided; a long task then counts by its work. To the
bins a curve with few parameters is fitted, by relative errors of which large ones count less. Blocks of two hours, or
shorter ones of a short time, are drawn again and again (bootstrap): the middle of the knees of these draws is the
answer, and their spread its range.
"""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from exporter.tuning.series import HOUR, median, quantile

MIN_RUNNING = 0.5
"""Below that, next to nothing runs."""
MIN_POINTS = 3
"""Points of a bin: a quarter of an hour."""
MIN_BINS = 4
"""Levels of concurrency that a curve needs."""
MIN_SPREAD = 2.0
"""The highest level over the lowest."""
BIN_GROWTH = 1.2
"""Each bin above eight tasks is higher than the one below by this factor."""
MAX_BLOCK, MIN_BLOCK = 2 * HOUR, HOUR / 4
MIN_BLOCKS = 12
"""Blocks into which a short time is divided at least: a draw of few long ones often lacks the low levels."""
DRAWS = 40
KNEES, DECLINES = 24, 16
"""Places at which the knee, and the beginning of a decline, are tried."""
STEEPNESSES = (0.7, 2.0, 6.0)
"""How much longer tasks take when concurrency is twice that where the decline begins."""
SHARP, ROUND = math.inf, (5.0,)
"""Tasks that use one resource all the time have a sharp knee; those that use several by turns have a round one."""
COMPLEX = 1.2
"""A shape with both a knee and a decline must fit that much better than one with either of them."""
DECLINED = 0.95
"""Of the highest throughput of all levels: below that, throughput falls at the highest level."""
LARGE_ERROR = 0.1
"""Relative errors above that count linearly, not by their square."""
GOOD_ENOUGH = 0.9
"""Of the highest throughput: from there on more concurrency mostly makes each task slower."""
BEYOND = 1.2
"""A knee is seen if there are bins that far above it."""
MIN_STRETCH = 1.12
"""And if tasks take that much longer there."""


class LoadPoint(NamedTuple):
    """Five minutes."""

    moment: float
    running: float
    """Tasks that ran at once, on average."""
    work: float
    """Seconds of work done per second: what the tries that ended take where little else runs."""
    run_seconds: float
    """Seconds that these tries took, per second."""


class LoadBin(NamedTuple):
    """A level of concurrency."""

    points: int
    running: float
    work: float
    """Seconds of work done per second."""
    stretch: float
    """How much longer tries took than where little else runs, weighted by their work."""

    @property
    def throughput(self) -> float:
        """What the running tasks get done per second: by Little's law, steadier than the work of tries that end."""
        return self.running / self.stretch


@dataclass(frozen=True, slots=True)
class LoadCurve:
    """Throughput grows with concurrency up to `knee`, then stays; with `steepness` it falls from `decline` on."""

    scale: float
    knee: float
    decline: float = math.inf
    steepness: float = 0.0
    sharpness: float = SHARP

    def get_throughput(self, running: float) -> float:
        """Work per second with this many running tasks."""
        return self.scale * shape(running, self.knee, self.decline, self.steepness, self.sharpness)

    def get_stretch(self, running: float) -> float:
        """How much longer tasks take than where little else runs."""
        return running / shape(running, self.knee, self.decline, self.steepness, self.sharpness)

    def get_best(self, most: float) -> float:
        """The lowest concurrency, of at most `most`, at which throughput is as good as at its highest."""
        wanted = GOOD_ENOUGH * self.get_highest(most)
        return next(level for level in list_levels(most) if self.get_throughput(level) >= wanted)

    def get_highest(self, most: float) -> float:
        """The highest throughput with at most this many running tasks."""
        return max(map(self.get_throughput, list_levels(most)))


def list_levels(most: float) -> list[float]:
    """The levels of concurrency that are compared."""
    return [1 + 0.25 * step for step in range(max(1, math.ceil(4 * (most - 1))) + 1)]


class KneeEstimate(NamedTuple):
    """What the observations say of the best concurrency."""

    bins: Sequence[LoadBin]
    curve: LoadCurve
    best: float
    """Where throughput is as good as at its highest with the least concurrency."""
    least: float
    most: float
    """The range of `best`: nine of ten draws lie in it."""
    is_seen: bool
    """Whether there was more concurrency than that; otherwise `best` is only a lower bound."""
    sureness: float
    """Share of the draws that agree on `is_seen`."""


def shape(running: float, knee: float, decline: float, steepness: float, sharpness: float = SHARP) -> float:
    """Throughput, in tasks that run as if little else ran."""
    excess = max(0.0, running / decline - 1) if steepness else 0.0
    if math.isinf(sharpness) or math.isinf(knee):
        return min(running, knee) / (1 + steepness * excess)
    ratio = min(running, knee) / max(running, knee)
    rounded = math.pow(1 + math.pow(ratio, sharpness), -1 / sharpness)
    return min(running, knee) * rounded / (1 + steepness * excess)


def get_bin(running: float) -> int:
    """The number of the bin: one for each task up to eight, then wider ones."""
    if running < 8.5:
        return round(running)
    return 9 + math.floor(math.log(running / 8.5) / math.log(BIN_GROWTH))


def join_series(
    running: Mapping[float, float], work: Mapping[float, float], stretch: Mapping[float, float]
) -> list[LoadPoint]:
    """The moments at which something runs and the work of the tries that ended is known, also if none ended."""
    return [
        LoadPoint(moment, count, work[moment], work[moment] * stretch.get(moment, 0.0))
        for moment, count in sorted(running.items())
        if count >= MIN_RUNNING and (work.get(moment) == 0 or math.isfinite(stretch.get(moment, math.nan)))
    ]


class Sums(NamedTuple):
    """What is added up in a bin."""

    points: float = 0.0
    running: float = 0.0
    work: float = 0.0
    run_seconds: float = 0.0

    def plus(self, points: float, running: float, work: float, run_seconds: float) -> Sums:
        """With some more."""
        return Sums(self.points + points, self.running + running, self.work + work, self.run_seconds + run_seconds)


Blocks = Sequence[Mapping[int, Sums]]
"""For each two hours, the sums of each bin."""


def collect_blocks(points: Sequence[LoadPoint]) -> Blocks:
    """The sums of each bin in each block."""
    blocks: dict[int, dict[int, Sums]] = defaultdict(dict)
    begin, end = (points[0].moment, points[-1].moment) if points else (0.0, 0.0)
    length = min(MAX_BLOCK, max(MIN_BLOCK, (end - begin) / MIN_BLOCKS))
    for point in points:
        block, place = blocks[int((point.moment - begin) // length)], get_bin(point.running)
        block[place] = block.get(place, Sums()).plus(1, point.running, point.work, point.run_seconds)
    return list(blocks.values())


def collect_bins(blocks: Blocks) -> list[LoadBin]:
    """The bins with enough points, lowest concurrency first."""
    sums: dict[int, Sums] = {}
    for block in blocks:
        for place, one in block.items():
            sums[place] = sums.get(place, Sums()).plus(*one)
    return [
        LoadBin(
            round(one.points), one.running / one.points, one.work / one.points, max(1e-6, one.run_seconds / one.work)
        )
        for _, one in sorted(sums.items())
        if one.points >= MIN_POINTS and one.work > 0
    ]


def fit_curve(bins: Sequence[LoadBin]) -> LoadCurve:
    """The curve with the least error over the bins."""
    levels = [one.running for one in bins]
    wanted = [math.log(one.throughput) for one in bins]
    weights = [math.sqrt(one.points) for one in bins]
    best, least = LoadCurve(1.0, math.inf), math.inf
    for knee, decline, steepness, sharpness in list_shapes(levels, declines=is_declining(bins)):
        logs = [math.log(shape(level, knee, decline, steepness, sharpness)) for level in levels]
        residuals = [goal - log for goal, log in zip(wanted, logs, strict=True)]
        offset = sum(w * r for w, r in zip(weights, residuals, strict=True)) / sum(weights)
        error = sum(w * count_error(r - offset) for w, r in zip(weights, residuals, strict=True))
        if both(knee, decline):
            error *= COMPLEX
        if error < least * (1 - 1e-6):
            best, least = LoadCurve(math.exp(offset), knee, decline, steepness, sharpness), error
    return best


def both(knee: float, decline: float) -> bool:
    """Whether a shape has both a knee and a decline."""
    return math.isfinite(knee) and math.isfinite(decline)


def is_declining(bins: Sequence[LoadBin]) -> bool:
    """Whether less was done at the highest levels than at a lower one. Else a decline would only be invented."""
    return bins[-1].throughput < DECLINED * max(one.throughput for one in bins)


def list_shapes(levels: Sequence[float], *, declines: bool) -> Iterator[tuple[float, float, float, float]]:
    """The shapes that are tried, simple ones first: knee, beginning of the decline, steepness, sharpness."""
    low, high = max(1.0, levels[0]), levels[-1]
    knees = [math.inf, *space(low, high, KNEES)]
    for sharpness in (SHARP, *ROUND):
        yield from ((knee, math.inf, 0.0, sharpness) for knee in knees)
    for decline in space(low, high, DECLINES)[1:-1] if declines else ():
        for steepness in STEEPNESSES:
            yield from ((knee, decline, steepness, SHARP) for knee in (math.inf, *knees[-1:1:-6]))


def space(low: float, high: float, count: int) -> list[float]:
    """Values at equal ratios."""
    return [low * (high / low) ** (step / (count - 1)) for step in range(count)]


def count_error(error: float) -> float:
    """The square of a small error; a large one counts less."""
    size = abs(error)
    return size * size if size <= LARGE_ERROR else LARGE_ERROR * (2 * size - LARGE_ERROR)


def is_enough(bins: Sequence[LoadBin]) -> bool:
    """Whether there are levels enough for a curve."""
    return len(bins) >= MIN_BINS and bins[-1].running >= MIN_SPREAD * bins[0].running


def is_beyond(bins: Sequence[LoadBin], curve: LoadCurve, best: float) -> bool:
    """Whether there was more concurrency than is best, and tasks took longer there."""
    above = [one for one in bins if one.running >= BEYOND * best]
    return bool(above) and max(curve.get_stretch(one.running) for one in above) >= MIN_STRETCH


def estimate_knee(points: Sequence[LoadPoint]) -> KneeEstimate | None:
    """The best concurrency and its range; None where there are too few levels of concurrency."""
    blocks = collect_blocks(points)
    bins = collect_bins(blocks)
    if not is_enough(bins):
        return None
    curve = fit_curve(bins)
    best = curve.get_best(bins[-1].running)
    seen = is_beyond(bins, curve, best)
    drawn = list(draw_again(blocks))
    agreeing = [value for value, is_seen in drawn if is_seen == seen]
    values = [best, *agreeing]
    return KneeEstimate(
        bins,
        curve,
        median(values),
        quantile(values, 0.05),
        quantile(values, 0.95),
        seen,
        len(agreeing) / len(drawn) if drawn else 0.0,
    )


def draw_again(blocks: Blocks) -> Iterator[tuple[float, bool]]:
    """The best concurrency of each draw of blocks, and whether more was seen. The same for the same observations."""
    chance = random.Random(len(blocks))  # noqa: S311 - a fixed sequence, no secret
    for _ in range(DRAWS):
        bins = collect_bins(chance.choices(blocks, k=len(blocks)))
        if is_enough(bins):
            curve = fit_curve(bins)
            best = curve.get_best(bins[-1].running)
            yield best, is_beyond(bins, curve, best)
