"""One interface to every release: what it asks of each, and what it makes of the answers."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from exporter.config.settings import AirflowSettings
from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.api.detect import Connection, connect
from exporter.sources.airflow.api.objects.approvals import read_pending_approvals
from exporter.sources.airflow.api.objects.assets import (
    read_assets,
    read_last_event,
    read_newest_events,
    read_queued_since,
)
from exporter.sources.airflow.api.objects.backfills import read_backfills
from exporter.sources.airflow.api.objects.config import read_config
from exporter.sources.airflow.api.objects.dag_runs import RUNS_ACTIVE, RUNS_ENDED
from exporter.sources.airflow.api.objects.dag_warnings import read_dag_warnings
from exporter.sources.airflow.api.objects.dags import read_dags
from exporter.sources.airflow.api.objects.health import read_health
from exporter.sources.airflow.api.objects.import_errors import read_import_errors
from exporter.sources.airflow.api.objects.jobs import read_jobs
from exporter.sources.airflow.api.objects.pools import read_pools
from exporter.sources.airflow.api.objects.task_instances import TIS_ACTIVE, TIS_ENDED
from exporter.sources.airflow.http import client as client_module
from exporter.sources.airflow.http.client import Client
from tests.integration.airflow.stub import Answer, Asked, Stub, serve

RECORDED = Path(__file__).parents[2] / "data" / "api"
NOT_FOUND = Answer({"detail": "Not Found"}, 404)
HTML_404 = Answer(b"<html><head><title>Airflow 404</title></head></html>", 404)
SINCE = 1_795_420_800.0
LISTS = {
    "dags": "dags",
    "pools": "pools",
    "importErrors": "import_errors",
    "dagWarnings": "dag_warnings",
    "jobs": "jobs",
    "backfills": "backfills",
    "hitlDetails": "hitl_details",
    "assets": "assets",
    "datasets": "datasets",
    "dagRuns": "dag_runs_updated_gte",
    "taskInstances": "task_instances_running_queued",
    "tries": "mapped_tries",
    "config": "config_metrics",
    "health": "health",
    "version": "version",
}
ENDS = ("_gte", "_lte")
Open = Callable[[Callable[[Asked], Answer]], Connection]


def recorded(folder: str, name: str) -> Answer:
    return Answer((RECORDED / folder / f"{name}.json").read_bytes())


def airflow_2(asked: Asked) -> Answer:
    if not asked.path.startswith("/api/v1/"):
        return HTML_404
    return recorded("v1-2.11.2", LISTS[asked.path.rpartition("/")[2]])


def airflow_3(asked: Asked) -> Answer:
    if not asked.path.startswith("/api/v2/"):
        return Answer({"error": "/api/v1 has been removed in Airflow 3, please use /api/v2 instead."}, 404)
    return recorded("v2-3.3.2", LISTS[asked.path.rpartition("/")[2]])


def instead(other: Callable[[Asked], Answer], ending: str, *answers: Answer) -> Callable[[Asked], Answer]:
    """Another answer where the path has this ending; the last one again and again."""
    left = list(answers)

    def answer(asked: Asked) -> Answer:
        if not asked.path.endswith(ending):
            return other(asked)
        return left.pop(0) if len(left) > 1 else left[0]

    return answer


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "BACKOFF", (0.01, 0.02))


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "token").write_text("t")
    return {"token_file": tmp_path / "token", "timeout": 5.0}


@pytest.fixture
def reach(settings: dict[str, Any]) -> Iterator[Callable[[Stub], Any]]:
    """Connect to a stub; answers the Airflow."""
    clients: list[Client] = []

    def open_connection(stub: Stub) -> Any:
        connection = connect(AirflowSettings(url=stub.url, **settings))
        clients.append(connection.client)
        stub.asked.clear()
        return connection.airflow

    yield open_connection
    for client in clients:
        client.close()


Reach = Callable[[Stub], Any]


# ---- which Airflow --------------------------------------------------------------------------------


def test_airflow_3_is_known_by_its_version_endpoint(reach: Reach) -> None:
    with serve(airflow_3) as stub:
        found = reach(stub)
    assert (found.version, found.major) == ("3.3.2", 3)


def test_airflow_2_has_no_v2(reach: Reach) -> None:
    with serve(airflow_2) as stub:
        found = reach(stub)
    assert (found.version, found.major) == ("2.11.2", 2)


@pytest.mark.parametrize(
    ("answer", "reason", "says"),
    [
        (HTML_404, "not_found", "airflow.url must be Airflow's base URL"),
        (Answer(b"<title>Grafana</title><html>"), "bad_reply", "titled 'Grafana'"),
        (Answer(b"<html><title>Log in</title>"), "unauthorized", "a login page"),
        (Answer({"detail": "who?"}, 401), "unauthorized", "was not accepted"),
        (Answer({}, 502), "server_error", "HTTP 502"),
        (Answer({"version": 3}), "bad_reply", "not from Airflow's API"),
        (
            Answer(status=301, headers={"Location": "https://x.example/api/v2/version"}),
            "bad_reply",
            "https://x.example",
        ),
    ],
)
def test_what_is_neither(answer: Answer, reason: str, says: str, reach: Reach) -> None:
    with serve(lambda asked: answer) as stub, pytest.raises(ReaderError) as caught:
        reach(stub)
    assert (caught.value.reason, says in str(caught.value)) == (reason, True), str(caught.value)


def test_an_upgrade_while_running_is_an_error_until_the_next_connection(settings: dict[str, Any]) -> None:
    with serve(airflow_2) as stub:
        client, airflow = connect(AirflowSettings(url=stub.url, **settings))
        stub.answer = airflow_3
        for call in (partial(read_pools, airflow), lambda: airflow.tries("d", "r", "t", -1)):
            with pytest.raises(ReaderError) as caught:
                call()
            assert (caught.value.reason, "upgraded" in str(caught.value)) == ("not_found", True)
        _, airflow = connect(AirflowSettings(url=stub.url, **settings), client=client)
        assert (airflow.major, len(read_pools(airflow))) == (3, 3)
        client.close()


def test_a_connection_leaves_no_deadline_behind(settings: dict[str, Any]) -> None:
    with serve(airflow_3) as stub:
        client, airflow = connect(AirflowSettings(url=stub.url, **{**settings, "timeout": 0.4}))
        time.sleep(0.5)
        assert read_pools(airflow)
        client.close()


def test_a_connection_may_be_made_anew_after_the_deadline_of_the_last_read(settings: dict[str, Any]) -> None:
    with serve(airflow_3) as stub:
        client, _ = connect(AirflowSettings(url=stub.url, **settings))
        client.begin(0.0)
        connect(AirflowSettings(url=stub.url, **settings), client=client)
        client.close()


# ---- what is asked, what comes --------------------------------------------------------------------

READS: list[tuple[str, Callable[[Any], Any], int | None, int | None]] = [
    ("health", read_health, 4, 4),
    ("jobs", read_jobs, None, 3),
    ("dags", read_dags, 13, 13),
    ("pools", read_pools, 3, 3),
    ("import_errors", read_import_errors, 2, 2),
    ("dag_warnings", read_dag_warnings, 0, 0),
    ("backfills", lambda it: read_backfills(it, "d"), 0, 0),
    ("assets", read_assets, 2, 2),
    ("approvals", read_pending_approvals, None, 1),
    ("active", lambda it: it.task_instances_active(), 13, 1),
    ("tries", lambda it: it.tries("d", "r", "t", -1), 1, 1),
    ("mapped", lambda it: it.tries("d", "r", "t", 1), 1, 1),
]


@pytest.mark.parametrize(("name", "read", "on_2", "on_3"), READS, ids=[read[0] for read in READS])
def test_every_read_on_both_releases(
    name: str, read: Callable[[Any], Any], on_2: int | None, on_3: int | None, reach: Reach
) -> None:
    for release, expected in ((airflow_2, on_2), (airflow_3, on_3)):
        with serve(release) as stub:
            found = read(reach(stub))
        assert (None if found is None else len(found)) == expected, name


def test_jobs_of_a_list_that_is_walked_twice_are_counted_once(reach: Reach) -> None:
    """A job ends while its list is walked: fewer rows come than Airflow counts. The others send heartbeats."""
    body = json.loads(recorded("v2-3.3.2", "jobs").body) | {"total_entries": 4}
    later = json.loads(json.dumps(body).replace("T08:39:", "T08:49:"))
    end = Answer(body | {"jobs": []})
    with serve(instead(airflow_3, "jobs", Answer(body), end, Answer(later), end)) as stub:
        found = read_jobs(reach(stub)) or ()
        assert len(stub.asked) == 4
    assert sorted(job.id or 0 for job in found) == [1, 2, 3]
    assert {(job.heartbeat or 0.0) % 3600 // 60 for job in found} == {49}


def test_jobs_without_an_id_are_told_apart_by_all_they_say(reach: Reach) -> None:
    jobs = [{"job_type": "SchedulerJob", "hostname": name} for name in ("a", "b", "b")]
    with serve(instead(airflow_3, "jobs", Answer({"jobs": jobs, "total_entries": 3}))) as stub:
        assert [job.hostname for job in read_jobs(reach(stub)) or ()] == ["a", "b"]


def test_stale_dags_come_too_and_without_what_makes_them_slow(reach: Reach) -> None:
    with serve(airflow_2) as stub:
        read_dags(reach(stub))
        (asked,) = stub.asked
    assert asked.query["only_active"] == ["false"]
    assert {"dag_id", "is_active", "tags", "next_dagrun_create_after"} <= set(asked.query["fields"])
    with serve(airflow_3) as stub:
        read_dags(reach(stub))
        assert stub.asked[0].query["exclude_stale"] == ["false"]


@pytest.mark.parametrize(("release", "order"), [(airflow_2, "-execution_date"), (airflow_3, "-run_after")])
def test_the_newest_runs_of_a_dag(release: Callable[[Asked], Answer], order: str, reach: Reach) -> None:
    with serve(release) as stub:
        reach(stub).dag_runs_recent("a.dag", limit=5, state="success")
        (asked,) = stub.asked
    assert asked.path.endswith("/dags/a.dag/dagRuns")
    assert (asked.query["order_by"], asked.query["limit"], asked.query["state"]) == ([order], ["5"], ["success"])


@pytest.mark.parametrize("release", [airflow_2, airflow_3])
def test_runs_that_ended_since(release: Callable[[Asked], Answer], reach: Reach) -> None:
    with serve(instead(release, "dagRuns", Answer({"dag_runs": [], "total_entries": 0}))) as stub:
        reach(stub).dag_runs_ended(SINCE)
        asked = stub.asked[-1]
    assert asked.path.endswith("/dags/~/dagRuns")
    assert datetime.fromisoformat(asked.query["updated_at_gte"][0]) == datetime.fromtimestamp(SINCE, UTC)
    assert asked.query["state"] == list(RUNS_ENDED)
    assert "updated_at_lte" not in asked.query


@pytest.mark.parametrize("release", [airflow_2, airflow_3])
def test_runs_that_are_active(release: Callable[[Asked], Answer], reach: Reach) -> None:
    with serve(instead(release, "dagRuns", Answer({"dag_runs": [], "total_entries": 0}))) as stub:
        assert reach(stub).dag_runs_active() == []
        assert stub.asked[0].query["state"] == list(RUNS_ACTIVE)


def test_task_instances_that_ended_in_a_window_on_3(reach: Reach) -> None:
    with serve(airflow_3) as stub:
        reach(stub).task_instances_ended(SINCE, SINCE + 60, due_since=SINCE - 600)
        (asked,) = stub.asked
    assert asked.path.endswith("/dags/~/dagRuns/~/taskInstances")
    assert asked.query["state"] == list(TIS_ENDED)
    assert (asked.query["cursor"], asked.query["order_by"]) == ([""], ["id"])
    bounds = {
        name: datetime.fromisoformat(values[0]).timestamp()
        for name, values in asked.query.items()
        if name.endswith(ENDS)
    }
    assert bounds == {"updated_at_gte": SINCE, "updated_at_lte": SINCE + 60, "run_after_gte": SINCE - 600}


def test_task_instances_of_one_run_on_2(reach: Reach) -> None:
    with serve(airflow_2) as stub:
        airflow = reach(stub)
        assert len(airflow.task_instances_ended_of_run("d", "scheduled__1+00:00")) == 13
        airflow.task_instances_ended_of_run("d", "scheduled__1+00:00", SINCE)
        assert set(stub.paths) == {"/api/v1/dags/d/dagRuns/scheduled__1%2B00%3A00/taskInstances"}
    assert [asked.query["state"] for asked in stub.asked] == [list(TIS_ENDED)] * 2
    assert "updated_at_gte" not in stub.asked[0].query
    assert datetime.fromisoformat(stub.asked[1].query["updated_at_gte"][0]).timestamp() == SINCE


def test_a_walk_by_cursor_goes_on_where_the_last_page_ended(reach: Reach) -> None:
    pages = [recorded("v2-3.3.2", "task_instances_cursor_page1"), recorded("v2-3.3.2", "task_instances_cursor_page2")]
    last = json.loads(pages[1].body) | {"next_cursor": None}
    with serve(instead(airflow_3, "taskInstances", pages[0], Answer(last))) as stub:
        assert len(reach(stub).task_instances_ended(SINCE)) == 20
        assert [asked.query["cursor"] for asked in stub.asked] == [[""], [json.loads(pages[0].body)["next_cursor"]]]


def test_the_newest_events_of_assets_and_the_last_of_one(reach: Reach) -> None:
    events = recorded("v1-2.11.2", "dataset_events")
    with serve(instead(airflow_2, "/datasets/events", events)) as stub:
        airflow = reach(stub)
        assert len(read_newest_events(airflow, 100)) == 10
        assert read_last_event(airflow, 2) == 1795423834.554092
    newest, last = (asked.query for asked in stub.asked)
    assert (newest["order_by"], newest["limit"]) == (["-timestamp"], ["100"])
    assert (last["dataset_id"], last["order_by"], last["limit"]) == (["2"], ["-timestamp"], ["1"])


QUEUED = {"dag_id": "a.dag", "created_at": "2026-11-29T07:00:51.015021+00:00"}


@pytest.mark.parametrize(
    ("release", "path"),
    [(airflow_2, "/api/v1/dags/a.dag/datasets/queuedEvent"), (airflow_3, "/api/v2/dags/a.dag/assets/queuedEvents")],
)
def test_events_that_are_queued_for_a_dag(release: Callable[[Asked], Answer], path: str, reach: Reach) -> None:
    nothing = Answer({"detail": "Queue event with dag_id: `a.dag` was not found"}, 404)
    queued = Answer({"queued_events": [QUEUED], "total_entries": 1})
    with serve(instead(release, path, queued, nothing, NOT_FOUND)) as stub:
        airflow = reach(stub)
        assert read_queued_since(airflow, "a.dag") == [1795935651.015021]
        assert list(read_queued_since(airflow, "a.dag")) == []
        with pytest.raises(ReaderError):
            read_queued_since(airflow, "a.dag")
    assert stub.paths == [path] * 3


# ---- older releases of 3.x ------------------------------------------------------------------------


def without_cursors(key: str, rows: int) -> Answer:
    body = {"dag_id": "d", "dag_run_id": "r", "task_id": "t"}
    return Answer({key: [{**body, "map_index": index} for index in range(rows)], "total_entries": rows})


def test_a_release_without_approvals_has_none(reach: Reach) -> None:
    with serve(instead(airflow_3, "hitlDetails", NOT_FOUND)) as stub:
        assert read_pending_approvals(reach(stub)) is None


def test_a_release_that_does_not_know_the_newest_state_is_asked_without_it(reach: Reach) -> None:
    def answer(asked: Asked) -> Answer:
        if "awaiting_input" in asked.query.get("state", []):
            return Answer({"detail": "invalid state"}, 422)
        return airflow_3(asked)

    with serve(answer) as stub:
        assert len(read_pending_approvals(reach(stub)) or ()) == 1
        assert [asked.query["state"] for asked in stub.asked] == [["deferred", "awaiting_input"], ["deferred"]]
        assert stub.asked[-1].query["response_received"] == ["false"]


def test_a_release_without_cursors_is_asked_for_one_only_once(reach: Reach) -> None:
    with serve(instead(airflow_3, "taskInstances", without_cursors("task_instances", 5))) as stub:
        airflow = reach(stub)
        for _ in range(2):
            assert len(airflow.task_instances_ended(SINCE)) == 5
            assert len(airflow.task_instances_active()) == 5
        assert ["cursor" in asked.query for asked in stub.asked] == [True, False, False, False, False]


def test_a_release_may_have_cursors_for_one_list_only(reach: Reach) -> None:
    with serve(instead(airflow_3, "dagRuns", without_cursors("dag_runs", 1))) as stub:
        airflow = reach(stub)
        airflow.dag_runs_active()
        airflow.task_instances_active()
        airflow.dag_runs_active()
        assert ["cursor" in asked.query for asked in stub.asked] == [True, False, True, False]


def test_states_that_a_release_does_not_know_are_left_out_and_remembered(reach: Reach) -> None:
    unknown = Answer({"detail": "Invalid value for state. Valid values are removed, scheduled"}, 422)

    def answer(asked: Asked) -> Answer:
        return unknown if "awaiting_input" in asked.query.get("state", ()) else airflow_3(asked)

    with serve(answer) as stub:
        airflow = reach(stub)
        assert len(airflow.task_instances_active()) == 1
        assert len(airflow.task_instances_active()) == 1
        states = [asked.query["state"] for asked in stub.asked]
    known = [state for state in TIS_ACTIVE if state != "awaiting_input"]
    assert states == [list(TIS_ACTIVE), known, known]


def test_a_release_that_refuses_every_state_is_an_error(reach: Reach) -> None:
    with serve(instead(airflow_3, "taskInstances", Answer({"detail": "no"}, 422))) as stub:
        with pytest.raises(ReaderError) as caught:
            reach(stub).task_instances_active()
        assert len(stub.asked) == 3
    assert caught.value.reason == "bad_request"


def test_a_url_that_is_too_long_is_split(reach: Reach) -> None:
    def answer(asked: Asked) -> Answer:
        return Answer({}, 414) if len(asked.query.get("state", ())) > 2 else airflow_2(asked)

    with serve(answer) as stub:
        assert len(reach(stub).task_instances_active()) == 13
        asked_for = [state for asked in stub.asked if len(asked.query["state"]) <= 2 for state in asked.query["state"]]
    assert sorted(asked_for) == sorted(state for state in TIS_ACTIVE if state != "awaiting_input")


# ---- what is not there, or not for us -------------------------------------------------------------


@pytest.mark.parametrize("release", [airflow_2, airflow_3])
def test_a_configuration_that_may_be_read(release: Callable[[Asked], Answer], reach: Reach) -> None:
    with serve(release) as stub:
        assert (read_config(reach(stub)) or {})["metrics", "statsd_on"] == "True"


@pytest.mark.parametrize("release", [airflow_2, airflow_3])
@pytest.mark.parametrize("status", [403, 404])
def test_a_configuration_that_is_hidden(release: Callable[[Asked], Answer], status: int, reach: Reach) -> None:
    with serve(instead(release, "/config", Answer({"detail": "chose not to expose"}, status))) as stub:
        assert read_config(reach(stub)) is None


@pytest.mark.parametrize("release", [airflow_2, airflow_3])
def test_a_configuration_that_fails_to_come(release: Callable[[Asked], Answer], reach: Reach) -> None:
    with serve(instead(release, "/config", Answer({}, 500))) as stub, pytest.raises(ReaderError):
        read_config(reach(stub))


def test_a_task_instance_that_is_gone_has_no_tries(reach: Reach) -> None:
    gone = Answer({"detail": "The Task Instance with dag_id: `d` … was not found"}, 404)
    with serve(instead(airflow_3, "tries", gone)) as stub:
        assert reach(stub).tries("d", "r", "t", 3) is None
        assert stub.paths == ["/api/v2/dags/d/dagRuns/r/taskInstances/t/3/tries", "/api/v2/version"]
    with serve(instead(airflow_2, "tries", Answer({"task_instances": [], "total_entries": 0}))) as stub:
        assert reach(stub).tries("d", "r", "t", -1) is None


def test_a_run_that_is_gone_has_no_task_instances(reach: Reach) -> None:
    with serve(instead(airflow_2, "taskInstances", Answer({"title": "DAGRun not found", "status": 404}, 404))) as stub:
        assert reach(stub).task_instances_ended_of_run("d", "r") is None


@pytest.mark.parametrize("release", [airflow_2, airflow_3])
def test_tries_that_may_not_be_read(release: Callable[[Asked], Answer], reach: Reach) -> None:
    with serve(instead(release, "tries", Answer({}, 403))) as stub, pytest.raises(ReaderError) as caught:
        reach(stub).tries("d", "r", "t", -1)
    assert caught.value.reason == "forbidden"


@pytest.mark.parametrize("release", [airflow_2, airflow_3])
def test_both_rows_of_a_cleared_try_are_kept(release: Callable[[Asked], Answer], reach: Reach) -> None:
    row = {"dag_id": "d", "task_id": "t", "dag_run_id": "r", "try_number": 1}
    rows = [{**row, "state": "failed"}, {**row, "state": None}]
    with serve(instead(release, "tries", Answer({"task_instances": rows, "total_entries": 2}))) as stub:
        assert [one.state for one in reach(stub).tries("d", "r", "t", -1)] == ["failed", None]


def test_rows_that_cannot_be_read_are_reported(reach: Reach, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    with serve(
        instead(airflow_3, "pools", Answer({"pools": [{"name": None}, {"name": "p"}], "total_entries": 2}))
    ) as stub:
        airflow = reach(stub)
        assert [pool.name for pool in read_pools(airflow)] == ["p"]
    assert airflow.left_out.count()["pools"] == 1
    assert "pools: 1 rows could not be read" in caplog.text


@pytest.mark.parametrize("release", [airflow_2, airflow_3])
def test_the_clock_of_airflow(release: Callable[[Asked], Answer], reach: Reach) -> None:
    with serve(release) as stub:
        found = reach(stub).server_time()
        assert stub.paths[0].endswith("/version")
    assert abs(found - datetime.now(UTC).timestamp()) < 3


def test_an_unlimited_pool_that_breaks_the_list_of_airflow_2_costs_only_itself(reach: Callable[[Stub], Any]) -> None:
    broken = Answer({"detail": "inf is not of type 'integer' Failed validating 'type'", "title": "wrong"}, 500)
    pools = ["a", "unlimited", "z"]

    def answer(asked: Asked) -> Answer:
        if not asked.path.endswith("/pools"):
            return airflow_2(asked)
        offset = int(asked.query.get("offset", ["0"])[0])
        rows = pools[offset : offset + int(asked.query["limit"][0])]
        if "unlimited" in rows:
            return broken
        return Answer({"pools": [{"name": name, "slots": 1} for name in rows], "total_entries": len(pools)})

    with serve(answer) as stub:
        assert [pool.name for pool in read_pools(reach(stub))] == ["a", "z"]
