"""Limits of DAGs: max_active_tasks and max_active_runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from exporter.tuning.advice import (
    Answer,
    Recommendation,
    Savings,
    Shortfall,
    format_hours,
    format_number,
    format_seconds,
)
from exporter.tuning.queries import (
    MAX_ACTIVE_RUNS,
    MAX_ACTIVE_TASKS,
    OBJECT_WAITED,
    RUN_SECONDS_P95,
    RUNNING,
    RUNS_MAX_CHANGED,
    SKIPPED,
    TASKS_MAX_CHANGED,
    WAITED,
    WAITING_RUNS,
)
from exporter.tuning.query import SeriesQuery
from exporter.tuning.questions.headroom import Headroom, measure_headroom
from exporter.tuning.questions.raising import (
    LACK_WAITS,
    MIN_OBSERVED,
    MIN_WAITED_PER_DAY,
    WANTED_SHARE,
    choose_value,
    count_days,
    estimate_savings,
    judge_confidence,
)
from exporter.tuning.series import DAY, HOUR, AirflowHistory, PointSeries, integrate, quantile

QUESTION, TITLE = "dag_limits", "Which limits of DAGs are too low?"


class DagLimit(NamedTuple):
    """One limit that DAGs have."""

    reason: str
    """What waits for it says so."""
    setting: str
    waits: SeriesQuery
    limits: SeriesQuery
    changed: SeriesQuery
    what: str
    """What waits."""
    risk: str


LIMITS = (
    DagLimit(
        "max_active_tasks",
        "max_active_tasks",
        OBJECT_WAITED,
        MAX_ACTIVE_TASKS,
        TASKS_MAX_CHANGED,
        "tasks",
        "What its tasks use together (a database, a service) gets more load at once: a pool protects it.",
    ),
    DagLimit(
        "max_active_runs",
        "max_active_runs",
        WAITING_RUNS,
        MAX_ACTIVE_RUNS,
        RUNS_MAX_CHANGED,
        "runs",
        "Runs overlap: only where a run does not need what the one before has written, and both may write at once.",
    ),
)


def answer(seen: AirflowHistory) -> Answer:
    """The answer for a window."""
    if seen.observed_seconds < MIN_OBSERVED:
        have = format_hours(seen.observed_seconds / HOUR) + " observed"
        return Answer(QUESTION, TITLE, missing=[Shortfall("Limits of DAGs", have, "24 h", RUNNING.source.value)])
    if not seen.list(WAITED):
        return Answer(QUESTION, TITLE, missing=[LACK_WAITS])
    found: list[Recommendation] = []
    reasons: list[str] = []
    for limit in LIMITS:
        for one in judge_all(seen, limit):
            (reasons if isinstance(one, str) else found).append(one)  # type: ignore[arg-type]
    nothing = " ".join(reasons)
    if not found and not nothing:
        nothing = "Nothing to change: no limit of a DAG was waited for long enough."
    return Answer(QUESTION, TITLE, found, nothing)


def judge_all(seen: AirflowHistory, limit: DagLimit) -> Iterator[Recommendation | str]:
    """What to change for each DAG that waits for a limit, or why not."""
    current = seen.by_dag(limit.limits)
    for series in seen.list(limit.waits):
        dag_id = series.labels.get("object", "")
        least = MIN_WAITED_PER_DAY * seen.observed_seconds / DAY
        if series.labels.get("reason") == limit.reason and dag_id in current and integrate(series.points) >= least:
            yield judge(seen, limit, series, current[dag_id])


def judge(seen: AirflowHistory, limit: DagLimit, series: PointSeries, current: float) -> Recommendation | str:
    """A higher limit, or why not."""
    dag_id, waiting = series.labels["object"], series.points
    room = measure_headroom(seen, waiting)
    waited = format_hours(integrate(waiting) / HOUR)
    what = f"{limit.what.capitalize()} of DAG {dag_id} waited {waited} for {limit.setting}"
    if dag_id in seen.by_dag(limit.changed):
        return f"{what}, which was changed meanwhile: shorten --window to the time after that."
    if room.is_machine_full:
        return f"{what}, but the machines are full at these times."
    wanted = current + quantile(waiting.values(), WANTED_SHARE)
    value = choose_value(current, wanted, room)
    if value <= current:
        return f"{what}, but parallelism leaves no slot for more tasks at these times: it comes first."
    savings = estimate_savings(waiting, integrate(waiting), current, value)
    return recommend(seen, limit, dag_id, waiting, (current, value), room, savings)


def recommend(
    seen: AirflowHistory,
    limit: DagLimit,
    dag_id: str,
    waiting: Mapping[float, float],
    change: tuple[float, int],
    room: Headroom,
    savings: Savings,
) -> Recommendation:
    """A higher limit of a DAG."""
    current, value = change
    confidence, reason = judge_confidence(seen, room, count_days(waiting))
    return Recommendation(
        title=f"DAG {dag_id}: {limit.setting} {value} instead of {current:.0f}",
        setting=limit.setting,
        object=dag_id,
        current=f"{current:.0f}",
        value=str(value),
        seen=[
            describe_waits(seen, limit, waiting),
            f"up to {format_number(quantile(waiting.values(), WANTED_SHARE))} at once (p95 while any waited)",
            *describe_runs(seen, dag_id),
        ],
        change=f"Set {limit.setting}={value} in DAG {dag_id}.",
        effect=f"saves {savings} of waiting of {limit.what}",
        savings=savings,
        counter_check=room.text,
        risk=limit.risk,
        confidence=confidence,
        reason=reason,
        queries=seen.show(limit.waits, limit.limits),
    )


def describe_waits(seen: AirflowHistory, limit: DagLimit, waiting: Mapping[float, float]) -> str:
    """How long it was waited for."""
    days = f"in {format_number(seen.observed_seconds / DAY)} days, on {count_days(waiting)} of them"
    return f"{limit.what} waited {format_hours(integrate(waiting) / HOUR)} for it {days}"


def describe_runs(seen: AirflowHistory, dag_id: str) -> Iterator[str]:
    """How long the DAG's runs take, and the times of its schedule that it missed."""
    took = seen.by_dag(RUN_SECONDS_P95).get(dag_id)
    skipped = seen.by_dag(SKIPPED).get(dag_id)
    if took:
        yield f"its runs take up to {format_seconds(took)} (p95)"
    if skipped:
        yield f"{skipped:.0f} times of its schedule passed without a run"
