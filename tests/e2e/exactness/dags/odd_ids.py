"""Ids of Airflow DAGs and tasks with dots and hyphens, with and without letters outside ASCII."""

from __future__ import annotations

from e2e_compat import EVERY_MINUTE, QUICK_RETRY, PythonOperator, TaskGroup, current_try, declare


def _pass():
    return None


def _take(number):
    return number


def _second_time():
    if current_try() == 1:
        raise RuntimeError("première")


with declare("odd.ids-v1_0.größe", schedule=EVERY_MINUTE, max_active_runs=2, tags=["e2e", "größe"]) as dag:
    first = PythonOperator(task_id="step.one-two_three", python_callable=_pass)
    second = PythonOperator(task_id="tâche.été-2", python_callable=_second_time, retries=1, retry_delay=QUICK_RETRY)
    third = PythonOperator(task_id="任务_3", python_callable=_pass)
    with TaskGroup("grp-a"):
        fourth = PythonOperator.partial(task_id="a.b.c", python_callable=_take).expand(op_args=[[1], [2]])
    first >> [second, third] >> fourth

with declare("dotted.ids-v1_0", schedule=EVERY_MINUTE, max_active_runs=2):
    begin = PythonOperator(task_id="step.one-two_three", python_callable=_pass)
    again = PythonOperator(task_id="step.two", python_callable=_second_time, retries=1, retry_delay=QUICK_RETRY)
    with TaskGroup("grp-b"):
        parts = PythonOperator.partial(task_id="a.b.c", python_callable=_take).expand(op_args=[[1], [2]])
    begin >> again >> parts
