"""Caches, connection tests, loading, OpenLineage."""

from exporter.metrics.catalogue.statsd import internals
from exporter.sources.statsd.airflow_names.event import Event, FamilyBinding, Part, TimerUnit
from exporter.sources.statsd.airflow_names.events.scheduler import counter, gauge, stopwatch
from exporter.sources.statsd.model import MetricType

COMPONENTS = ("scheduler", "api_server")

EVENTS = (
    *(
        counter(
            f"{component}.dag_bag.cache_{result}", internals.CACHE_REQUESTS, "3.2+", component=component, result=result
        )
        for component in COMPONENTS
        for result in ("hit", "miss")
    ),
    *(
        counter(f"{component}.dag_bag.cache_clear", internals.CACHE_CLEARS, "3.2+", component=component)
        for component in COMPONENTS
    ),
    *(
        gauge(f"{component}.dag_bag.cache_size", internals.CACHED_DAGS, "3.2+", component=component)
        for component in COMPONENTS
    ),
    gauge("connection_test.active", internals.CONNECTION_TESTS, "3.3+", state="active"),
    gauge("connection_test.pending", internals.CONNECTION_TESTS, "3.3+", state="pending"),
    counter("connection_test.success", internals.CONNECTION_TESTS_FINISHED, "3.3+", state="success"),
    counter("connection_test.failed", internals.CONNECTION_TESTS_FINISHED, "3.3+", state="failed"),
    counter("connection_test.reaped", internals.CONNECTION_TESTS_REAPED, "3.3+", tags=("state",)),
    stopwatch("connection_test.dispatch_duration", internals.CONNECTION_TEST_DISPATCH_DURATION, "3.3+"),
    stopwatch("connection_test.hook_duration", internals.CONNECTION_TEST_DURATION, "3.3+"),
    stopwatch("serde.load_serializers", internals.LOAD_SERIALIZERS_DURATION),
    stopwatch("airflow.io.load_filesystems", internals.LOAD_FILESYSTEMS_DURATION),
    counter("ol.emit.failed", internals.OPENLINEAGE_FAILURES),
    Event(
        "ol.emit.attempts",
        MetricType.TIMER,
        bindings=(FamilyBinding(internals.OPENLINEAGE_EMIT_DURATION),),
        legacy=("ol.emit.attempts.{event_type}.{transport}",),
        unit=TimerUnit.STOPWATCH,
    ),
    Event(
        "ol.extract",
        MetricType.TIMER,
        bindings=(FamilyBinding(internals.OPENLINEAGE_EXTRACT_DURATION),),
        legacy=("ol.extract.{event_type}.{operator}",),
        unit=TimerUnit.STOPWATCH,
    ),
    Event(
        "ol.event.size",
        MetricType.GAUGE,
        bindings=(
            FamilyBinding(internals.OPENLINEAGE_EVENTS, part=Part.COUNT),
            FamilyBinding(internals.OPENLINEAGE_EVENT_BYTES),
        ),
        legacy=("ol.event.size.{event_type}.{operator}",),
    ),
)
