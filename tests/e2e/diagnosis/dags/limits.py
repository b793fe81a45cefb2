"""Airflow DAGs whose tasks wait: for pools, for limits of DAG, task and run, behind others."""

from __future__ import annotations

import time

from fault_compat import declare, get_conf, hold, task


def holding(dag_id, tasks=1, dag=None, **settings):
    """A DAG of tasks that hold whatever they have until the test is over."""
    with declare(dag_id, **(dag or {})):
        for number in range(tasks):
            task(task_id=f"hold_{number}", **settings)(hold)()


holding("asks_too_much", pool="tiny", pool_slots=3)
holding("asks_for_no_pool", pool="nowhere")
holding("asks_a_closed_pool", pool="closed")
holding("pool_holder", pool="narrow")
holding("pool_waiter", tasks=3, pool="narrow")
holding("few_at_once", tasks=4, dag={"max_active_tasks": 1})
holding("one_instance", max_active_tis_per_dag=1)
holding("one_run", dag={"max_active_runs": 1})
holding("paused_midway", tasks=3, dag={"max_active_tasks": 1})
holding("daily_report", pool="shared")
holding("twice_held", tasks=2, dag={"max_active_runs": 1}, pool="both")
holding("crowd", tasks=8)
holding("no_such_queue", queue="gpu")
holding("full_workers", tasks=9)

with declare("humble"):
    task(task_id="unhurried", pool="contested", priority_weight=1)(hold)()

with declare("pushy"):

    @task(pool="contested", priority_weight=100)
    def pushed():
        """The first run ends after a while, the second holds the slot."""
        seconds = get_conf().get("seconds")
        time.sleep(seconds) if seconds else hold()

    pushed()
