"""Airflow DAGs that wait for what never comes: sensors, a trigger, a past that failed, assets that no DAG makes."""

from __future__ import annotations

from datetime import UTC, datetime

from fault_compat import (
    Asset,
    BaseOperator,
    ExternalTaskSensor,
    PythonSensor,
    TimeDeltaTrigger,
    declare,
    task,
    timedelta,
)

DAY = timedelta(days=1)
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
ENDLESS = {"poke_interval": 25, "timeout": DAY.total_seconds(), "python_callable": lambda: False}


class NeverThere(BaseOperator):
    """Waits for a trigger that does not fire."""

    def execute(self, context):
        self.defer(trigger=TimeDeltaTrigger(DAY), method_name="resume")

    def resume(self, context, event=None):
        return None


with declare("rescheduled_sensor"):
    PythonSensor(task_id="never_true", mode="reschedule", **ENDLESS)

with declare("deferred_task"):
    NeverThere(task_id="never_there")

with declare("poking_sensors"):
    for number in range(3):
        PythonSensor(task_id=f"poke_{number}", mode="poke", **ENDLESS)

with declare("on_past", schedule=DAY, start_date=TODAY - 4 * DAY, catchup=True):

    @task(depends_on_past=True)
    def follow():
        raise FileNotFoundError("the first of them fails")

    follow()

with declare("on_downstream", schedule=DAY, start_date=TODAY - 3 * DAY, catchup=True):

    @task(wait_for_downstream=True)
    def begin():
        return None

    @task
    def end():
        raise FileNotFoundError("the first of them fails")

    begin() >> end()

with declare("asleep"):
    task(task_id="sleep")(lambda: None)()

with declare("waits_for_asleep"):
    ExternalTaskSensor(task_id="wait", external_dag_id="asleep", mode="reschedule", poke_interval=25, timeout=86_400)

with declare("retries_while_paused"):

    @task(retries=3, retry_delay=timedelta(seconds=20))
    def fail_again():
        raise TimeoutError("fails, and is retried")

    fail_again()

for kind in ("paused", "failed"):
    made = Asset(f"e2e://{kind}")
    with declare(f"{kind}_producer"):

        @task(outlets=[made])
        def produce(kind=kind):
            if kind == "failed":
                raise RuntimeError("the producer fails")

        produce()
    with declare(f"consumer_of_{kind}", schedule=[made]):
        task(task_id="consume")(lambda: None)()
