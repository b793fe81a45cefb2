"""The DAG that the seeding copies 2,000 times; it is never run."""

# mypy: ignore-errors
# (Airflow is not in our environment: this file runs in its own.)

from datetime import UTC, datetime, timedelta

from airflow import DAG

try:
    from airflow.providers.standard.operators.bash import BashOperator
except ImportError:  # Airflow 2 without the standard provider
    from airflow.operators.bash import BashOperator

with DAG(
    "bench_template",
    schedule=timedelta(hours=2),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    is_paused_upon_creation=True,
    default_args={"owner": "bench", "retries": 2},
    tags=["bench", "copy"],
) as dag:
    previous = None
    for number in range(10):
        task = BashOperator(task_id=f"task_{number}", bash_command=f"sleep {number}")
        if previous:
            previous >> task
        previous = task
