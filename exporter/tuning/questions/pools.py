"""Which pools are too small, and whether what is behind them has room."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping

from exporter.tuning.advice import Answer, Recommendation, Shortfall, format_hours, format_number
from exporter.tuning.charts import ChartLine, ChartSpec, Shape
from exporter.tuning.queries import (
    OBJECT_WAITED,
    POOL_SLOTS,
    POOL_USED,
    POOL_WANTED,
    RUNNING,
    WAITED,
)
from exporter.tuning.questions.headroom import Headroom, measure_headroom
from exporter.tuning.questions.raising import (
    LACK_WAITS,
    MIN_OBSERVED,
    MIN_WAITED_PER_DAY,
    choose_value,
    count_days,
    estimate_savings,
    get_wanted,
    judge_confidence,
)
from exporter.tuning.questions.surroundings import rank_limits
from exporter.tuning.series import DAY, HOUR, AirflowHistory, find_present, integrate, quantile

QUESTION, TITLE = "pools", "Which pools are too small?"
REASONS = ("pool", "priority")
MAX_BARS = 12
"""Limits in the chart of waits."""


def answer(seen: AirflowHistory) -> Answer:
    """The answer for a window."""
    if seen.observed_seconds < MIN_OBSERVED:
        have = format_hours(seen.observed_seconds / HOUR) + " observed"
        return Answer(QUESTION, TITLE, missing=[Shortfall("Pools", have, "24 h", RUNNING.source.value)])
    if not seen.list(WAITED):
        return Answer(QUESTION, TITLE, missing=[LACK_WAITS])
    waits = collect_waits(seen)
    judged = [judge(seen, pool, waiting) for pool, waiting in sorted(waits.items())]
    found = [one for one in judged if isinstance(one, Recommendation)]
    reasons = [one for one in judged if isinstance(one, str) and one]
    nothing = "" if found else "Nothing to change: no pool was waited for long enough."
    if reasons:
        nothing = " ".join(reasons)
    return Answer(QUESTION, TITLE, found, nothing, charts=list(draw_waits(seen)))


def collect_waits(seen: AirflowHistory) -> dict[str, dict[float, float]]:
    """How many tasks waited for each pool, over time."""
    waits: dict[str, dict[float, float]] = defaultdict(dict)
    for series in seen.list(OBJECT_WAITED):
        if series.labels.get("reason") in REASONS:
            points = waits[series.labels.get("object", "")]
            for moment, value in series.points.items():
                points[moment] = points.get(moment, 0.0) + value
    return waits


def judge(seen: AirflowHistory, pool: str, waiting: Mapping[float, float]) -> Recommendation | str:
    """A larger pool, or why not; an empty text where there is nothing to say."""
    waited = integrate(waiting)
    slots = seen.get(POOL_SLOTS, pool=pool)
    if waited < MIN_WAITED_PER_DAY * seen.observed_seconds / DAY:
        return ""
    if not slots:
        return f"Tasks waited {format_hours(waited / HOUR)} for pool {pool}, whose size is not known."
    current, present = slots[max(slots)], find_present(slots)
    if len(present) < len(slots):
        seen, waiting = seen.during(present), {at: value for at, value in waiting.items() if at in present}
        if seen.observed_seconds < MIN_OBSERVED:
            held = format_hours(seen.observed_seconds / HOUR)
            return f"Pool {pool} has had {current:.0f} slots for {held} only: that is too short to judge it."
        if integrate(waiting) < MIN_WAITED_PER_DAY * seen.observed_seconds / DAY:
            return f"Tasks waited {format_hours(waited / HOUR)} for pool {pool}, nearly all before it was changed."
        waited = integrate(waiting)
    wanted = get_wanted(seen.get(POOL_WANTED, pool=pool), waiting)
    if not math.isfinite(current) or current < 1:
        return ""
    what = f"Tasks waited {format_hours(waited / HOUR)} for pool {pool}"
    if wanted is None:
        return f"{what}, but how many slots they wanted is not known."
    room = measure_headroom(seen, waiting)
    if room.is_machine_full:
        return f"{what}, but the machines are full at these times: more slots would only let its tasks run slower."
    value = choose_value(current, wanted, room)
    if value <= current:
        return f"{what}, but parallelism leaves no slot for more of them at these times: it comes first."
    return recommend(seen, pool, waiting, current, value, room)


def recommend(
    seen: AirflowHistory, pool: str, waiting: Mapping[float, float], current: float, value: int, room: Headroom
) -> Recommendation:
    """A larger pool."""
    waited = integrate(waiting)
    wanted = get_wanted(seen.get(POOL_WANTED, pool=pool), waiting) or 0.0
    used = list(seen.get(POOL_USED, pool=pool).values())
    savings = estimate_savings(waiting, waited, current, value)
    confidence, reason = judge_confidence(seen, room, count_days(waiting))
    usual = f"; p95 of its use over the window is {format_number(quantile(used, 0.95))}" if used else ""
    return Recommendation(
        title=f"Pool {pool}: {value} slots instead of {current:.0f}",
        setting="slots of the pool",
        object=pool,
        current=f"{current:.0f}",
        value=str(value),
        seen=[
            describe_waits(seen, waiting),
            f"with all tasks that waited, {format_number(wanted)} slots would have been in use (p95){usual}",
        ],
        change=f"Set the slots of pool {pool} to {value}, under Admin, Pools or with `airflow pools set`.",
        effect=f"saves {savings} of waiting",
        savings=savings,
        counter_check=f"{room.text} What the pool protects (a database, a service) must carry {value} tasks at once: "
        "look at the duration of its tasks and at its failures for a day afterwards.",
        risk=f"What pool {pool} protects may be overloaded, and all its tasks then take longer.",
        confidence=confidence,
        reason=reason,
        queries=[*seen.show(OBJECT_WAITED), seen.fill(POOL_WANTED, pool=pool)],
    )


def describe_waits(seen: AirflowHistory, waiting: Mapping[float, float]) -> str:
    """How long the pool was waited for."""
    days = f"in {format_number(seen.observed_seconds / DAY)} days, on {count_days(waiting)} of them"
    return f"tasks waited {format_hours(integrate(waiting) / HOUR)} for it {days}"


def draw_waits(seen: AirflowHistory) -> Iterator[ChartSpec]:
    """Hours waited for each limit."""
    ranked = list(rank_limits(seen))[:MAX_BARS]
    if ranked:
        yield ChartSpec(
            "Waits by limit",
            "",
            "hours waited",
            [
                ChartLine(
                    "hours", Shape.BARS, [float(place) for place in range(len(ranked))], [s / HOUR for *_, s in ranked]
                )
            ],
            categories=[f"{reason}: {name}" if name else reason for reason, name, _ in ranked],
        )
