"""The DAG whose one failed try task_logs.py copies: a log of usual size, with an exception that has a cause."""

# mypy: ignore-errors
# (Airflow is not in our environment: this file runs in its own.)

from datetime import UTC, datetime

try:
    from airflow.sdk import DAG, task
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.decorators import task

with DAG("bench_fails", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), is_paused_upon_creation=False):

    @task
    def load() -> None:
        for number in range(200):
            print(f"row {number} of 200 was read from the source and written to the target")
        try:
            int("eleven")
        except ValueError as error:
            raise RuntimeError("the table is not complete") from error

    load()
