"""Users' own metrics: those that are declared, and what the others have in common."""

from exporter.metrics.family import Family, Kind

PREFIX = "airflow_custom_"
BUCKETS = (0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0, 1800.0, 7200.0)
"""Of all timers and histograms of users."""
CAP = 1_000
"""Series of one of users' families."""
TTL = 3600.0
"""Seconds after which a gauge of users that is sent no more goes."""

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
