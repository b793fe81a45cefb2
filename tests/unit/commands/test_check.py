"""What `check` says, line by line, of an Airflow that answers, refuses or is not there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from exporter.cli import main
from exporter.commands import check
from exporter.config.settings import AirflowSettings, CelerySettings, DatabaseSettings, Settings
from exporter.metrics.reading import ReaderError, Reading
from exporter.sources.airflow.api.airflow_api import AirflowApi
from exporter.sources.airflow.api.check_step import count
from exporter.sources.airflow.api.detect import Connection
from exporter.sources.airflow.api.paging import Rows
from exporter.sources.airflow.http.endpoints import Endpoint
from exporter.sources.airflow.http.transport import Call


class FakeAirflow(AirflowApi):
    """An Airflow whose lists hold one row each, or that answers an endpoint with the error that is set for it."""

    def __init__(self) -> None:
        self.errors: dict[str, ReaderError] = {}
        self.active = [TASK]
        super().__init__(FakeClient(AirflowSettings(), self), 3, "3.3.2")  # type: ignore[arg-type]

    def answer(self, endpoint: str) -> bytes:
        """The reply of an endpoint, by its label."""
        if endpoint in self.errors:
            raise self.errors[endpoint]
        return json.dumps({**REPLIES.get(endpoint, {}), **self.list_tasks(endpoint)}).encode()

    def list_tasks(self, endpoint: str) -> dict[str, Any]:
        rows = {"taskInstances": self.active, "tries": [TASK]}.get(endpoint)
        return {} if rows is None else {"task_instances": rows, "next_cursor": None, "total_entries": len(rows)}


TASK = {"dag_id": "etl", "dag_run_id": "r", "task_id": "load", "state": "running"}
REPLIES: dict[str, dict[str, Any]] = {
    "pools": {"pools": [{"name": "p"}]},
    "dags": {"dags": [{"dag_id": "etl"}]},
    "dagRuns": {"dag_runs": [{"dag_id": "etl", "dag_run_id": "r"}], "next_cursor": None},
    "health": {"scheduler": {"status": "healthy"}},
    "jobs": {"jobs": [{"id": 1}]},
    "importErrors": {"import_errors": [{"filename": "a.py"}]},
    "dagWarnings": {"dag_warnings": [{"dag_id": "etl"}]},
    "backfills": {"backfills": [{"id": 1, "dag_id": "etl"}]},
    "hitlDetails": {"hitl_details": []},
    "assets": {"assets": [{"id": 1, "name": "orders", "scheduled_dags": [{"dag_id": "etl"}]}]},
    "assetEvents": {"asset_events": []},
    "queuedAssetEvents": {"queued_events": []},
    "config": {"sections": [{"name": "core", "options": []}]},
}


class FakeClient:
    """The client: answers as a fake Airflow says."""

    skew: float | None = 0.2

    def __init__(self, settings: AirflowSettings, airflow: FakeAirflow | None = None) -> None:
        self.settings = settings
        self.closed = False
        self._airflow = airflow

    def get(self, call: Call, *, patient: bool = True) -> bytes:
        assert self._airflow
        return self._airflow.answer(call.endpoint.name)

    def server_time(self, endpoint: Endpoint) -> float:
        return 1_700_000_000.0

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def airflow(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAirflow]:
    """The Airflow that is found at any URL."""
    fake = FakeAirflow()
    clients: list[FakeClient] = []

    def connect(_: AirflowSettings, *, client: Any) -> Connection:
        clients.append(client)
        if "version" in fake.errors:
            raise fake.errors["version"]
        return Connection(client, fake)

    monkeypatch.setattr(check, "Client", FakeClient)
    monkeypatch.setattr(check, "connect", connect)
    yield fake
    assert all(client.closed for client in clients)


def run_check(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["check", *arguments])


def find_lines(result: Result, tried: str) -> list[str]:
    """The lines about one thing: result and text."""
    lines = [line for line in result.stdout.splitlines() if line[8:].startswith(f"{tried} ")]
    return [f"{line[:6].strip()}: {line[36:]}" for line in lines]


def test_an_airflow_that_answers_all_is_sound(airflow: FakeAirflow) -> None:
    result = run_check()
    assert result.exit_code == 0
    assert "FAILED" not in result.stdout
    assert find_lines(result, "connection")[0].startswith("ok: http://localhost:8080 is Airflow 3.3.2, ")
    assert find_lines(result, "credentials") == ["ok: accepted"]
    assert find_lines(result, "DAGs") == ["ok: 1 DAG"]
    assert find_lines(result, "limits") == ["ok: read from Airflow's configuration"]


def test_an_airflow_that_is_not_there_ends_it(airflow: FakeAirflow) -> None:
    airflow.errors["version"] = ReaderError("unreachable", "nobody is there; check airflow.url")
    result = run_check()
    assert result.exit_code == 1
    assert result.stdout.splitlines()[-1].endswith("unreachable: nobody is there; check airflow.url")


def test_refused_credentials_end_it(airflow: FakeAirflow) -> None:
    airflow.errors["pools"] = ReaderError("unauthorized", "check the credentials")
    result = run_check()
    assert result.exit_code == 1
    assert find_lines(result, "credentials") == ["FAILED: unauthorized: check the credentials"]
    assert find_lines(result, "DAGs") == []


@pytest.mark.parametrize(
    ("endpoint", "tried"),
    [
        ("dags", "DAGs"),
        ("dagRuns", "DAG runs"),
        ("taskInstances", "task instances"),
        ("tries", "tries"),
        ("health", "health"),
        ("jobs", "jobs"),
        ("pools", "pools"),
        ("importErrors", "import errors"),
        ("dagWarnings", "DAG warnings"),
        ("backfills", "backfills"),
        ("hitlDetails", "approvals"),
        ("assets", "assets"),
        ("assetEvents", "asset events"),
        ("queuedAssetEvents", "queued asset events"),
    ],
)
def test_a_missing_permission_is_named_and_the_rest_is_tried(airflow: FakeAirflow, endpoint: str, tried: str) -> None:
    airflow.errors[endpoint] = ReaderError("forbidden", "its role needs more")
    result = run_check()
    assert result.exit_code == 1
    assert find_lines(result, tried) == ["FAILED: forbidden: its role needs more"]
    assert find_lines(result, "credentials") == ["ok: accepted"]
    assert find_lines(result, "limits")


def test_a_hidden_configuration_is_worth_a_note_only(airflow: FakeAirflow) -> None:
    airflow.errors["config"] = ReaderError("forbidden", "its role needs more")
    result = run_check()
    assert result.exit_code == 0
    assert "airflow.limits" in find_lines(result, "limits")[0]
    airflow.errors["config"] = ReaderError("bad_reply", "the configuration could not be read")
    assert find_lines(run_check(), "limits") == ["note: bad_reply: the configuration could not be read"]


def test_tries_are_asked_for_where_a_task_is_active(airflow: FakeAirflow) -> None:
    assert find_lines(run_check(), "tries") == ["ok: 1 try"]
    airflow.active = []
    assert find_lines(run_check(), "tries") == ["ok: not available here"]


def test_backfills_are_not_asked_of_airflow_2(airflow: FakeAirflow) -> None:
    airflow.major = 2
    airflow.errors["backfills"] = ReaderError("not_found", "Airflow 2 has none")
    assert find_lines(run_check(), "backfills") == ["ok: not available here"]


@pytest.mark.parametrize(("skew", "text"), [(90.2, "90 s ahead of"), (-5.0, "5 s behind")])
def test_a_clock_that_is_off_is_worth_a_note(
    airflow: FakeAirflow, monkeypatch: pytest.MonkeyPatch, skew: float, text: str
) -> None:
    monkeypatch.setattr(FakeClient, "skew", skew)
    result = run_check()
    assert result.exit_code == 0
    assert text in find_lines(result, "clock")[0]


def test_errors_of_the_web_configuration_are_told(airflow: FakeAirflow, tmp_path: Path) -> None:
    path = tmp_path / "web.yml"
    path.write_text("basic_auth_user: {}\n", encoding="utf-8")
    result = run_check(f"--web.config.file={path}")
    assert result.exit_code == 1
    assert len(find_lines(result, "web configuration")) == 1
    path.write_text("{}\n", encoding="utf-8")
    assert find_lines(run_check(f"--web.config.file={path}"), "web configuration") == [f"ok: {path}"]


def test_notices_of_the_configuration_are_told(airflow: FakeAirflow) -> None:
    lines = find_lines(run_check("--airflow.url=http://airflow/api/v2"), "configuration")
    assert lines[0].startswith("ok: from --airflow.url")
    assert "http://airflow is used" in lines[1]


def test_a_mapping_file_is_described(airflow: FakeAirflow, tmp_path: Path) -> None:
    mapping = tmp_path / "mapping.yml"
    mapping.write_text("mappings:\n- match: airflow.*\n  name: mine\n")
    (line,) = find_lines(run_check(f"--statsd.mapping-config={mapping}"), "mapping file")
    assert line.startswith(f"ok: {mapping}: ")


def test_a_reference_that_is_always_empty_is_told(airflow: FakeAirflow, tmp_path: Path) -> None:
    mapping = tmp_path / "mapping.yml"
    mapping.write_text(
        "mappings:\n"
        "- {match: a.*.*, name: fine_$1, labels: {dag_id: '${2}'}}\n"
        "- {match: b.*.*, name: mine, labels: {dag_id: $1, task_id: $3}}\n"
        "- {match: 'c\\.(?P<dag>\\w+)', match_type: regex, name: mine, labels: {dag_id: $dag, task_id: $2, all: $0}}\n"
        "- {match: d.*, name: mine, labels: {dag_id: $1_x}}\n"
    )
    _, *notes = find_lines(run_check(f"--statsd.mapping-config={mapping}"), "mapping file")
    assert [note.partition(": ")[2].rpartition(" is always")[0] for note in notes] == [
        "mappings[1] b.*.*: task_id: $3",
        r"mappings[2] c\.(?P<dag>\w+): task_id: $2",
        "mappings[3] d.*: dag_id: $1_x",
    ]


def test_mappings_that_would_take_a_name_of_the_exporter_are_told_where_both_are_produced(
    airflow: FakeAirflow, tmp_path: Path
) -> None:
    mapping = tmp_path / "mapping.yml"
    mapping.write_text(
        "mappings:\n- {match: a, name: airflow_pool_open_slots}\n- {match: b, name: airflow_sla_missed}\n"
    )
    option = f"--statsd.mapping-config={mapping}"
    assert len(find_lines(run_check(option), "mapping file")) == 1
    _, *notes = find_lines(run_check(option, "--statsd.mapping-mode=beside"), "mapping file")
    assert [note.split(":")[1] for note in notes] == [" mappings[0] a", " mappings[1] b"]


def test_without_the_airflow_source_nothing_is_asked(airflow: FakeAirflow) -> None:
    assert find_lines(run_check("--no-collector.airflow"), "connection") == []


def test_without_a_state_file_it_says_what_that_means(airflow: FakeAirflow, tmp_path: Path) -> None:
    assert "counters restart at 0" in find_lines(run_check(), "state file")[0]
    assert find_lines(run_check(f"--state.file={tmp_path / 'state'}"), "state file") == []


@pytest.mark.parametrize(("lost", "said"), [(0, "1 pool"), (2, "1 pool; 2 skipped: Airflow answers HTTP 500 for them")])
def test_rows_that_are_left_out_are_said(lost: int, said: str) -> None:
    assert count("pool")(Rows([object()], lost)).startswith(said)


# ---- without a network ------------------------------------------------------------------------------


def test_offline_asks_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object, **__: object) -> None:
        pytest.fail("it asked the network")

    monkeypatch.setattr(check, "connect", fail)
    monkeypatch.setattr("socket.socket.connect", fail)
    token = tmp_path / "token"
    token.write_text("Bearer abc\n")
    result = run_check("--offline", f"--airflow.token-file={token}", "--airflow.url=http://airflow.invalid")
    assert result.exit_code == 0, result.output
    assert find_lines(result, "token") == ["ok: read"]
    assert find_lines(result, "offline") == ["ok: no network request was made"]


@pytest.mark.parametrize(
    ("content", "code", "line"),
    [
        ("", 0, "note: the token file PATH is empty"),
        ("a b", 1, "FAILED: the token file PATH contains a space; write only the token into it, on one line"),
    ],
)
def test_offline_reads_secrets(content: str, code: int, line: str, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(content)
    result = run_check("--offline", f"--airflow.token-file={token}")
    assert (result.exit_code, find_lines(result, "token")) == (code, [line.replace("PATH", str(token))])


@pytest.mark.parametrize(
    ("option", "content"),
    [
        ("web.config.file", "tls_server_config: {cert_file: nowhere}"),
        ("statsd.mapping-config", "mappings: [{match: a}]"),
        ("config.file", "airflow: {interval: soon}"),
    ],
)
def test_offline_finds_what_is_wrong_in_each_file(option: str, content: str, tmp_path: Path) -> None:
    path = tmp_path / "file.yml"
    path.write_text(content)
    result = run_check("--offline", f"--{option}={path}")
    assert result.exit_code == 1
    assert str(path) in result.output or option in result.output


@pytest.mark.parametrize(
    ("option", "content", "name", "line"),
    [
        ("database.url-file", "postgresql://x:sesame-open-9@db/airflow", "database URL", "ok: read"),
        ("database.url-file", "", "database URL", "note: the file of the database URL PATH is empty"),
        ("database.url-file", "oracle://x:sesame-open-9@db/a", "database URL", "FAILED: oracle is not supported: only"),
        ("database.url-file", "mysql://x:sesame@open@9@db:x/a", "database URL", "FAILED: the URL of the database is"),
        ("celery.broker-url-file", "rediss://:sesame-open-9@broker/0", "Celery broker URL", "ok: read"),
        ("celery.broker-url-file", "", "Celery broker URL", "note: the file of the broker URL PATH is empty"),
        ("celery.broker-url-file", "redis broker", "Celery broker URL", "FAILED: the file of the broker URL PATH co"),
        ("celery.broker-url-file", "carrier://x@broker", "Celery broker URL", "FAILED: the broker URL cannot be used"),
    ],
)
def test_offline_reads_urls_as_far_as_it_can(
    option: str, content: str, name: str, line: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("it asked the network"))
    path = tmp_path / "url"
    path.write_text(content)
    result = run_check("--offline", f"--{option}={path}", "--no-collector.airflow")
    [found] = find_lines(result, name)
    assert found.startswith(line.replace("PATH", str(path)))
    assert "sesame" not in result.output
    assert result.exit_code == ("FAILED" in line)


def test_offline_reads_the_transport_options(tmp_path: Path) -> None:
    url, options = tmp_path / "url", tmp_path / "options"
    url.write_text("sentinel://one:26379")
    options.write_text("master_name: mymaster")
    result = run_check(
        "--offline", f"--celery.broker-url-file={url}", f"--celery.broker-transport-options-file={options}"
    )
    assert find_lines(result, "Celery broker URL")[0].startswith(f"FAILED: {options} contains no JSON object")


def test_a_celery_broker_that_cannot_be_reached_is_a_failure_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TEST_BROKER_URL", "redis://:sesame-open-9@127.0.0.1:1/0")
    settings = Settings(celery=CelerySettings(broker_url_environment="TEST_BROKER_URL", timeout=0.5))
    [result] = check.check_celery(settings)
    assert (result.result, result.name) == ("FAILED", "Celery")
    assert "redis://127.0.0.1:1/0 cannot be reached" in result.text
    assert "sesame" not in result.text


def test_a_database_that_cannot_be_reached_is_a_failure_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEST_DATABASE_URL", "postgresql://exporter:sesame-open-8@127.0.0.1:1/airflow")
    settings = Settings(database=DatabaseSettings(url_environment="TEST_DATABASE_URL", timeout=1.0))
    [result] = check.check_database(settings)
    assert (result.result, result.name) == ("FAILED", "database")
    assert "postgresql://127.0.0.1:1/airflow cannot be reached" in result.text
    assert "sesame" not in result.text


class Failing:
    """A reader that fails."""

    name = "queues"
    help = ""
    interval = 30.0
    families = ()

    def read(self) -> Reading:
        raise ReaderError("forbidden", "no right to read them")


class Working(Failing):
    name = "workers"

    def read(self) -> Reading:
        return Reading(notes=["2 workers answer"])


def test_a_reader_that_fails_hides_nothing_of_the_others() -> None:
    found = list(check.check_readers("Celery", [Failing(), Working()]))
    assert [(one.result, one.name, one.text) for one in found] == [
        ("FAILED", "Celery queues", "forbidden: no right to read them"),
        ("ok", "Celery workers", "2 workers answer"),
    ]
