"""Whether runs that are due in the same minute wait for each other."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence

from exporter.tuning.advice import Answer, Confidence, Recommendation, Savings, Shortfall, format_hours, format_number
from exporter.tuning.charts import ChartSpec
from exporter.tuning.queries import (
    DUE,
    NEXT_RUN,
    RUNNING,
    WAITED,
)
from exporter.tuning.query import MINUTE
from exporter.tuning.questions.raising import MIN_OBSERVED, MIN_WAITED_PER_DAY
from exporter.tuning.questions.surroundings import NO_LIMITS
from exporter.tuning.series import DAY, HOUR, AirflowHistory, add_up, integrate

QUESTION, TITLE = "schedule", "Are too many runs due in the same minute?"
MIN_RUNS = 5.0
"""Runs due in a minute, on average over the days, from which on it is a peak."""
TIMES_MEAN = 5.0
"""And that many times the mean of all minutes."""
AFTER = 1800.0
"""Seconds after a peak in which its runs wait for each other."""
MIN_SHARE_RATIO = 2.0
"""Of all waiting, that much more than of all time must lie after peaks."""
COLUMN = 5
"""Minutes of a column of the heat map."""
MAX_NAMED = 10


def answer(seen: AirflowHistory) -> Answer:
    """The answer for a window."""
    due = seen.get(DUE)
    if seen.observed_seconds < MIN_OBSERVED or not due:
        have = f"{format_hours(seen.observed_seconds / HOUR)} observed, {sum(due.values()):.0f} due runs"
        return Answer(QUESTION, TITLE, missing=[Shortfall("Due runs", have, "24 h, some runs", DUE.source.value)])
    by_minute = average_minutes(due, seen.observed_seconds / DAY)
    peaks = find_peaks(by_minute)
    found = list(judge(seen, due, peaks))
    charts = [draw(by_minute)]
    if found:
        return Answer(QUESTION, TITLE, found, charts=charts)
    if not peaks:
        return Answer(QUESTION, TITLE, nothing="Nothing to change: due runs are spread over the day.", charts=charts)
    busiest = max(peaks, key=by_minute.__getitem__)
    text = (
        f"Nothing to change: {by_minute[busiest]:.0f} runs are due at {format_minute(busiest)}, and do not wait for it."
    )
    return Answer(QUESTION, TITLE, nothing=text, charts=charts)


def average_minutes(due: Mapping[float, float], days: float) -> dict[int, float]:
    """Runs that are due in each minute of the day, on average. The series counts them in the minute before."""
    found: dict[int, float] = defaultdict(float)
    for moment, count in due.items():
        found[get_minute(moment + MINUTE)] += count / days
    return found


def get_minute(moment: float) -> int:
    """The minute of the day (UTC)."""
    return int(moment % DAY // MINUTE)


def format_minute(minute: int) -> str:
    """A minute of the day for people."""
    return f"{minute // 60:02d}:{minute % 60:02d} UTC"


def find_peaks(by_minute: Mapping[int, float]) -> list[int]:
    """Minutes of the day in which far more runs are due than in others."""
    mean = sum(by_minute.values()) / (DAY / MINUTE)
    return sorted(minute for minute, count in by_minute.items() if count >= max(MIN_RUNS, TIMES_MEAN * mean))


def judge(seen: AirflowHistory, due: Mapping[float, float], peaks: Collection[int]) -> Iterator[Recommendation]:
    """Spread the runs of the peaks, where much of the waiting follows them."""
    waits = add_up(series for series in seen.list(WAITED) if series.labels.get("reason") not in NO_LIMITS)
    after = {moment: value for moment, value in waits.items() if follows_peak(moment, peaks)}
    total, behind = integrate(waits), integrate(after)
    if not peaks or not total or behind < MIN_WAITED_PER_DAY * seen.observed_seconds / DAY:
        return
    share_of_time = len(after) / len(waits)
    if behind / total < min(0.9, MIN_SHARE_RATIO * share_of_time):
        return
    excess = max(0.0, behind - share_of_time * total)
    yield recommend(seen, due, peaks, (behind, total, share_of_time), Savings.of_seconds(0.3 * excess, 0.8 * excess))


def follows_peak(moment: float, peaks: Collection[int]) -> bool:
    """Whether a peak lies in the half hour before."""
    return any((moment - minute * MINUTE) % DAY <= AFTER for minute in peaks)


def recommend(
    seen: AirflowHistory,
    due: Mapping[float, float],
    peaks: Collection[int],
    waits: tuple[float, float, float],
    savings: Savings,
) -> Recommendation:
    """Spread the runs."""
    behind, total, share = waits
    by_minute = average_minutes(due, seen.observed_seconds / DAY)
    busiest = sorted(peaks, key=lambda minute: (-by_minute[minute], minute))[:3]
    named = ", ".join(f"{by_minute[minute]:.0f} at {format_minute(minute)}" for minute in busiest)
    dags = list_dags(seen, peaks)
    after = f"{format_hours(behind / HOUR)} of {format_hours(total / HOUR)} of waiting lie in the half hours after them"
    after += f", {100 * share:.0f} % of the time"
    return Recommendation(
        title=f"Spread the runs that are due at {format_minute(busiest[0])}",
        setting="schedule",
        object=", ".join(dags[:MAX_NAMED]) or "the DAGs of these minutes",
        current=format_minute(busiest[0]),
        value="other minutes, some apart",
        seen=[
            f"runs due in one minute: {named}",
            after,
        ],
        change="Give these DAGs minutes of their own, urgent ones first: 7 2 * * * instead of 0 2 * * *.",
        effect=f"saves {savings} of waiting",
        savings=savings,
        counter_check="DAGs whose data is complete only then, and those that wait for each other's assets, stay.",
        risk="Runs end later where nothing made them wait; sensors with an execution_delta must be changed with them.",
        confidence=Confidence.MEDIUM,
        reason=f"what each of {format_number(len(dags))} DAGs contributes was not observed",
        queries=seen.show(DUE, WAITED, RUNNING),
    )


def list_dags(seen: AirflowHistory, peaks: Collection[int]) -> list[str]:
    """DAGs whose next run is due in the same minute of an hour as a peak."""
    minutes = {minute % 60 for minute in peaks}
    found = seen.by_dag(NEXT_RUN).items()
    return sorted(dag_id for dag_id, moment in found if time.gmtime(moment).tm_min in minutes)


def draw(by_minute: Mapping[int, float]) -> ChartSpec:
    """Due runs by hour and minute."""
    grid: list[Sequence[float]] = [
        [
            sum(by_minute.get(60 * hour + column + minute, 0.0) for minute in range(COLUMN))
            for column in range(0, 60, COLUMN)
        ]
        for hour in range(24)
    ]
    columns = [f"{column:02d}" for column in range(0, 60, COLUMN)]
    return ChartSpec(
        "Due runs by hour and minute (UTC), on average",
        "minute",
        "hour",
        grid=grid,
        rows=[f"{hour:02d}" for hour in range(24)],
        categories=columns,
    )
