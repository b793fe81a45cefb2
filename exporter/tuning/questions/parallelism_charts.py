"""Charts of throughput and stretch over concurrency."""

from __future__ import annotations

import math

from exporter.tuning.charts import ChartLine, ChartMark, ChartSpec, Shape
from exporter.tuning.knee import KneeEstimate

STEPS = 60


def draw_load(knee: KneeEstimate | None, limit: float | None, advised: float | None) -> list[ChartSpec]:
    """Throughput and stretch, with the best concurrency, the number that is advised, and the present limit marked."""
    if knee is None:
        return []
    levels = [one.running for one in knee.bins]
    low, high = levels[0], levels[-1]
    fine = [low + (high - low) * step / STEPS for step in range(STEPS + 1)]
    name = "best" if knee.is_seen else "at least"
    stretches = [knee.curve.get_stretch(level) / knee.curve.scale for level in fine]
    marks = [ChartMark(f"{name}: {knee.best:.0f}", knee.best), ChartMark("90 % range", knee.least, knee.most)]
    if limit is not None and math.isfinite(limit) and limit <= 1.5 * high:
        marks.append(ChartMark(f"limit: {limit:.0f}", limit))
    if advised is not None and round(advised) != round(knee.best) and advised <= 1.5 * high:
        marks.append(ChartMark(f"with the room of the machines: {advised:.0f}", advised))
    return [
        ChartSpec(
            "Throughput over concurrency",
            "running tasks",
            "work per second, in seconds of unloaded tasks",
            [
                ChartLine("observed", Shape.POINTS, levels, [one.throughput for one in knee.bins]),
                ChartLine("fitted", Shape.LINE, fine, [knee.curve.get_throughput(level) for level in fine]),
            ],
            marks,
        ),
        ChartSpec(
            "Stretch over concurrency",
            "running tasks",
            "duration over that of unloaded tasks",
            [
                ChartLine("observed", Shape.POINTS, levels, [one.stretch for one in knee.bins]),
                ChartLine("fitted", Shape.LINE, fine, stretches),
            ],
            marks,
        ),
    ]
