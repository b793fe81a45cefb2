"""A DAG file that cannot be imported."""

from airflow.providers.legacy import LegacyOperator  # noqa: F401
