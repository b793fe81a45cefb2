"""Links to logs of tries: both releases, any id, no way out of the configured Airflow."""

from __future__ import annotations

from urllib.parse import parse_qs, unquote, urlsplit

import msgspec
import pytest

from exporter.config.settings import AirflowSettings
from exporter.sources.airflow.api.objects.task_instances import TaskInstance
from exporter.sources.airflow.log_links import LogLinks, build_log_links

BASE = "https://airflow.example.org/team"
ODD_IDS = (
    "a/b",
    "a+b c",
    "100%",
    "é…日",
    "x?y=1#z",
    "//evil.example.org/",
    "..%2f",
    "@evil.example.org",
    "a&b=c",
    "\ud800",
)


def make_row(dag_id: str = "sales", run_id: str = "r1", task_id: str = "load", map_index: int = -1) -> TaskInstance:
    return TaskInstance(dag_id=dag_id, task_id=task_id, run_id=run_id, map_index=map_index, try_number=2)


@pytest.mark.parametrize(
    ("major", "map_index", "expected"),
    [
        (3, -1, "/dags/sales/runs/scheduled__2026-01-01T00%3A00%3A00%2B00%3A00/tasks/etl.get?try_number=2"),
        (3, 0, "/dags/sales/runs/scheduled__2026-01-01T00%3A00%3A00%2B00%3A00/tasks/etl.get/mapped/0?try_number=2"),
        (2, -1, "/dags/sales/grid?dag_run_id=scheduled__2026-01-01T00%3A00%3A00%2B00%3A00&task_id=etl.get&tab=logs"),
        (
            2,
            3,
            "/dags/sales/grid?dag_run_id=scheduled__2026-01-01T00%3A00%3A00%2B00%3A00&task_id=etl.get&map_index=3&tab=logs",
        ),
    ],
)
def test_each_release_has_its_own_page(major: int, map_index: int, expected: str) -> None:
    row = make_row(run_id="scheduled__2026-01-01T00:00:00+00:00", task_id="etl.get", map_index=map_index)
    assert LogLinks(BASE, major).link(row) == BASE + expected


@pytest.mark.parametrize("odd", ODD_IDS)
@pytest.mark.parametrize("major", [2, 3])
def test_ids_come_back_whole_and_never_leave_the_airflow(odd: str, major: int) -> None:
    url = urlsplit(LogLinks(BASE, major).link(make_row(odd, odd, odd)))
    sent = odd.encode(errors="replace").decode()
    segments = url.path.split("/")
    assert (url.scheme, url.netloc, url.fragment) == ("https", "airflow.example.org", "")
    assert segments[:3] == ["", "team", "dags"]
    assert unquote(segments[3]) == sent
    if major == 3:
        assert [segments[4], segments[6]] == ["runs", "tasks"]
        assert (unquote(segments[5]), unquote(segments[7]), len(segments)) == (sent, sent, 8)
    else:
        assert segments[4:] == ["grid"]
        assert parse_qs(url.query) == {"dag_run_id": [sent], "task_id": [sent], "tab": ["logs"]}


@pytest.mark.parametrize("major", [2, 3])
@pytest.mark.parametrize("dots", [".", ".."])
def test_an_id_that_a_browser_would_take_for_a_folder_has_no_link(dots: str, major: int) -> None:
    assert LogLinks(BASE, major).link(make_row(dag_id=dots)) == ""
    assert LogLinks(BASE, major).link(make_row(run_id=dots)) == ""


def test_airflow_2_is_told_which_runs_to_show() -> None:
    url = LogLinks(BASE, 2).link(msgspec.structs.replace(make_row(), logical_date=1767225600.5))
    assert parse_qs(urlsplit(url).query)["base_date"] == ["2026-01-01T00:00:00.500000+00:00"]


@pytest.mark.parametrize(
    ("settings", "base"),
    [
        (AirflowSettings(url="http://api:8080"), "http://api:8080"),
        (AirflowSettings(url="http://api:8080", public_url="https://a.example.org/x/"), "https://a.example.org/x"),
        (AirflowSettings(url="http://user:secret@api:8080/x?token=secret#f"), "http://api:8080/x"),
        (AirflowSettings(url=""), ""),
    ],
)
def test_the_base_has_no_secret(settings: AirflowSettings, base: str) -> None:
    assert build_log_links(settings, 3).base == base


def test_without_a_base_there_is_no_link() -> None:
    assert LogLinks("", 3).link(make_row()) == ""
