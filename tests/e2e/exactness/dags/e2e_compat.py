"""What our DAG files import from Airflow, the same names for 2.10 to 3.3."""

from __future__ import annotations

from datetime import datetime, timedelta

try:  # Airflow 3
    from airflow.sdk import DAG, Asset, BaseOperator, TaskGroup, get_current_context, setup, task, teardown
    from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException
except ImportError:  # Airflow 2, and releases of 3 that keep the exceptions at their old place
    from airflow.exceptions import AirflowFailException, AirflowSkipException

    try:
        from airflow.sdk import DAG, Asset, BaseOperator, TaskGroup, get_current_context, setup, task, teardown
    except ImportError:
        from airflow.datasets import Dataset as Asset
        from airflow.decorators import setup, task, teardown
        from airflow.models.baseoperator import BaseOperator
        from airflow.models.dag import DAG
        from airflow.operators.python import get_current_context
        from airflow.utils.task_group import TaskGroup

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.providers.standard.operators.python import PythonOperator, ShortCircuitOperator
from airflow.providers.standard.sensors.python import PythonSensor

try:
    from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
except ImportError:
    from airflow.triggers.temporal import TimeDeltaTrigger

EPOCH = datetime(2024, 1, 1)  # noqa: DTZ001 - Airflow reads a naive date as UTC
QUICK_RETRY = timedelta(seconds=2)
EVERY_MINUTE = "* * * * *"
EVERY_TWO_MINUTES = "*/2 * * * *"


def declare(dag_id, **settings):
    """A DAG with what all of ours share; scheduled DAGs do not make up for the past."""
    settings = {"schedule": None, "start_date": EPOCH, "catchup": False, "tags": ["e2e"], **settings}
    return DAG(dag_id=dag_id, **settings)


def current_try():
    """The number of the try that runs now."""
    return get_current_context()["ti"].try_number


class Wait(BaseOperator):
    """Gives the worker back while a trigger waits; `patience` seconds later the wait itself fails.

    From its second try on it waits for `again` seconds.
    """

    def __init__(self, seconds, patience=None, times=1, again=None, **settings):
        super().__init__(**settings)
        self.seconds = seconds
        self.again = seconds if again is None else again
        self.patience = patience
        self.times = times

    def execute(self, context):
        self._wait(self.times)

    def _wait(self, times):
        patience = timedelta(seconds=self.patience) if self.patience else None
        trigger = TimeDeltaTrigger(timedelta(seconds=self.seconds if current_try() == 1 else self.again))
        self.defer(trigger=trigger, method_name="resume", kwargs={"times": times - 1}, timeout=patience)

    def resume(self, context, event=None, times=0):
        if times > 0:
            self._wait(times)
        return str(event)


__all__ = [
    "DAG",
    "EPOCH",
    "EVERY_MINUTE",
    "EVERY_TWO_MINUTES",
    "QUICK_RETRY",
    "AirflowFailException",
    "AirflowSkipException",
    "Asset",
    "BashOperator",
    "EmptyOperator",
    "PythonOperator",
    "PythonSensor",
    "ShortCircuitOperator",
    "TaskGroup",
    "Wait",
    "current_try",
    "declare",
    "setup",
    "task",
    "teardown",
]
