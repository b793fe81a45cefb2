"""Tasks that are too short for what their start costs, and sensors that hold slots."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from exporter.tuning.advice import (
    Answer,
    Confidence,
    Recommendation,
    Savings,
    Shortfall,
    format_hours,
    format_number,
    format_seconds,
)
from exporter.tuning.queries import (
    DAG_OVERHEAD,
    DAG_POKED,
    DAG_SECONDS,
    DAG_TRIES,
    RUNNING,
    SHORT_TRIES,
    WAITED,
)
from exporter.tuning.questions.load import REASONS, get_limit
from exporter.tuning.questions.raising import MIN_OBSERVED
from exporter.tuning.series import DAY, HOUR, AirflowHistory, integrate

QUESTION, TITLE = "granularity", "Are tasks too small, or do sensors hold slots?"
MIN_SHORT_PER_DAY = 100
"""Short tries, of which fewer a day cost next to nothing."""
MIN_SHORT_SHARE = 0.5
BATCH = 10
"""Items that one task takes instead of one."""
MIN_SENSOR_SHARE = 0.1
"""Sensors that hold less than a tenth of all slots leave enough for tasks that work."""


class DagWork(NamedTuple):
    """What the tasks of one DAG did and cost."""

    dag_id: str
    tries: float
    short: float
    """Tries that did less than their start cost."""
    seconds: float
    overhead: float
    """Seconds of starting tasks."""
    poked: float
    """Seconds for which sensors held a slot."""


def answer(seen: AirflowHistory) -> Answer:
    """The answer for a window."""
    works = list(collect(seen))
    if seen.observed_seconds < MIN_OBSERVED or not works:
        have = f"{format_hours(seen.observed_seconds / HOUR)} observed, tries of {len(works)} DAGs"
        return Answer(QUESTION, TITLE, missing=[Shortfall("Tasks", have, "24 h, one DAG", RUNNING.source.value)])
    found = [one for work in works for one in (*judge_short(seen, work), *judge_sensors(seen, work))]
    nothing = "" if found else "Nothing to change: no DAG has mostly short tasks, and no sensors hold many slots."
    return Answer(QUESTION, TITLE, found, nothing)


def collect(seen: AirflowHistory) -> Iterator[DagWork]:
    """Every DAG with tries."""
    short, seconds = seen.by_dag(SHORT_TRIES), seen.by_dag(DAG_SECONDS)
    overhead, poked = seen.by_dag(DAG_OVERHEAD), seen.by_dag(DAG_POKED)
    for dag_id, tries in sorted(seen.by_dag(DAG_TRIES).items()):
        if tries > 0:
            others = (short, seconds, overhead, poked)
            yield DagWork(dag_id, tries, *(one.get(dag_id, 0.0) for one in others))


def judge_short(seen: AirflowHistory, work: DagWork) -> Iterator[Recommendation]:
    """Mostly short tasks."""
    days = seen.observed_seconds / DAY
    if work.short < MIN_SHORT_PER_DAY * days or work.short < MIN_SHORT_SHARE * work.tries:
        return
    cost = work.overhead * min(1.0, work.short / work.tries)
    savings = Savings.of_seconds(0.5 * cost, (1 - 1 / BATCH) * cost)
    yield Recommendation(
        title=f"DAG {work.dag_id}: {BATCH} items in a task instead of one",
        setting="the DAG's tasks",
        object=work.dag_id,
        current="",
        value=f"batches of {BATCH}",
        seen=[
            f"{work.short:.0f} of {work.tries:.0f} tries did less than their start costs",
            f"its tasks worked {format_seconds(work.seconds)}, and starting them took {format_seconds(work.overhead)}",
        ],
        change=f"Let each task of {work.dag_id} work on some {BATCH} items: fewer mapped instances, or a loop in it.",
        effect=f"saves {savings} of starting tasks; scheduler and database have less to do",
        savings=savings,
        counter_check="Which tasks are short is on the DAG dashboard. A batch must be safe to repeat as a whole.",
        risk="A failure repeats the whole batch; items of one batch run one after the other.",
        confidence=Confidence.MEDIUM,
        reason="what a batch costs was not observed",
        queries=seen.show(SHORT_TRIES, DAG_TRIES, DAG_OVERHEAD),
    )


def judge_sensors(seen: AirflowHistory, work: DagWork) -> Iterator[Recommendation]:
    """Sensors in mode poke."""
    held, limit = work.poked / seen.observed_seconds, get_limit(seen)
    if held < max(1.0, MIN_SENSOR_SHARE * (limit or 0.0)):
        return
    waited = sum(integrate(seen.get(WAITED, reason=reason)) for reason in REASONS)
    savings = Savings.of_seconds(0.0, min(waited, work.poked))
    share = "" if limit is None else f", {100 * held / limit:.0f} % of all"
    yield Recommendation(
        title=f"DAG {work.dag_id}: sensors that do not hold slots",
        setting="mode or deferrable of its sensors",
        object=work.dag_id,
        current="poke",
        value="reschedule, or deferrable=True",
        seen=[
            f"sensors hold {format_number(held)} slots on average{share}",
            f"other tasks waited {format_hours(waited / HOUR)} for slots",
        ],
        change="Set mode='reschedule' (checks a minute or more apart) or deferrable=True in its sensors.",
        effect=f"frees {format_number(held)} slots; saves {savings} of waiting for them",
        savings=savings,
        counter_check="Deferrable sensors need a triggerer with capacity; rescheduled ones start again for each check.",
        risk="A check that is due every few seconds costs more as a rescheduled task than as a sensor that waits.",
        confidence=Confidence.HIGH if limit else Confidence.MEDIUM,
        reason="the slots were held all the time" if limit else "the number of slots is not known",
        queries=seen.show(DAG_POKED, WAITED),
    )
