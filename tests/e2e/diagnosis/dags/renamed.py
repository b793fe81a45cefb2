"""An Airflow DAG that gets another name, when ordered to, while a sensor of it waits for its next check."""

from __future__ import annotations

from fault_compat import ORDERS, PythonSensor, declare, timedelta

with declare("new_name" if (ORDERS / "rename").exists() else "old_name"):
    PythonSensor(
        task_id="not_yet",
        mode="reschedule",
        poke_interval=900,
        timeout=timedelta(days=1).total_seconds(),
        python_callable=lambda: False,
    )
