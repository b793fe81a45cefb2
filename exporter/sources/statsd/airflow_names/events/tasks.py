"""Task instances: what the processes that run them and the schedulers report.

A `ti.finish` comes from a process that ran the task. So success, failed, up_for_retry and skipped end a try;
up_for_reschedule and deferred do not, the same try goes on later. 2.x sends a zero for every state at each start: those
create series if a task can reach the state, and have no effect otherwise.
"""

from exporter.metrics.catalogue.api import tasks
from exporter.metrics.catalogue.statsd import custom, scheduler
from exporter.metrics.catalogue.statsd import tasks as task_families
from exporter.sources.statsd.airflow_names.event import Event, FamilyBinding, Part, TimerUnit
from exporter.sources.statsd.model import MetricType

OF_TASK = ("dag_id", "task_id")
FINISHING = "2.x, 3.1.8+"
NEVER_FINISHED = (
    "None", "none", "queued", "scheduled", "running", "removed", "restarting", "shutdown", "upstream_failed",
    "awaiting_input",
)  # fmt: skip

EVENTS = (
    Event(
        "ti.start",
        MetricType.COUNTER,
        bindings=(FamilyBinding(task_families.STARTS, stands_in_for=tasks.TRIES),),
        legacy=("ti.start.{dag_id}.{task_id}",),
        releases=FINISHING,
    ),
    Event(
        "ti.finish",
        MetricType.COUNTER,
        bindings=(
            FamilyBinding(tasks.FINISHED, only=("success", "failed")),
            FamilyBinding(tasks.NOT_RUN, only=("skipped",)),
            FamilyBinding(tasks.TRIES, only=("success", "failed", "up_for_retry", "skipped")),
            FamilyBinding(tasks.TRIES_FAILED, only=("failed", "up_for_retry")),
            FamilyBinding(tasks.RETRIES, only=("up_for_retry",)),
            FamilyBinding(task_families.RESCHEDULES, only=("up_for_reschedule",)),
            FamilyBinding(task_families.DEFERRALS, only=("deferred",)),
        ),
        legacy=("ti.finish.{dag_id}.{task_id}.{state}",),
        releases=FINISHING,
        states=NEVER_FINISHED,
        note=(
            "tasks that no process ran are not reported: branch skips, upstream_failed, EmptyOperator, marks by hand, "
            "and tasks that schedulers fail because their process died"
        ),
    ),
    Event(
        "task.duration",
        MetricType.TIMER,
        bindings=(
            FamilyBinding(tasks.RUN_SECONDS),
            FamilyBinding(task_families.EXECUTION_DURATION, stands_in_for=tasks.DURATION),
        ),
        legacy=("dag.{dag_id}.{task_id}.duration",),
        releases="2.x, 3.1.6+",
        unit=TimerUnit.TASK,
        note=(
            "from when the process has loaded the task, so less than the database says; 3.x: not of tasks that skip "
            "themselves; 2.x: without deferred time, but with the pokes of rescheduled sensors"
        ),
    ),
    Event(
        "task.queued_duration",
        MetricType.TIMER,
        bindings=(
            FamilyBinding(tasks.QUEUED_DURATION),
            FamilyBinding(tasks.DAG_QUEUED_SECONDS),
            FamilyBinding(tasks.DAG_QUEUED_TRIES, part=Part.COUNT),
        ),
        legacy=("dag.{dag_id}.{task_id}.queued_duration",),
        releases="2.x",
        unit=TimerUnit.WAIT,
        note="first tries only; without the queue, so that the label is empty",
    ),
    Event(
        "task.scheduled_duration",
        MetricType.TIMER,
        bindings=(
            FamilyBinding(tasks.SCHEDULED_DURATION, releases="3.0+"),
            FamilyBinding(tasks.DAG_SCHEDULED_SECONDS, releases="3.0+"),
            FamilyBinding(tasks.DAG_SCHEDULED_TRIES, part=Part.COUNT, releases="3.0+"),
        ),
        legacy=("dag.{dag_id}.{task_id}.scheduled_duration",),
        tags=("queue",),
        unit=TimerUnit.WAIT,
        note="first tries only; without the pool, so that the label is empty. 2.x counts from the task's first start",
    ),
    *(
        Event(
            f"ti.{state}",
            MetricType.GAUGE,
            bindings=(FamilyBinding(task_families.ACTIVE, const={"state": state}),),
            legacy=(f"ti.{state}.{{queue}}.{{dag_id}}.{{task_id}}",),
            releases=releases,
        )
        for state, releases in {"running": "3.0+", "scheduled": "3.2+", "queued": "3.2+", "deferred": "3.2+"}.items()
    ),
    *(
        Event(
            f"task.{name}",
            MetricType.GAUGE,
            bindings=(FamilyBinding(family, percent=True),),
            legacy=(f"task.{name}.{{dag_id}}.{{task_id}}",),
            releases="2.x",
            twins=False,
        )
        for name, family in {"cpu_usage": task_families.CPU_USAGE, "mem_usage": task_families.MEMORY_USAGE}.items()
    ),
    Event(
        "ti_successes",
        MetricType.COUNTER,
        bindings=(FamilyBinding(task_families.SUCCESSES),),
        tags=OF_TASK,
        releases="2.x, 3.1.6+",
    ),
    Event("ti_failures", MetricType.COUNTER, bindings=(FamilyBinding(task_families.FAILURES),), tags=OF_TASK),
    Event(
        "operator_successes",
        MetricType.COUNTER,
        bindings=(FamilyBinding(task_families.OPERATOR_SUCCESSES),),
        legacy=("operator_successes_{operator}",),
        tags=OF_TASK,
        releases="2.x, 3.1.6+",
    ),
    Event(
        "operator_failures",
        MetricType.COUNTER,
        bindings=(FamilyBinding(task_families.OPERATOR_FAILURES),),
        legacy=("operator_failures_{operator}",),
        tags=OF_TASK,
    ),
    Event(
        "task_instance_created",
        MetricType.COUNTER,
        bindings=(FamilyBinding(task_families.CREATED),),
        legacy=("task_instance_created_{operator}",),
        tags=("dag_id", "run_type"),
    ),
    Event(
        "task_removed_from_dag",
        MetricType.COUNTER,
        bindings=(FamilyBinding(task_families.REMOVED),),
        legacy=("task_removed_from_dag.{dag_id}",),
        tags=("run_type",),
    ),
    Event(
        "task_restored_to_dag",
        MetricType.COUNTER,
        bindings=(FamilyBinding(task_families.RESTORED),),
        legacy=("task_restored_to_dag.{dag_id}",),
        tags=("run_type",),
    ),
    Event(
        "previously_succeeded",
        MetricType.COUNTER,
        bindings=(FamilyBinding(task_families.PREVIOUSLY_SUCCEEDED),),
        tags=OF_TASK,
    ),
    Event(
        "task_instances_without_heartbeats_killed",
        MetricType.COUNTER,
        bindings=(FamilyBinding(scheduler.WITHOUT_HEARTBEAT),),
        tags=OF_TASK,
        releases="3.0+",
    ),
    Event(
        "zombies_killed",
        MetricType.COUNTER,
        bindings=(FamilyBinding(scheduler.WITHOUT_HEARTBEAT),),
        tags=OF_TASK,
        releases="2.x",
    ),
    Event(
        "records_processed",
        MetricType.COUNTER,
        bindings=(FamilyBinding(custom.RECORDS_PROCESSED),),
        legacy=("records_processed.{dag_id}.{task_id}",),
        twins=False,
        note="sent by users' tasks",
    ),
)
