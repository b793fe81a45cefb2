"""The scheduler and the triggerer."""

from exporter.metrics.catalogue.statsd import scheduler, triggerer
from exporter.metrics.family import Family
from exporter.sources.statsd.airflow_names.event import Event, FamilyBinding, TimerUnit
from exporter.sources.statsd.model import MetricType

DEV = "3.4+"
BOTH = ("dag_id", "task_id")


def counter(name: str, family: Family, releases: str = "", tags: tuple[str, ...] = (), **const: str) -> Event:
    return Event(name, MetricType.COUNTER, bindings=(FamilyBinding(family, const=const),), releases=releases, tags=tags)


def gauge(name: str, family: Family, releases: str = "", **const: str) -> Event:
    return Event(name, MetricType.GAUGE, bindings=(FamilyBinding(family, const=const),), releases=releases)


def stopwatch(name: str, family: Family, releases: str = "", tags: tuple[str, ...] = (), **const: str) -> Event:
    return Event(
        name,
        MetricType.TIMER,
        bindings=(FamilyBinding(family, const=const),),
        releases=releases,
        tags=tags,
        unit=TimerUnit.STOPWATCH,
    )


EVENTS = (
    counter("scheduler_heartbeat", scheduler.HEARTBEATS),
    stopwatch("scheduler.scheduler_loop_duration", scheduler.LOOP_DURATION),
    stopwatch("scheduler.critical_section_duration", scheduler.CRITICAL_SECTION_DURATION),
    stopwatch("scheduler.critical_section_query_duration", scheduler.CRITICAL_SECTION_QUERY_DURATION),
    counter("scheduler.critical_section_busy", scheduler.CRITICAL_SECTION_BUSY),
    stopwatch(
        "scheduler.executor_heartbeat_duration", scheduler.EXECUTOR_HEARTBEAT_DURATION, "3.3+", tags=("executor",)
    ),
    gauge("scheduler.tasks.executable", scheduler.TASKS, state="executable"),
    gauge("scheduler.tasks.starving", scheduler.TASKS, state="starving"),
    *(
        Event(
            f"scheduler.dagruns.{state}",
            MetricType.GAUGE,
            bindings=(FamilyBinding(scheduler.DAG_RUNS, const={"state": state}),),
            legacy=(f"scheduler.dagruns.{state}.{{dag_id}}",),
            releases=releases,
            modern_only_releases=releases,
            tags_optional=True,
            note="dag_id is empty, and the number is that of all DAGs, unless dagrun_metrics_per_dag_id is on",
        )
        for state, releases in {"running": "3.2+", "queued": DEV}.items()
    ),
    counter("scheduler.orphaned_tasks.adopted", scheduler.ORPHANED_TASKS, action="adopted"),
    counter("scheduler.orphaned_tasks.cleared", scheduler.ORPHANED_TASKS, action="cleared"),
    counter("scheduler.tasks.killed_externally", scheduler.KILLED_EXTERNALLY, tags=BOTH),
    counter("scheduler.loop_exceptions", scheduler.LOOP_EXCEPTIONS, DEV, tags=("exception_class",)),
    counter("scheduler.executor_events.processed", scheduler.EXECUTOR_EVENTS_PROCESSED, DEV),
    counter("scheduler.executor_events.failed", scheduler.EXECUTOR_EVENTS_FAILED, DEV, tags=("exception_class",)),
    gauge("scheduler.executor_events.batch_size", scheduler.EXECUTOR_EVENTS_BATCH, DEV),
    counter("scheduler.zombies.detected", scheduler.ZOMBIES_DETECTED, DEV, tags=("reason",)),
    counter("dag.callback_exceptions", scheduler.CALLBACK_EXCEPTIONS, tags=("dag_id",)),
    stopwatch("collect_db_dags", scheduler.COLLECT_DB_DAGS_DURATION, "2.x"),
    counter("triggerer_heartbeat", triggerer.HEARTBEATS),
    Event(
        "triggers.running",
        MetricType.GAUGE,
        bindings=(FamilyBinding(triggerer.RUNNING),),
        legacy=("triggers.running.{hostname}",),
    ),
    Event(
        "triggerer.capacity_left",
        MetricType.GAUGE,
        bindings=(FamilyBinding(triggerer.CAPACITY_LEFT),),
        legacy=("triggerer.capacity_left.{hostname}",),
        releases="3.0+",
    ),
    counter("triggers.succeeded", triggerer.SUCCEEDED),
    counter("triggers.failed", triggerer.FAILED),
    counter("triggers.blocked_main_thread", triggerer.BLOCKED_MAIN_THREAD),
    counter("triggers.state_mismatch", triggerer.STATE_MISMATCH, DEV),
    stopwatch("triggerer.batch_trigger_creation_duration", triggerer.CREATION_DURATION, DEV),
    Event(
        "triggerer.trigger_queue_delay",
        MetricType.TIMER,
        bindings=(FamilyBinding(triggerer.QUEUE_DELAY),),
        releases=DEV,
        unit=TimerUnit.SPAN,
    ),
)
