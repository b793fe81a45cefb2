"""Event logs and tasks of a DAG, as a real Airflow sends them."""

from __future__ import annotations

from pathlib import Path

from exporter.sources.airflow.api.details import dag_tasks, event_logs
from exporter.sources.airflow.api.details.dag_tasks import Task, list_upstream
from exporter.sources.airflow.api.details.event_logs import Pause

RECORDED = Path(__file__).parents[4] / "data" / "api"


def test_the_scheduler_s_pause_is_an_automatic_one() -> None:
    body = (RECORDED / "v2-3.3.2" / "event_logs.json").read_bytes()
    (found,) = event_logs.LIST.rows.decode(body).rows
    assert found == Pause("scheduler", "paused", 1795953432.540998)
    assert found.is_automatic
    assert not Pause("admin", "paused").is_automatic
    assert not Pause("scheduler", "patch_dag").is_automatic


def test_tasks_name_those_after_them_and_their_delay() -> None:
    body = (RECORDED / "v2-3.3.2" / "tasks.json").read_bytes()
    found = dag_tasks.ROWS.decode(body).rows
    assert list(found) == [Task("aa_report", (), 300.0), Task("zz_load", ("aa_report",), 300.0, waits_for_past=True)]
    assert list_upstream(found) == {"aa_report": frozenset({"zz_load"})}


def test_a_delay_that_grows_is_a_flag_or_a_factor() -> None:
    for value in (b"true", b"2.0"):
        body = b'{"tasks": [{"task_id": "a", "retry_exponential_backoff": ' + value + b"}]}"
        (found,) = dag_tasks.ROWS.decode(body).rows
        assert (found.delay_grows, found.retry_delay) == (True, None)
