"""Custom metrics of users: the declared ones, and the settings of all others."""

from exporter.metrics.family import Family, Kind

PREFIX = "airflow_custom_"
BUCKETS = (0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0, 1800.0, 7200.0)
"""Upper bounds in seconds for all custom timers and histograms."""
CAP = 1_000
"""Maximum number of series of one custom family."""
TTL = 3600.0
"""Seconds after which a custom gauge that is no longer sent expires."""

RECORDS_PROCESSED = Family(
    "airflow_custom_records_processed_total",
    Kind.COUNTER,
    help="Total number of records that tasks report as processed",
    labels=("dag_id", "task_id"),
    source="statsd",
    reader="custom",
    origin="records_processed, sent by users' tasks",
    cap=100_000,
)

FAMILIES = (RECORDS_PROCESSED,)
