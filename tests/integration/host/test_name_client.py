"""Names of tries: known at once, late, never; and asked of another exporter."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from exporter.config.settings import HostSettings
from exporter.metrics.catalogue.host import task_resources
from exporter.metrics.reading import ReaderError
from exporter.sources.directory import Directory
from exporter.sources.host.name_client import TaskNamesReader, decode_tries
from tests.integration.host.watch import Watch

UUID = "01a20793-8496-79a0-a835-561da18df05c"
OTHER = "01a20793-8496-79a0-a835-000000000000"
CPU = "airflow_task_cpu_seconds_total"


def start_task(watch: Watch) -> None:
    watch.tree.add(10, 1, f"airflow worker -- LocalExecutor: {UUID}")
    watch.full_scan()
    watch.tree.add(11, 10, f"airflow worker -- {UUID}", cpu=50, start=2000)
    watch.full_scan()


def test_usage_is_held_back_while_the_name_is_awaited(watch: Watch) -> None:
    start_task(watch)
    watch.directory.record_poll()
    watch.full_scan()
    assert not [key for key in watch.sums if key[0] == CPU]
    watch.directory.record_try("etl", "load", UUID)
    watch.full_scan()
    assert watch.task_cpu("etl", "load") == 50


def test_usage_without_a_name_after_two_polls_is_unknown_for_good(watch: Watch) -> None:
    start_task(watch)
    watch.directory.record_poll()
    watch.directory.record_poll()
    watch.full_scan()
    assert watch.task_cpu("_unknown", "_unknown") == 50
    watch.directory.record_try("etl", "load", UUID)
    watch.tree.fakes[11].cpu = 60
    watch.tree.write()
    watch.full_scan()
    assert watch.task_cpu("_unknown", "_unknown") == 50
    assert watch.task_cpu("etl", "load") == 10


def test_without_a_source_of_names_no_usage_is_held_back(tmp_path: Path) -> None:
    watch = Watch(tmp_path / "proc", named=False)
    start_task(watch)
    assert watch.task_cpu("_unknown", "_unknown") == 50


def test_a_try_of_release_2_is_named_by_its_title(watch: Watch) -> None:
    command = ["airflow", "tasks", "run", "etl", "load", "run 1", "--local"]
    watch.tree.add(10, 1, "airflow worker -- LocalExecutor")
    watch.full_scan()
    watch.tree.add(11, 10, f"airflow task supervisor: {command}", cpu=3, start=2000)
    watch.tree.add(12, 11, "airflow task runner: etl load run 1 7", cpu=30, start=2001)
    watch.full_scan()
    assert watch.task_cpu("etl", "load") == 30
    assert watch.cpu("task_supervisor") == 3


def test_the_share_of_the_cpu_of_a_short_try_of_release_2_is_known_too(
    watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(watch.source.tries, "_clock", lambda: now[0])
    command = ["airflow", "tasks", "run", "etl", "load", "run 1", "--local"]
    watch.tree.add(10, 1, "airflow worker -- LocalExecutor")
    watch.full_scan()
    watch.tree.add(11, 10, f"airflow task supervisor: {command}", cpu=3, start=2000)
    runner = watch.tree.add(12, 11, "airflow task runner: etl load run 1 7", cpu=10, start=2001)
    watch.full_scan()
    now[0] += 4.5
    runner.cpu = 250
    watch.tree.write()
    watch.quick_scan()
    watch.tree.end(12)
    watch.full_scan(6)
    assert watch.directory.get_cpu_share("etl", "load") == pytest.approx(2.5 / 5)


def test_a_title_that_changes_from_the_supervisors_to_the_tasks_counts_nothing_twice(watch: Watch) -> None:
    watch.directory.record_try("etl", "load", UUID)
    worker = watch.tree.add(10, 1, f"airflow worker -- LocalExecutor: {UUID}")
    watch.full_scan()
    child = watch.tree.add(11, 10, *worker.argv, cpu=10, start=2000)
    watch.full_scan()
    child.argv, child.cpu = (f"airflow worker -- {UUID}",), 25
    watch.tree.write()
    watch.full_scan()
    assert watch.task_cpu("etl", "load") == 25
    assert watch.all_cpu() == 25


def test_a_try_that_has_ended_is_observed_once_by_its_dag(watch: Watch) -> None:
    watch.directory.record_try("etl", "load", UUID)
    start_task(watch)
    watch.tree.fakes[11].peak = 500_000
    watch.tree.write()
    watch.quick_scan()
    watch.tree.fakes[10].argv = ("airflow worker -- LocalExecutor: <idle>",)
    watch.tree.end(11)
    watch.full_scan(6)
    assert watch.histogram("airflow_task_try_cpu_seconds") == [(("etl",), 0.5)]
    assert watch.histogram("airflow_task_try_peak_memory_bytes") == [(("etl",), 500_000 * 1024)]
    assert watch.value(task_resources.PEAK, "etl", "load") == 500_000 * 1024
    assert watch.value(task_resources.MEMORY, "etl", "load") is None


class Central(BaseHTTPRequestHandler):
    """An exporter that knows one try."""

    asked: ClassVar[list[str]] = []
    status: ClassVar[int] = 200
    polls: ClassVar[int | None] = None

    def do_GET(self) -> None:
        self.asked.append(self.path)
        polls = "" if self.polls is None else f', "polls": {self.polls}'
        body = f'{{"tries": {{"{UUID}": {{"dag_id": "etl", "task_id": "load"}}}}{polls}}}'.encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def central() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), Central)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    Central.asked, Central.status, Central.polls = [], 200, None
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_names_are_asked_of_another_exporter(central: str) -> None:
    directory = Directory()
    reader = TaskNamesReader(HostSettings(task_names_from=central), directory, lambda: [UUID, OTHER])
    assert reader.read().notes == ["1 of 2 tries have a name"]
    assert Central.asked == [f"/tries?uuid={UUID}&uuid={OTHER}"]
    assert directory.find_try(UUID) == ("etl", "load")
    assert directory.find_try(OTHER) is None
    assert directory.polls == 1


def test_a_try_is_waited_for_until_the_other_exporter_has_polled_airflow_twice(central: str, watch: Watch) -> None:
    reader = TaskNamesReader(HostSettings(task_names_from=central), watch.directory, lambda: [OTHER])
    watch.tree.add(10, 1, f"airflow worker -- LocalExecutor: {OTHER}")
    watch.full_scan()
    watch.tree.add(11, 10, f"airflow worker -- {OTHER}", cpu=50, start=2000)
    watch.full_scan()
    # It polls Airflow every 30 s, and is asked every 10 s; then it restarts.
    for polls in (7, 7, 7, 8, 8, 8, 0, 0):
        Central.polls = polls
        reader.read()
        watch.full_scan()
        assert watch.task_cpu("_unknown", "_unknown") == 0
    Central.polls = 1
    reader.read()
    watch.full_scan()
    assert watch.task_cpu("_unknown", "_unknown") == 50


def test_a_poll_long_before_a_try_is_none_of_its_own(central: str) -> None:
    directory, wanted = Directory(), [OTHER]
    reader = TaskNamesReader(HostSettings(task_names_from=central), directory, lambda: wanted)
    Central.polls = 7
    reader.read()
    wanted.clear()
    reader.read()
    before = directory.polls
    wanted.append(OTHER)
    Central.polls = 50
    reader.read()
    assert directory.polls == before


@pytest.mark.parametrize(("status", "reason"), [(401, "unauthorized"), (404, "not_found"), (502, "server_error")])
def test_a_refusal_is_a_reason_and_no_poll(central: str, status: int, reason: str) -> None:
    Central.status = status
    directory = Directory()
    reader = TaskNamesReader(HostSettings(task_names_from=central), directory, lambda: [UUID])
    with pytest.raises(ReaderError) as caught:
        reader.read()
    assert (caught.value.reason, directory.polls) == (reason, 0)


def test_a_refused_connection_is_reported() -> None:
    reader = TaskNamesReader(HostSettings(task_names_from="http://127.0.0.1:1"), Directory(), lambda: [UUID])
    with pytest.raises(ReaderError, match="is that exporter running"):
        reader.read()


@pytest.mark.parametrize(
    "text",
    [
        b"<html>",
        b"[]",
        b"{}",
        b'{"tries": []}',
        b'{"tries": {"u": 1}}',
        b'{"tries": {"u": {"dag_id": "d", "task_id": 1}}}',
        b"[" * 100_000,
    ],
)
def test_an_answer_of_something_else_is_refused(text: bytes) -> None:
    with pytest.raises(ReaderError) as caught:
        decode_tries(text)
    assert caught.value.reason == "bad_reply"


@pytest.mark.parametrize(("machine", "loaded"), [("true", ["psutil"]), ("false", [])])
def test_a_worker_loads_nothing_that_it_does_not_need(machine: str, loaded: list[str]) -> None:
    script = f"""
import sys
from exporter import application
from exporter import cli
from exporter.config import loader
from exporter.engine import Engine
off = {{"collector.airflow": "false", "collector.statsd": "false"}}
flags = {{**off, "host.machine": "{machine}", "host.task_names_from": "http://127.0.0.1:1"}}
engine = Engine(loader.load(flags, {{}}).settings)
engine.read_once()
expensive = ("pydantic", "requests", "prometheus_client", "airflow_client", "psutil", "yaml", "msgspec", "decimal")
print(*(name for name in expensive if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == loaded
