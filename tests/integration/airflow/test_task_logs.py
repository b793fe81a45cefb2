"""Logs of tries over HTTP: both releases, limits of size and time, and what comes in place of a log."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from exporter.config.settings import AirflowSettings
from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.api.airflow_api import AirflowApi
from exporter.sources.airflow.api.detect import connect
from exporter.sources.airflow.api.objects import task_logs
from exporter.sources.airflow.api.objects.task_logs import KEPT, LogOutcome, LogTail, read_log_tail
from exporter.sources.airflow.http.client import Client
from tests.integration.airflow.stub import Answer, Asked, Stub, serve

SECRET = "hunter2-in-a-log"
Reply = Callable[[Asked], Answer]
MAJORS = pytest.mark.parametrize("major", [2, 3])


@contextmanager
def serve_log(major: int, reply: Reply | Answer) -> Iterator[Stub]:
    """An Airflow of a release that answers requests for logs."""

    def answer(asked: Asked) -> Answer:
        if asked.path == "/auth/token":
            return Answer({"access_token": "a.b.c"}, 201)
        if asked.path.endswith("/version"):
            found = asked.path.startswith("/api/v2") == (major == 3)
            return Answer({"version": "3.3.2" if major == 3 else "2.11.2"}) if found else Answer(status=404)
        return reply(asked) if callable(reply) else reply

    with serve(answer) as stub:
        yield stub


def read(stub: Stub, seconds: float = 30.0, within: float = 60.0) -> LogTail:
    """The log of a try, which has to come `within` this many seconds."""
    connection = connect(AirflowSettings(url=stub.url))
    began = time.monotonic()
    try:
        return read_log_tail(connection.airflow, "d", "manual__2026-11-29T12:00:00+00:00", "a/b", 2, 1, seconds)
    finally:
        assert time.monotonic() - began < within
        connection.client.close()


def text(body: str | bytes, **more: object) -> Answer:
    return Answer(body.encode() if isinstance(body, str) else body, **more)  # type: ignore[arg-type]


@MAJORS
def test_the_log_of_one_try_is_asked_for_as_a_stream(major: int) -> None:
    with serve_log(major, text("a line\n")) as stub:
        assert read(stub) == (LogOutcome.READ, "a line\n")
        asked = stub.asked[-1]
    assert asked.path.endswith("/dags/d/dagRuns/manual__2026-11-29T12%3A00%3A00%2B00%3A00/taskInstances/a%2Fb/logs/1")
    assert asked.query["map_index"] == ["2"]
    assert asked.headers["Accept"] == {2: "text/plain", 3: "application/x-ndjson"}[major]


@MAJORS
def test_of_a_long_log_the_end_is_kept(major: int) -> None:
    body = b"x" * (3 << 20) + b"the end"
    with serve_log(major, text(body)) as stub:
        tail = read(stub)
    assert tail.outcome is LogOutcome.READ
    assert len(tail.text) == KEPT
    assert tail.text.endswith("the end")


@MAJORS
def test_a_log_beyond_the_limit_is_not_read_to_its_end(major: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_logs, "MAX_READ", 1 << 20)
    with serve_log(major, text(b"x" * (8 << 20))) as stub:
        tail = read(stub)
    assert tail.outcome is LogOutcome.TOO_LONG
    assert len(tail.text) == KEPT


@MAJORS
def test_a_compressed_log_is_limited_by_what_it_unpacks_to(major: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_logs, "MAX_READ", 1 << 20)
    with serve_log(major, text(b" " * (64 << 20), compress=True)) as stub:
        assert read(stub).outcome is LogOutcome.TOO_LONG


@MAJORS
def test_a_log_server_that_hangs_costs_no_more_than_the_time_limit(major: int) -> None:
    def hang(_: Asked) -> Answer:
        time.sleep(3)
        return text("late")

    with serve_log(major, hang) as stub:
        assert read(stub, seconds=0.5, within=2.5).outcome is LogOutcome.TIMEOUT


@MAJORS
def test_a_log_that_drips_costs_no_more_than_the_time_limit(major: int) -> None:
    with serve_log(major, text(b"x" * 100_000, pause=0.2)) as stub:
        assert read(stub, seconds=0.5, within=2.5).outcome is LogOutcome.TIMEOUT


@MAJORS
@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (Answer({"detail": "TaskInstance not found"}, 404), LogOutcome.GONE),
        (text(""), LogOutcome.GONE),
        (text("*** Could not read served logs: 404 Client Error: NOT FOUND\n"), LogOutcome.GONE),
        (text("*** Could not read served logs: Read timed out. (read timeout=5)\n"), LogOutcome.TIMEOUT),
        (Answer({"detail": "Forbidden"}, 403), LogOutcome.FORBIDDEN),
        (Answer({"detail": "Unauthorized"}, 401), LogOutcome.FORBIDDEN),
        (Answer({"detail": "oops"}, 500), LogOutcome.ERROR),
        (text('<html><title>Sign in</title><input type="password"></html>'), LogOutcome.FORBIDDEN),
        (Answer(b"", 302, {"Location": "/login"}), LogOutcome.FORBIDDEN),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_what_comes_instead_of_a_log(major: int, answer: Answer, outcome: LogOutcome) -> None:
    with serve_log(major, answer) as stub:
        assert read(stub).outcome is outcome


def test_an_airflow_3_that_knows_no_lines_is_asked_for_json() -> None:
    def reply(asked: Asked) -> Answer:
        if asked.headers["Accept"] == "application/x-ndjson":
            return Answer({"detail": "Only application/json or text/plain is supported"}, 406)
        return Answer({"content": [{"event": "x"}], "continuation_token": None})

    with serve_log(3, reply) as stub:
        tail = read(stub)
    assert tail.outcome is LogOutcome.READ
    assert json.loads(tail.text)["content"] == [{"event": "x"}]


@MAJORS
def test_an_airflow_that_is_down_is_no_outcome_of_a_log(major: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN_OF_THIS_TEST", "a.b.c")
    with serve_log(major, Answer()) as stub:
        url = stub.url
    client = Client(AirflowSettings(url=url, token_environment="TOKEN_OF_THIS_TEST"))
    client.use_api(major)
    with pytest.raises(ReaderError, match="cannot be reached"):
        read_log_tail(AirflowApi(client, major, ""), "d", "r", "t", -1, 1, 1.0)
    client.close()


def test_a_tail_does_not_show_its_text() -> None:
    assert SECRET not in repr(LogTail(LogOutcome.READ, SECRET))
