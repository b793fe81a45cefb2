"""Executors and edge workers.

With one executor 2.x to 3.2 send `executor.open_slots` and the like under that name only, 3.3 with the executor's class
behind it too; with several, every release sends only the latter.
"""

from exporter.metrics.catalogue.statsd import edge, executor
from exporter.sources.statsd.airflow_names.event import Event, FamilyBinding
from exporter.sources.statsd.airflow_names.events.scheduler import DEV, counter, gauge, stopwatch
from exporter.sources.statsd.model import MetricType

OPERATIONS = ("creation", "deletion", "patching")

EVENTS = (
    *(
        Event(
            f"executor.{name}",
            MetricType.GAUGE,
            bindings=(binding,),
            legacy=(f"executor.{name}.{{executor}}",),
            tags=("team",),
            modern_only_releases="2.x, 3.0-3.2",
            legacy_may_come_alone=True,
            note="plain StatsD of 2.x to 3.2 does not contain the name of a single executor",
        )
        for name, binding in {
            "open_slots": FamilyBinding(executor.SLOTS, const={"state": "open"}),
            "running_tasks": FamilyBinding(executor.SLOTS, const={"state": "running"}),
            "queued_tasks": FamilyBinding(executor.QUEUED_TASKS),
        }.items()
    ),
    *(
        stopwatch(f"{name}_executor.adopt_task_instances.duration", executor.ADOPT_DURATION, executor=name)
        for name in ("kubernetes", "batch", "ecs", "lambda")
    ),
    counter("celery.task_timeout_error", executor.CELERY_TIMEOUTS),
    counter("celery.execute_command.failure", executor.CELERY_COMMAND_FAILURES),
    stopwatch("edge_executor.sync.duration", executor.EDGE_SYNC_DURATION),
    *(
        Event(
            f"kubernetes_executor.pod_{operation}_status",
            MetricType.COUNTER,
            bindings=(FamilyBinding(executor.POD_REQUESTS, const={"operation": operation}),),
            tags=("status",),
        )
        for operation in OPERATIONS
    ),
    *(
        stopwatch(f"kubernetes_executor.pod_{operation}", executor.POD_REQUEST_DURATION, operation=operation)
        for operation in OPERATIONS
    ),
    stopwatch("kubernetes_executor.pod_creation_batch_duration", executor.POD_BATCH_DURATION, DEV),
    gauge("kubernetes_executor.pod_creation_batch_size", executor.POD_BATCH_SIZE, DEV),
    stopwatch(
        "kubernetes_executor.clear_not_launched_queued_tasks.duration", executor.CLEAR_NOT_LAUNCHED_DURATION, "2.x"
    ),
    *(
        Event(
            f"edge_worker.{name}",
            MetricType.GAUGE,
            bindings=(FamilyBinding(family),),
            legacy=(f"edge_worker.{name}.{{worker}}",),
        )
        for name, family in {
            "status": edge.STATUS,
            "connected": edge.CONNECTED,
            "maintenance": edge.MAINTENANCE,
            "jobs_active": edge.ACTIVE_JOBS,
            "concurrency": edge.CONCURRENCY,
            "free_concurrency": edge.FREE_CONCURRENCY,
            "num_queues": edge.QUEUES,
        }.items()
    ),
    Event(
        "edge_worker.heartbeat_count",
        MetricType.COUNTER,
        bindings=(FamilyBinding(edge.HEARTBEATS),),
        legacy=("edge_worker.heartbeat_count.{worker}",),
    ),
    Event(
        "edge_worker.ti.start",
        MetricType.COUNTER,
        bindings=(FamilyBinding(edge.TASK_STARTS),),
        legacy=("edge_worker.ti.start.{queue}.{dag_id}.{task_id}",),
    ),
    Event(
        "edge_worker.ti.finish",
        MetricType.COUNTER,
        bindings=(FamilyBinding(edge.TASK_FINISHES),),
        legacy=("edge_worker.ti.finish.{queue}.{state}.{dag_id}.{task_id}",),
    ),
)
