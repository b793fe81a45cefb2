"""A DAG file that Airflow cannot import."""

raise RuntimeError("this file is broken on purpose")
