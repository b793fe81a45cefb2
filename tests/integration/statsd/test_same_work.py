"""The same work gives the same series and values, whichever release sends it, in whichever dialect, under all names."""

from __future__ import annotations

from collections import defaultdict

import pytest

from exporter.config.settings import StatsdSettings
from exporter.sources.directory import Directory
from exporter.sources.statsd.airflow_names.resolver import AirflowNameResolver
from exporter.sources.statsd.model import Action, MetricType
from tests.integration.statsd.sender import SENDERS, Sender, work

Series = dict[str, float]
RELEASES = {(2, 10): "2.10.5", (2, 11): "2.11.2", (3, 2): "3.2.2", (3, 3): "3.3.2"}


def expect(sender: Sender) -> Series:
    """What the work is: two values of a label depend on the sender, as the docs say."""
    run_type = "" if sender.mode == "plain" else "scheduled"
    executor = "" if sender.mode == "plain" and sender.release < (3, 3) else "CeleryExecutor"
    task = 'dag_id="sales.eu",task_id="load.orders"'
    wait = ("queued", 'queue=""') if sender.old else ("scheduled", 'pool=""')
    bundle = "" if sender.old else "main"
    series: Series = {
        "airflow_scheduler_dependency_check_duration_seconds{}": 0.02,
        'airflow_dag_dependency_check_seconds_total{dag_id="sales.eu"}': 0.02,
        'airflow_dag_run_schedule_delay_seconds{dag_id="sales.eu"}': 2.5,
        "airflow_dag_run_first_task_scheduling_delay_seconds{}": 3.0,
        'airflow_task_starts_total{dag_id="sales.eu"}': 1,
        f'airflow_task_instances_finished_total{{{task},state="success"}}': 1,
        f'airflow_task_instances_finished_total{{{task},state="failed"}}': 1,
        'airflow_task_instances_not_run_total{dag_id="sales.eu",state="skipped"}': 1,
        f"airflow_task_tries_total{{{task}}}": 4,
        f"airflow_task_tries_failed_total{{{task}}}": 2,
        f"airflow_task_retries_total{{{task}}}": 1,
        f"airflow_task_run_seconds_total{{{task}}}": 12.5,
        'airflow_task_execution_duration_seconds{dag_id="sales.eu"}': 12.5,
        'airflow_operator_successes_total{operator="BashOperator"}': 1,
        f'airflow_dag_runs_finished_total{{dag_id="sales.eu",run_type="{run_type}",state="success"}}': 1,
        f'airflow_dag_runs_finished_total{{dag_id="sales.eu",run_type="{run_type}",state="failed"}}': 1,
        'airflow_dag_run_duration_seconds{dag_id="sales.eu"}': 60.0,
        'airflow_dag_run_failed_seconds_total{dag_id="sales.eu"}': 30.0,
        'airflow_pool_open_slots{pool="etl"}': 7,
        'airflow_pool_occupied_slots{pool="etl",state="running"}': 3,
        f'airflow_executor_slots{{executor="{executor}",state="open"}}': 29,
        'airflow_triggerer_running_triggers{hostname="t1.example"}': 4,
        "airflow_scheduler_loop_duration_seconds{}": 0.25,
        f"airflow_task_{wait[0]}_duration_seconds{{{wait[1]}}}": 1.5,
        f'airflow_dag_{wait[0]}_seconds_total{{dag_id="sales.eu"}}': 1.5,
        f'airflow_dag_{wait[0]}_tries_total{{dag_id="sales.eu"}}': 1,
        "airflow_dag_processor_parse_duration_seconds{}": 0.75,
        f'airflow_dag_processor_file_duration_seconds{{bundle="{bundle}",file="sales.py"}}': 0.75,
    }
    return series


def replay(names: AirflowNameResolver, sender: Sender) -> Series:
    series: Series = defaultdict(float)
    for signature, value in work(sender):
        for family, labels, action, scale, plus in names.resolve(signature).targets:
            named = zip(family.labels, labels, strict=True)
            pairs = ",".join(f'{name}="{label}"' for name, label in named if name != "team" or label)
            key = f"{family.name}{{{pairs}}}"
            amount = value * scale + plus
            series[key] = amount if action is Action.SET else series[key] + amount
    return series


def name_sender(sender: Sender) -> str:
    """For pytest."""
    parts = (".".join(map(str, sender.release)), sender.mode)
    return "-".join((*parts, *("nolegacy",) * (not sender.legacy_names_on), *("consistent",) * sender.consistent))


def know_ids() -> Directory:
    directory = Directory()
    directory.tell_dags(["sales", "sales.eu"])
    directory.tell_try("sales.eu", "load.orders")
    return directory


@pytest.mark.parametrize("sender", SENDERS, ids=name_sender)
def test_told_by_the_configuration(sender: Sender) -> None:
    settings = StatsdSettings(
        release=RELEASES[sender.release], mode=sender.mode, timer_unit_consistency=sender.consistent
    )
    assert replay(AirflowNameResolver(know_ids(), settings), sender) == pytest.approx(expect(sender))


@pytest.mark.parametrize("sender", SENDERS, ids=name_sender)
def test_told_by_the_api(sender: Sender) -> None:
    directory = know_ids()
    directory.tell_version(RELEASES[sender.release])
    directory.tell_metrics({
        "statsd_datadog_enabled": str(sender.mode == "datadog"),
        "statsd_influxdb_enabled": str(sender.mode == "influxdb"),
        "timer_unit_consistency": str(sender.consistent),
    })  # fmt: skip
    assert replay(AirflowNameResolver(directory, StatsdSettings()), sender) == pytest.approx(expect(sender))


@pytest.mark.parametrize(
    "sender", [one for one in SENDERS if not one.consistent and one.release != (3, 2)], ids=name_sender
)
def test_told_by_nobody_the_second_time_is_right(sender: Sender) -> None:
    """After one round of work the stream has told its release, its dialect and its ids."""
    names = AirflowNameResolver(know_ids(), StatsdSettings())
    for extra in ("dataset.updates",) if sender.old else ("asset.updates", "dag_processor_heartbeat"):
        names.resolve(
            next(iter(work(sender))).signature._replace(name=f"airflow.{extra}", type=MetricType.COUNTER, tags=())
        )
    for _ in range(2):
        replay(names, sender)
    assert replay(names, sender) == pytest.approx(expect(sender))
