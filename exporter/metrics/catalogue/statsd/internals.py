"""Internals of Airflow, from StatsD: caches, connection tests, loading, OpenLineage."""

from functools import partial

from exporter.metrics.family import Family, Kind, Merge

BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

gauge = partial(Family, kind=Kind.GAUGE, source="statsd", reader="internals")
counter = partial(Family, kind=Kind.COUNTER, source="statsd", reader="internals", cap=2_000)
histogram = partial(Family, kind=Kind.HISTOGRAM, source="statsd", reader="internals", buckets=BUCKETS, cap=500)

COMPONENT = {"component": ("scheduler", "api_server")}
CACHE_REQUESTS = counter(
    "airflow_dag_bag_cache_requests_total",
    help="Total number of lookups in the cache of serialized DAGs, by result: hit or miss",
    labels=("component", "result"),
    origin="scheduler.dag_bag.cache_{hit,miss}, api_server.dag_bag.cache_{hit,miss}",
    since="3.2",
    closed={**COMPONENT, "result": ("hit", "miss")},
)
CACHE_CLEARS = counter(
    "airflow_dag_bag_cache_clears_total",
    help="Total number of times that a cache of serialized DAGs was cleared",
    labels=("component",),
    origin="scheduler.dag_bag.cache_clear, api_server.dag_bag.cache_clear",
    since="3.2",
    closed=COMPONENT,
    audience="developers of Airflow who look at the cache of serialized DAGs",
)
CACHED_DAGS = gauge(
    "airflow_dag_bag_cached_dags",
    help="Number of serialized DAGs in the component's largest cache; Airflow reports one change in ten",
    labels=("component",),
    origin="scheduler.dag_bag.cache_size, api_server.dag_bag.cache_size",
    since="3.2",
    closed=COMPONENT,
    ttl=3600.0,
    merge=Merge.MAXIMUM,
    audience="developers of Airflow who look at the cache of serialized DAGs",
)
CONNECTION_TESTS = gauge(
    "airflow_connection_tests",
    help="Number of connection tests that are running (active) or waiting (pending)",
    labels=("state",),
    origin="connection_test.active, connection_test.pending",
    since="3.3",
    closed={"state": ("active", "pending")},
    ttl=120.0,
    audience="users who test connections on workers from Airflow's UI",
)
CONNECTION_TESTS_FINISHED = counter(
    "airflow_connection_tests_finished_total",
    help="Total number of finished connection tests on workers, by final state",
    labels=("state",),
    origin="connection_test.success, connection_test.failed",
    since="3.3",
    closed={"state": ("success", "failed")},
    audience="users who test connections on workers from Airflow's UI",
)
CONNECTION_TESTS_REAPED = counter(
    "airflow_connection_tests_reaped_total",
    help="Total number of connection tests abandoned by schedulers, by previous state; the label is empty in plain"
    " StatsD",
    labels=("state",),
    origin="connection_test.reaped: prior_state",
    since="3.3",
    cap=50,
    audience="users who test connections on workers from Airflow's UI",
)
CONNECTION_TEST_DISPATCH_DURATION = histogram(
    "airflow_connection_test_dispatch_duration_seconds",
    help="Time that a scheduler took to send waiting connection tests to executors",
    origin="connection_test.dispatch_duration",
    since="3.3",
    audience="users who test connections on workers from Airflow's UI",
)
CONNECTION_TEST_DURATION = histogram(
    "airflow_connection_test_duration_seconds",
    help="Duration of a connection test on a worker",
    origin="connection_test.hook_duration",
    since="3.3",
    audience="users who test connections on workers from Airflow's UI",
)
LOAD_SERIALIZERS_DURATION = histogram(
    "airflow_serde_load_serializers_duration_seconds",
    help="Time that an Airflow process took to load all serializers",
    origin="serde.load_serializers",
    audience="developers of Airflow who look at what a process loads when it starts",
)
LOAD_FILESYSTEMS_DURATION = histogram(
    "airflow_io_load_filesystems_duration_seconds",
    help="Time that an Airflow process took to load the file systems of providers",
    origin="airflow.io.load_filesystems",
    audience="developers of Airflow who look at what a process loads when it starts",
)
OPENLINEAGE_FAILURES = counter(
    "airflow_openlineage_emit_failures_total",
    help="Total number of OpenLineage events that could not be emitted",
    labels=("team",),
    origin="ol.emit.failed",
    audience="users of OpenLineage, to see what it emits and how long that takes",
)
OPENLINEAGE_EMIT_DURATION = histogram(
    "airflow_openlineage_emit_duration_seconds",
    help="Duration of attempts to emit an OpenLineage event",
    labels=("event_type", "transport", "team"),
    origin="ol.emit.attempts",
    audience="users of OpenLineage, to see what it emits and how long that takes",
)
OPENLINEAGE_EXTRACT_DURATION = histogram(
    "airflow_openlineage_extract_duration_seconds",
    help="Time that it took to extract an OpenLineage event",
    labels=("event_type", "team"),
    origin="ol.extract",
    audience="users of OpenLineage, to see what it emits and how long that takes",
)
OPENLINEAGE_EVENTS = counter(
    "airflow_openlineage_events_total",
    help="Total number of OpenLineage events with a reported size",
    labels=("event_type", "operator", "team"),
    origin="ol.event.size",
    audience="users of OpenLineage, to see what it emits and how long that takes",
)
OPENLINEAGE_EVENT_BYTES = counter(
    "airflow_openlineage_event_bytes_total",
    help="Total size of OpenLineage events in bytes",
    labels=("event_type", "operator", "team"),
    origin="ol.event.size",
    audience="users of OpenLineage, to see what it emits and how long that takes",
)

FAMILIES = (
    CACHE_REQUESTS,
    CACHE_CLEARS,
    CACHED_DAGS,
    CONNECTION_TESTS,
    CONNECTION_TESTS_FINISHED,
    CONNECTION_TESTS_REAPED,
    CONNECTION_TEST_DISPATCH_DURATION,
    CONNECTION_TEST_DURATION,
    LOAD_SERIALIZERS_DURATION,
    LOAD_FILESYSTEMS_DURATION,
    OPENLINEAGE_FAILURES,
    OPENLINEAGE_EMIT_DURATION,
    OPENLINEAGE_EXTRACT_DURATION,
    OPENLINEAGE_EVENTS,
    OPENLINEAGE_EVENT_BYTES,
)
