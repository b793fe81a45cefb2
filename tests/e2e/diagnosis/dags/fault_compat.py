"""What our DAG files import from Airflow, the same names for 2.11 and 3.3, and what their tasks have in common."""

from __future__ import annotations

import os
import time
from datetime import datetime, timedelta
from pathlib import Path

try:  # Airflow 3
    from airflow.sdk import DAG, Asset, BaseOperator, get_current_context, task
    from airflow.sdk.exceptions import AirflowSkipException
except ImportError:  # Airflow 2
    from airflow.datasets import Dataset as Asset
    from airflow.decorators import task
    from airflow.exceptions import AirflowSkipException
    from airflow.models.baseoperator import BaseOperator
    from airflow.models.dag import DAG
    from airflow.operators.python import get_current_context

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.sensors.external_task import ExternalTaskSensor
from airflow.providers.standard.sensors.python import PythonSensor

try:
    from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
except ImportError:
    from airflow.triggers.temporal import TimeDeltaTrigger

EPOCH = datetime(2024, 1, 1)  # noqa: DTZ001 - Airflow reads a naive date as UTC
ORDERS = Path(os.environ.get("E2E_ORDERS", "/nonexistent"))
LONGEST = 1800.0
"""Seconds after which a task that holds something ends by itself."""


def declare(dag_id, **settings):
    """A DAG that runs when it is triggered."""
    return DAG(dag_id=dag_id, **{"schedule": None, "start_date": EPOCH, "catchup": False, **settings})


def hold():
    """Go on, without work, until the test is over."""
    end = time.monotonic() + LONGEST
    while not (ORDERS / "over").exists() and time.monotonic() < end:
        time.sleep(0.5)


def get_conf():
    """The parameters of this run, given when it was triggered."""
    return get_current_context()["dag_run"].conf or {}


__all__ = [
    "EPOCH",
    "ORDERS",
    "AirflowSkipException",
    "Asset",
    "BaseOperator",
    "BashOperator",
    "ExternalTaskSensor",
    "PythonSensor",
    "TimeDeltaTrigger",
    "declare",
    "get_conf",
    "hold",
    "task",
    "timedelta",
]
