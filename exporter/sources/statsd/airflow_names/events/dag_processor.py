"""The DAG processor."""

from exporter.metrics.catalogue.api import instance
from exporter.metrics.catalogue.statsd import dag_processor
from exporter.sources.statsd.airflow_names.event import Event, FamilyBinding, Part, TimerUnit
from exporter.sources.statsd.airflow_names.events.scheduler import DEV, counter, gauge
from exporter.sources.statsd.model import MetricType

EVENTS = (
    counter("dag_processor_heartbeat", dag_processor.HEARTBEATS, "3.0+"),
    gauge("dagbag_size", dag_processor.DAGS),
    gauge("dag_processing.import_errors", instance.IMPORT_ERRORS),
    Event(
        "dag_processing.total_parse_time",
        MetricType.GAUGE,
        bindings=(FamilyBinding(dag_processor.TOTAL_PARSE_DURATION),),
        unit=TimerUnit.SECONDS,
    ),
    gauge("dag_processing.file_path_queue_size", dag_processor.QUEUED_FILES),
    counter("dag_processing.file_path_queue_update_count", dag_processor.QUEUE_UPDATES),
    Event(
        "dag_processing.last_duration",
        MetricType.TIMER,
        bindings=(FamilyBinding(dag_processor.PARSE_DURATION), FamilyBinding(dag_processor.FILE_DURATION)),
        legacy=("dag_processing.last_duration.{bundle}.{file}", "dag_processing.last_duration.{file}"),
        releases="2.x, 3.2+",
        unit=TimerUnit.FILE,
    ),
    Event(
        "dag_processing.last_run.seconds_ago",
        MetricType.GAUGE,
        bindings=(FamilyBinding(dag_processor.FILE_LAST_RUN_AGE),),
        legacy=("dag_processing.last_run.seconds_ago.{file}",),
        tags=("bundle",),
        unit=TimerUnit.SECONDS,
        legacy_may_come_alone=True,
        note="bundle is empty in plain StatsD",
    ),
    Event(
        "dag_processing.last_num_of_db_queries",
        MetricType.GAUGE,
        bindings=(FamilyBinding(dag_processor.FILE_DB_QUERIES),),
        legacy=("dag_processing.last_num_of_db_queries.{file}",),
        releases="2.x",
        twins=False,
    ),
    Event(
        "dag_processing.processes",
        MetricType.COUNTER,
        bindings=(FamilyBinding(dag_processor.PROCESSES, part=Part.COUNT),),
        tags=("action", "file"),
        needs=("action",),
        note="not fed by plain StatsD, because without tags the action is unknown",
    ),
    counter("dag_processing.processor_timeouts", dag_processor.TIMEOUTS, tags=("bundle", "file")),
    Event(
        "dag_file_processor_timeouts",
        MetricType.COUNTER,
        tags=("file",),
        releases="2.x",
        drop="twin",
        note="the old name of dag_processing.processor_timeouts, which is also sent",
    ),
    counter("dag_processing.other_callback_count", dag_processor.CALLBACKS),
    counter("dag_processing.callback_only_count", dag_processor.CALLBACK_ONLY, "3.1+"),
    counter("dag_processing.sla_callback_count", dag_processor.SLA_CALLBACKS, "2.x"),
    counter("dag_processing.manager_stalls", dag_processor.MANAGER_STALLS, "2.x"),
    counter("dag_file_refresh_error", dag_processor.REFRESH_ERRORS, "2.x", tags=("file",)),
    *(
        Event(
            f"dag.serialization.version_{action}",
            MetricType.COUNTER,
            bindings=(FamilyBinding(dag_processor.VERSIONS, const={"action": action}),),
            legacy=(f"dag.serialization.version_{action}.{{dag_id}}.{{bundle}}",),
            releases=DEV,
        )
        for action in ("created", "updated")
    ),
)
