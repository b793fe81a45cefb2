"""Runs of DAGs, and pools."""

from exporter.metrics.catalogue.api import pools, runs
from exporter.metrics.catalogue.statsd import scheduler, tasks
from exporter.sources.statsd.airflow_names.event import Event, FamilyBinding, Part, TimerUnit
from exporter.sources.statsd.model import MetricType

BY_SCHEDULER = "runs that are marked by hand are not reported; run_type is empty in plain StatsD"

EVENTS = (
    Event(
        "dagrun.duration.success",
        MetricType.TIMER,
        bindings=(
            FamilyBinding(runs.FINISHED, const={"state": "success"}, part=Part.COUNT),
            FamilyBinding(runs.DURATION),
        ),
        legacy=("dagrun.duration.success.{dag_id}",),
        tags=("run_type",),
        unit=TimerUnit.SPAN,
        note=BY_SCHEDULER,
    ),
    Event(
        "dagrun.duration.failed",
        MetricType.TIMER,
        bindings=(
            FamilyBinding(runs.FINISHED, const={"state": "failed"}, part=Part.COUNT),
            FamilyBinding(tasks.RUN_FAILED_SECONDS),
        ),
        legacy=("dagrun.duration.failed.{dag_id}",),
        tags=("run_type",),
        unit=TimerUnit.SPAN,
        note=BY_SCHEDULER + "; 2.x does not send it for runs that timed out",
    ),
    Event(
        "dagrun.schedule_delay",
        MetricType.TIMER,
        bindings=(FamilyBinding(runs.SCHEDULE_DELAY),),
        legacy=("dagrun.schedule_delay.{dag_id}",),
        unit=TimerUnit.SPAN,
        note="includes runs of backfills on 3.x",
    ),
    Event(
        "dagrun.first_task_scheduling_delay",
        MetricType.TIMER,
        bindings=(FamilyBinding(tasks.FIRST_TASK_SCHEDULING_DELAY),),
        legacy=("dagrun.{dag_id}.first_task_scheduling_delay",),
        tags=("run_type",),
        unit=TimerUnit.SPAN,
        note="3.3 sends the name with the DAG's id twice, so only the other one counts",
    ),
    Event(
        "dagrun.first_task_start_delay",
        MetricType.TIMER,
        bindings=(FamilyBinding(tasks.FIRST_TASK_START_DELAY),),
        tags=("dag_id", "run_type"),
        releases="3.3+",
        unit=TimerUnit.SPAN,
    ),
    Event(
        "dagrun.dependency-check",
        MetricType.TIMER,
        bindings=(
            FamilyBinding(scheduler.DEPENDENCY_CHECK_DURATION),
            FamilyBinding(scheduler.DAG_DEPENDENCY_CHECK_SECONDS),
        ),
        legacy=("dagrun.dependency-check.{dag_id}",),
        tags=("run_type",),
        unit=TimerUnit.STOPWATCH,
    ),
    *(
        Event(
            f"pool.{name}",
            MetricType.GAUGE,
            bindings=(binding,),
            legacy=(f"pool.{name}.{{pool}}",),
            note="in the pool's name everything but letters, digits and _ . - is replaced by Airflow",
        )
        for name, binding in {
            "open_slots": FamilyBinding(tasks.POOL_OPEN),
            "running_slots": FamilyBinding(pools.OCCUPIED, const={"state": "running"}),
            "queued_slots": FamilyBinding(pools.OCCUPIED, const={"state": "queued"}),
            "deferred_slots": FamilyBinding(tasks.POOL_DEFERRED),
            "scheduled_slots": FamilyBinding(pools.WAITING),
            "starving_tasks": FamilyBinding(tasks.POOL_STARVING),
        }.items()
    ),
)
