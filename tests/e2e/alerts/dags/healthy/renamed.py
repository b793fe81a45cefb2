"""An Airflow DAG that gets another name while it runs."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from airflow.sdk import DAG, task

with DAG("old_name", schedule="* * * * *", start_date=datetime(2024, 1, 1, tzinfo=UTC), catchup=False, tags=["slo:5m"]):

    @task
    def work():
        time.sleep(3)

    work()
