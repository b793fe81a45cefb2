"""Whether retries are worth it, by DAG and class of the failure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from exporter.tuning.advice import Answer, Confidence, Recommendation, Savings, Shortfall, format_seconds
from exporter.tuning.charts import ChartLine, ChartSpec, Shape
from exporter.tuning.queries import (
    DAG_FAILED,
    RECOVERED,
    RETRIED,
    RETRY_DELAY,
)
from exporter.tuning.series import AirflowHistory

QUESTION, TITLE = "retries", "Are retries worth it?"
MIN_RETRIES = 10
"""Retries of one class that a statement about them needs."""
SURE_RETRIES = 50
RARELY, MOSTLY = 0.1, 0.8
"""Shares of retries that help, below and above which something is to be said."""
LONG_DELAY = 300.0
"""Seconds between two tries from which on a delay is long."""
SHORTEST_DELAY = 60.0
NORMAL = 1.96
"""Of the normal distribution: 95 % lie within this many standard deviations."""


class RetryRecord(NamedTuple):
    """What became of the retries of one DAG and class."""

    dag_id: str
    error_class: str
    retried: float
    recovered: float
    delay: float
    """Seconds between a failed try and the next, all added up."""
    wasted: float
    """Seconds of the failed tries, as far as they belong to this class."""

    @property
    def mean_delay(self) -> float:
        """Seconds between a failed try and the next."""
        return self.delay / self.retried

    @property
    def share(self) -> float:
        """Share of the retries that helped."""
        return min(1.0, self.recovered / self.retried)

    @property
    def share_range(self) -> tuple[float, float]:
        """The share with its uncertainty (95 %, after Wilson)."""
        n, z = self.retried, NORMAL
        middle = (self.share + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * math.sqrt(self.share * (1 - self.share) / n + z * z / (4 * n * n))
        return max(0.0, middle - half), min(1.0, middle + half)


def answer(seen: AirflowHistory) -> Answer:
    """The answer for a window."""
    records = collect(seen)
    enough = [one for one in records if one.retried >= MIN_RETRIES]
    missing = []
    if not enough:
        have = f"{sum(one.retried for one in records):.0f} retries over all DAGs and classes"
        need = f"{MIN_RETRIES} of one class in one DAG"
        how = "nothing, where tasks hardly fail; else load prometheus/rules/tuning.yml and wait"
        missing.append(Shortfall("Retries", have, need, how))
    found = [one for record in enough for one in judge(seen, record)]
    nothing = "" if found or not enough else "Nothing to change: retries help, and do not wait for long."
    return Answer(QUESTION, TITLE, found, nothing, missing, list(draw(records)))


def collect(seen: AirflowHistory) -> list[RetryRecord]:
    """All DAGs and classes with retries."""
    retried = seen.by(RETRIED, "dag_id", "error_class")
    recovered, delay = seen.by(RECOVERED, "dag_id", "error_class"), seen.by(RETRY_DELAY, "dag_id", "error_class")
    failed, of_dag = seen.by_dag(DAG_FAILED), sum_by_dag(retried)
    return [
        RetryRecord(
            dag_id,
            error_class,
            count,
            recovered.get((dag_id, error_class), 0.0),
            delay.get((dag_id, error_class), 0.0),
            failed.get(dag_id, 0.0) * count / of_dag[dag_id],
        )
        for (dag_id, error_class), count in sorted(retried.items())
        if count > 0
    ]


def sum_by_dag(counts: Mapping[tuple[str, ...], float]) -> dict[str, float]:
    """Added up over classes."""
    found: dict[str, float] = defaultdict(float)
    for (dag_id, _), count in counts.items():
        found[dag_id] += count
    return found


def judge(seen: AirflowHistory, record: RetryRecord) -> Iterator[Recommendation]:
    """What to change for one DAG and class."""
    least, most = record.share_range
    if record.share <= RARELY and most < 0.5:
        yield recommend_none(seen, record)
    elif record.share >= MOSTLY and least > 0.5 and record.mean_delay >= LONG_DELAY:
        yield recommend_sooner(seen, record)


def recommend_none(seen: AirflowHistory, record: RetryRecord) -> Recommendation:
    """Retries that do not help."""
    savings = Savings.of_seconds(0.5 * record.delay, record.delay + record.wasted)
    return Recommendation(
        title=f"DAG {record.dag_id}: do not retry after class {record.error_class}",
        setting="retries",
        object=record.dag_id,
        current="",
        value="0 for such failures",
        seen=[*describe(record), f"failed tries of this class took {format_seconds(record.wasted)}"],
        change="Raise AirflowFailException for such failures, or set retries=0 where tasks fail in no other way.",
        effect=f"saves {savings} of delays and of tries in vain; failures are seen at once",
        savings=savings,
        counter_check="The class must be right: look at the last failed tries on the page /diagnosis. Classes that do "
        "recover (network, timeout) keep their retries.",
        risk="A failure that a retry would have cured stays until the task is cleared.",
        confidence=get_confidence(record),
        reason=explain(record),
        queries=seen.show(RETRIED, RECOVERED, RETRY_DELAY),
    )


def recommend_sooner(seen: AirflowHistory, record: RetryRecord) -> Recommendation:
    """Retries that help and wait for long."""
    delay = max(SHORTEST_DELAY, round(record.mean_delay / 5 / 60) * 60)
    saved = record.delay * (1 - delay / record.mean_delay)
    savings = Savings.of_seconds(0.5 * saved, saved)
    return Recommendation(
        title=f"DAG {record.dag_id}: retry sooner after class {record.error_class}",
        setting="retry_delay",
        object=record.dag_id,
        current=f"{record.mean_delay:.0f} s on average, with any back-off",
        value=f"{delay:.0f} s",
        seen=describe(record),
        change=f"Set retry_delay=timedelta(seconds={delay:.0f}), or a lower max_retry_delay where the delay grows.",
        effect=f"saves {savings} of delays",
        savings=savings,
        counter_check="Retries must still help: the share of those that do is on the dashboard Tuning.",
        risk="If what fails needs longer to recover, a sooner retry fails too: keep at least two retries.",
        confidence=min(get_confidence(record), Confidence.MEDIUM),
        reason="how soon a retry would have helped was not observed",
        queries=seen.show(RETRIED, RECOVERED, RETRY_DELAY),
    )


def describe(record: RetryRecord) -> list[str]:
    """The numbers."""
    least, most = record.share_range
    return [
        f"{record.recovered:.0f} of {record.retried:.0f} retries helped ({100 * least:.0f} to {100 * most:.0f} %)",
        f"{format_seconds(record.mean_delay)} from a failed try to the next, {format_seconds(record.delay)} in all",
    ]


def get_confidence(record: RetryRecord) -> Confidence:
    """By the number of retries."""
    return Confidence.HIGH if record.retried >= SURE_RETRIES else Confidence.MEDIUM


def explain(record: RetryRecord) -> str:
    """Why the confidence is not higher."""
    if record.retried >= SURE_RETRIES:
        return "many retries were observed"
    return f"only {record.retried:.0f} retries were observed"


def draw(records: list[RetryRecord]) -> Iterator[ChartSpec]:
    """Retries by class, and how many of them helped."""
    classes = sorted({one.error_class for one in records})
    if not classes:
        return
    places = [float(place) for place in range(len(classes))]
    helped = [sum(one.recovered for one in records if one.error_class == name) for name in classes]
    retried = [sum(one.retried for one in records if one.error_class == name) for name in classes]
    vain = [max(0.0, count - good) for count, good in zip(retried, helped, strict=True)]
    yield ChartSpec(
        "Retries by class",
        "",
        "retries",
        [ChartLine("helped", Shape.STACK, places, helped), ChartLine("in vain", Shape.STACK, places, vain)],
        categories=classes,
    )
