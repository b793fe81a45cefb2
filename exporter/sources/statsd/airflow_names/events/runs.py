"""Runs of DAGs, and pools."""

from exporter.metrics.catalogue.api import pools, runs
from exporter.metrics.catalogue.statsd import scheduler, tasks
from exporter.sources.statsd.airflow_names.event import Event, Feed, Part, Unit
from exporter.sources.statsd.model import Type

BY_SCHEDULER = "runs that somebody marks by hand are not reported; run_type is empty in plain StatsD"

EVENTS = (
    Event(
        "dagrun.duration.success",
        Type.TIMER,
        feeds=(
            Feed(runs.FINISHED, const={"state": "success"}, part=Part.COUNT),
            Feed(runs.DURATION),
        ),
        legacy=("dagrun.duration.success.{dag_id}",),
        tags=("run_type",),
        unit=Unit.SPAN,
        note=BY_SCHEDULER,
    ),
    Event(
        "dagrun.duration.failed",
        Type.TIMER,
        feeds=(
            Feed(runs.FINISHED, const={"state": "failed"}, part=Part.COUNT),
            Feed(tasks.RUN_FAILED_SECONDS),
        ),
        legacy=("dagrun.duration.failed.{dag_id}",),
        tags=("run_type",),
        unit=Unit.SPAN,
        note=BY_SCHEDULER + "; of runs that timed out 2.x does not tell it at all",
    ),
    Event(
        "dagrun.schedule_delay",
        Type.TIMER,
        feeds=(Feed(runs.SCHEDULE_DELAY),),
        legacy=("dagrun.schedule_delay.{dag_id}",),
        unit=Unit.SPAN,
        note="runs of backfills are among them on 3.x",
    ),
    Event(
        "dagrun.first_task_scheduling_delay",
        Type.TIMER,
        feeds=(Feed(tasks.FIRST_TASK_SCHEDULING_DELAY),),
        legacy=("dagrun.{dag_id}.first_task_scheduling_delay",),
        tags=("run_type",),
        unit=Unit.SPAN,
        note="3.3 sends the name with the DAG's id twice, so only the other one counts",
    ),
    Event(
        "dagrun.first_task_start_delay",
        Type.TIMER,
        feeds=(Feed(tasks.FIRST_TASK_START_DELAY),),
        tags=("dag_id", "run_type"),
        releases="3.2+",
        unit=Unit.SPAN,
    ),
    Event(
        "dagrun.dependency-check",
        Type.TIMER,
        feeds=(Feed(scheduler.DEPENDENCY_CHECK_DURATION), Feed(scheduler.DAG_DEPENDENCY_CHECK_SECONDS)),
        legacy=("dagrun.dependency-check.{dag_id}",),
        tags=("run_type",),
        unit=Unit.STOPWATCH,
    ),
    *(
        Event(
            f"pool.{name}",
            Type.GAUGE,
            feeds=(feed,),
            legacy=(f"pool.{name}.{{pool}}",),
            note="in the pool's name everything but letters, digits and _ . - is replaced by Airflow",
        )
        for name, feed in {
            "open_slots": Feed(tasks.POOL_OPEN),
            "running_slots": Feed(pools.OCCUPIED, const={"state": "running"}),
            "queued_slots": Feed(pools.OCCUPIED, const={"state": "queued"}),
            "deferred_slots": Feed(tasks.POOL_DEFERRED),
            "scheduled_slots": Feed(pools.WAITING),
            "starving_tasks": Feed(tasks.POOL_STARVING),
        }.items()
    ),
)
