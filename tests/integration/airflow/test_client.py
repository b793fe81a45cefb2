"""Whatever goes wrong between us and Airflow becomes an error whose reason is known and whose text says what to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from exporter.config.settings import AirflowSettings
from exporter.metrics.reading import REASONS, ReaderError
from exporter.sources.airflow.api.objects.dags import DAGS
from exporter.sources.airflow.api.objects.health import HEALTH
from exporter.sources.airflow.api.objects.pools import POOLS
from exporter.sources.airflow.api.objects.task_instances import TASK_INSTANCES, TRIES
from exporter.sources.airflow.api.version import VERSION
from exporter.sources.airflow.http import client as client_module
from exporter.sources.airflow.http import reply
from exporter.sources.airflow.http.client import Client
from exporter.sources.airflow.http.transport import Call
from tests.integration.airflow.stub import Answer, Asked, Stub, script, serve

POOL_CALLS = {2: Call(POOLS.on_2), 3: Call(POOLS.on_3)}
PAGE = b"<html><head><title>%s</title></head><body>%s</body></html>"
MAJORS = pytest.mark.parametrize("major", [2, 3])
Start = Callable[..., Stub]


class Telemetry:
    """What the hook was told."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []
        self.seconds: list[float] = []

    def __call__(self, endpoint: str, code: str, seconds: float) -> None:
        self.requests.append((endpoint, code))
        self.seconds.append(seconds)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "BACKOFF", (0.01, 0.02))


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


@pytest.fixture
def connect(telemetry: Telemetry, tmp_path: Path) -> Iterator[Callable[..., Client]]:
    """Clients with a token from a file, so that no request for one disturbs the count."""
    token = tmp_path / "token"
    token.write_text("secret-token")
    clients: list[Client] = []

    def make(url: str, major: int = 3, **settings: object) -> Client:
        complete = AirflowSettings(**{"url": url, "token_file": token, "timeout": 5.0, **settings})  # type: ignore[arg-type]
        clients.append(Client(complete, telemetry))
        clients[-1].use_api(major)
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def fail(client: Client, major: int) -> ReaderError:
    with pytest.raises(ReaderError) as caught:
        client.get(POOL_CALLS[major])
    assert caught.value.reason in REASONS
    assert "secret" not in str(caught.value)
    return caught.value


# ---- answers --------------------------------------------------------------------------------------


@MAJORS
def test_a_reply_comes_as_the_bytes_that_were_sent(
    major: int, connect: Callable[..., Client], telemetry: Telemetry
) -> None:
    with serve(script(Answer({"pools": []}))) as stub:
        assert connect(stub.url, major).get(POOL_CALLS[major]) == b'{"pools": []}'
        (asked,) = stub.asked
    assert asked.headers["Authorization"] == "Bearer secret-token"
    assert asked.headers["User-Agent"].startswith("airflow-metrics-exporter/")
    assert asked.headers["Accept"] == "application/json"
    assert telemetry.requests == [("pools", "200")]


@MAJORS
def test_gzip_is_asked_for_and_unpacked(major: int, connect: Callable[..., Client]) -> None:
    with serve(script(Answer({"pools": ["x" * 1000]}, compress=True))) as stub:
        assert b"x" * 1000 in connect(stub.url, major).get(POOL_CALLS[major])
        assert stub.asked[0].headers["Accept-Encoding"] == "gzip"


@MAJORS
def test_chunked_replies_and_connections_kept_open(major: int, connect: Callable[..., Client]) -> None:
    with serve(script(Answer({"pools": []}, chunked=True))) as stub:
        client = connect(stub.url, major)
        assert {client.get(POOL_CALLS[major]) for _ in range(3)} == {b'{"pools": []}'}


@MAJORS
def test_a_base_url_with_a_path(major: int, connect: Callable[..., Client]) -> None:
    with serve(script(Answer({"pools": []}))) as stub:
        connect(f"{stub.url}/team/airflow/", major).get(POOL_CALLS[major])
        assert stub.paths == [f"/team/airflow/api/v{major - 1}/pools"]


@MAJORS
def test_ids_with_anything_in_them_arrive_whole(major: int, connect: Callable[..., Client]) -> None:
    names = {"dag_id": "größe.a/b", "dag_run_id": "scheduled__2026-01-01T00:00:00+00:00", "task_id": "a b%?#"}
    endpoint = {2: TRIES.on_2, 3: TRIES.on_3}[major]
    run = "scheduled__2026-01-01T00%3A00%3A00%2B00%3A00"
    with serve(script(Answer({}))) as stub:
        connect(stub.url, major).get(Call(endpoint, names))
        assert stub.paths == [
            f"/api/v{major - 1}/dags/gr%C3%B6%C3%9Fe.a%2Fb/dagRuns/{run}/taskInstances/a%20b%25%3F%23/tries"
        ]


@MAJORS
def test_times_lists_and_truths_in_a_query(major: int, connect: Callable[..., Client]) -> None:
    query: dict[str, Any] = {
        "updated_at_gte": datetime(2026, 11, 23, 8, 0, 0, 5, tzinfo=UTC),
        "state": ["success", "failed"],
    }
    endpoint = {2: TASK_INSTANCES.on_2, 3: TASK_INSTANCES.on_3}[major]
    dags = {2: Call(DAGS.on_2, query={"only_active": False}), 3: Call(DAGS.on_3, query={"exclude_stale": False})}
    with serve(script(Answer({}))) as stub:
        client = connect(stub.url, major)
        client.get(Call(endpoint, {"dag_id": "~", "dag_run_id": "~"}, query))
        client.get(dags[major])
        tasks, listed = stub.asked
    assert tasks.path.endswith("/dags/~/dagRuns/~/taskInstances")
    assert datetime.fromisoformat(tasks.query["updated_at_gte"][0]) == query["updated_at_gte"]
    assert tasks.query["state"] == ["success", "failed"]
    assert next(iter(listed.query.values())) == ["false"]


# ---- refusals -------------------------------------------------------------------------------------


@MAJORS
@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (400, "bad_request"),
        (401, "unauthorized"),
        (403, "forbidden"),
        (404, "not_found"),
        (405, "bad_request"),
        (407, "unauthorized"),
        (414, "bad_request"),
        (422, "bad_request"),
        (501, "server_error"),
    ],
)
def test_the_reason_of_a_status(
    major: int, status: int, reason: str, connect: Callable[..., Client], telemetry: Telemetry
) -> None:
    with serve(script(Answer({"detail": "so it is"}, status))) as stub:
        error = fail(connect(stub.url, major), major)
    assert error.reason == reason
    assert f"HTTP {status} (so it is)" in str(error)
    assert telemetry.requests == [("pools", str(status))]


@MAJORS
def test_whether_credentials_are_refused_is_known_until_a_request_that_needs_them_is_answered(
    major: int, connect: Callable[..., Client]
) -> None:
    health = {2: Call(HEALTH.on_2), 3: Call(HEALTH.on_3)}[major]
    answers = script(Answer({}), Answer({}, 401), Answer({}), Answer({"detail": "Forbidden"}, 403), Answer({}))
    with serve(answers) as stub:
        client = connect(stub.url, major)
        seen = []
        for call in (POOL_CALLS[major], POOL_CALLS[major], health, POOL_CALLS[major], POOL_CALLS[major]):
            with suppress(ReaderError):
                client.get(call)
            seen.append(client.refused)
    assert seen == [False, True, True, True, False]


def test_an_answer_is_taken_as_it_is_by_one_who_is_not_patient(
    connect: Callable[..., Client], telemetry: Telemetry
) -> None:
    with serve(script(Answer({}, 500))) as stub, pytest.raises(ReaderError):
        connect(stub.url).get(POOL_CALLS[3], patient=False)
    assert telemetry.requests == [("pools", "500")]


def test_forbidden_names_the_permission_that_is_missing(connect: Callable[..., Client]) -> None:
    with serve(script(Answer({"detail": "Forbidden"}, 403))) as stub:
        assert "its role needs “can read on Pools” (simple auth manager: role viewer)" in str(
            fail(connect(stub.url), 3)
        )
        assert "“can read on Pools”. Airflow 2 says the same when" in str(fail(connect(stub.url, 2), 2))


def test_the_details_of_a_validation_error_are_shortened(connect: Callable[..., Client]) -> None:
    with serve(script(Answer({"detail": [{"loc": ["query", "limit"], "msg": "wrong\n" * 200}]}, 422))) as stub:
        text = str(fail(connect(stub.url), 3))
    assert '"loc": ["query", "limit"]' in text
    assert len(text) < 400
    assert "\n" not in text


# ---- what answers is not Airflow ------------------------------------------------------------------


@MAJORS
@pytest.mark.parametrize(
    ("answer", "reason", "says"),
    [
        (Answer(PAGE % (b"Welcome to nginx!", b"")), "bad_reply", "titled 'Welcome to nginx!'"),
        (Answer(PAGE % (b"Sign in", b"")), "unauthorized", "a login page"),
        (Answer(PAGE % (b"Hello", b'<input type="password">')), "unauthorized", "a login page"),
        (Answer(b""), "bad_reply", "an empty reply"),
        (Answer(b"OK"), "bad_reply", "'OK' instead of JSON"),
        (Answer(status=302, headers={"Location": "https://idp.example/oauth2/start?x=1"}), "unauthorized", "https://idp.example/oauth2/start"),
        (Answer(status=302, headers={"Location": "/login/?next=x"}), "unauthorized", "a login page (/login/)"),
        (Answer(status=301, headers={"Location": "https://airflow.example/"}), "bad_reply", "set airflow.url to where"),
    ],
    ids=["other-page", "login-title", "password-field", "empty", "text", "login-host", "login-path", "moved"],
)  # fmt: skip
def test_what_is_not_airflow_is_described(
    major: int, answer: Answer, reason: str, says: str, connect: Callable[..., Client]
) -> None:
    with serve(script(answer)) as stub:
        error = fail(connect(stub.url, major), major)
        assert len(stub.asked) == 1
    assert (error.reason, says in str(error)) == (reason, True), str(error)


def test_a_proxy_that_fails_is_quoted_by_its_title(connect: Callable[..., Client]) -> None:
    with serve(script(Answer(PAGE % (b"502 Bad Gateway", b""), 502))) as stub:
        error = fail(connect(stub.url), 3)
    assert error.reason == "server_error"
    assert "HTTP 502 (502 Bad Gateway)" in str(error)


# ---- trying again ---------------------------------------------------------------------------------


@MAJORS
@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_what_passes_is_asked_for_again_and_every_attempt_is_counted(
    major: int, status: int, connect: Callable[..., Client], telemetry: Telemetry
) -> None:
    with serve(script(Answer(status=status), Answer(status=status), Answer({"pools": []}))) as stub:
        assert connect(stub.url, major).get(POOL_CALLS[major])
    assert telemetry.requests == [("pools", str(status)), ("pools", str(status)), ("pools", "200")]


@pytest.mark.parametrize(("status", "reason"), [(500, "server_error"), (429, "rate_limited")])
def test_what_does_not_pass_is_an_error_after_three_attempts(
    status: int, reason: str, connect: Callable[..., Client], telemetry: Telemetry
) -> None:
    with serve(script(Answer(status=status))) as stub:
        assert fail(connect(stub.url), 3).reason == reason
    assert telemetry.requests == [("pools", str(status))] * 3


def test_retry_after_is_waited_for(connect: Callable[..., Client]) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    with serve(script(Answer(status=429, headers={"Retry-After": soon}), Answer({"pools": []}))) as stub:
        began = time.monotonic()
        connect(stub.url).get(POOL_CALLS[3])
    assert time.monotonic() - began >= 0.5


def test_retry_after_that_does_not_fit_the_deadline_is_not_waited_for(
    connect: Callable[..., Client], telemetry: Telemetry
) -> None:
    with serve(script(Answer(status=429, headers={"Retry-After": "3"}))) as stub:
        client = connect(stub.url)
        client.begin(time.monotonic() + 2.5)
        began = time.monotonic()
        assert fail(client, 3).reason == "rate_limited"
    assert time.monotonic() - began < 2
    assert telemetry.requests == [("pools", "429")]


@MAJORS
@pytest.mark.parametrize(
    "answer", [Answer(hang_up=True), Answer({"pools": []}, cut=5), Answer({"pools": []}, cut=5, chunked=True)]
)
def test_a_connection_that_breaks_once_does_not_matter(
    major: int, answer: Answer, connect: Callable[..., Client], telemetry: Telemetry
) -> None:
    with serve(script(answer, Answer({"pools": []}))) as stub:
        assert connect(stub.url, major).get(POOL_CALLS[major]) == b'{"pools": []}'
    assert telemetry.requests == [("pools", "error"), ("pools", "200")]


@MAJORS
@pytest.mark.parametrize("chunked", [False, True])
def test_replies_that_are_always_cut_off(major: int, connect: Callable[..., Client], *, chunked: bool) -> None:
    with serve(script(Answer({"pools": []}, cut=5, chunked=chunked))) as stub:
        error = fail(connect(stub.url, major), major)
        assert len(stub.asked) == 2
    assert error.reason == "bad_reply"
    assert "cut off" in str(error)


def test_a_server_that_always_hangs_up(connect: Callable[..., Client]) -> None:
    with serve(script(Answer(hang_up=True))) as stub:
        assert fail(connect(stub.url), 3).reason == "unreachable"


@MAJORS
def test_gzip_that_cannot_be_decompressed(major: int, connect: Callable[..., Client]) -> None:
    with serve(script(Answer(b"{}" * 100, headers={"Content-Encoding": "gzip"}))) as stub:
        error = fail(connect(stub.url, major), major)
    assert (error.reason, "decompressed" in str(error)) == ("bad_reply", True)


def test_a_reply_that_would_fill_the_memory(connect: Callable[..., Client], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reply, "BODY_LIMIT", 1 << 20)
    with serve(script(Answer(b" " * (2 << 20), compress=True))) as stub:
        error = fail(connect(stub.url), 3)
    assert (error.reason, "more than 1 MiB" in str(error)) == ("bad_reply", True)


# ---- time -----------------------------------------------------------------------------------------


def stall(asked: Asked) -> Answer:
    time.sleep(0.6)
    return Answer({"pools": []})


@MAJORS
def test_a_request_has_a_timeout(major: int, connect: Callable[..., Client], telemetry: Telemetry) -> None:
    with serve(stall) as stub:
        error = fail(connect(stub.url, major, timeout=0.2), major)
    assert (error.reason, "airflow.timeout" in str(error)) == ("timeout", True)
    assert telemetry.requests == [("pools", "error")]


@MAJORS
def test_a_request_ends_at_the_deadline(major: int, connect: Callable[..., Client]) -> None:
    with serve(stall) as stub:
        client = connect(stub.url, major)
        client.begin(time.monotonic() + 0.2)
        assert fail(client, major).reason == "deadline"


def test_after_the_deadline_nothing_is_asked(connect: Callable[..., Client]) -> None:
    with serve(script(Answer({"pools": []}))) as stub:
        client = connect(stub.url)
        client.begin(time.monotonic() - 1)
        assert fail(client, 3).reason == "deadline"
        assert not stub.asked
        client.begin(time.monotonic() + 5)
        assert client.get(POOL_CALLS[3])


@MAJORS
def test_a_body_that_drips_ends_at_the_deadline(major: int, connect: Callable[..., Client]) -> None:
    with serve(script(Answer({"pools": ["x" * 100]}, pause=0.05))) as stub:
        client = connect(stub.url, major)
        client.begin(time.monotonic() + 0.3)
        began = time.monotonic()
        assert fail(client, major).reason == "deadline"
    assert time.monotonic() - began < 2


def test_retries_end_at_the_deadline(
    connect: Callable[..., Client], monkeypatch: pytest.MonkeyPatch, telemetry: Telemetry
) -> None:
    monkeypatch.setattr(client_module, "BACKOFF", (0.1, 60.0))
    with serve(script(Answer(status=503))) as stub:
        client = connect(stub.url)
        client.begin(time.monotonic() + 3)
        assert fail(client, 3).reason == "server_error"
    assert len(telemetry.requests) == 2


@pytest.mark.parametrize("hours", [-3, 0, 3])
def test_the_clock_of_the_server(hours: int, connect: Callable[..., Client]) -> None:
    def answer(asked: Asked) -> Answer:
        now = datetime.now(UTC) + timedelta(hours=hours)
        return Answer({"version": "3.3.2"}, headers={"Date": format_datetime(now, usegmt=True)})

    with serve(answer) as stub:
        client = connect(stub.url)
        assert client.skew is None
        expected = time.time() + hours * 3600
        assert expected - 1.1 <= client.server_time(VERSION.on_3) <= expected + 1
        assert client.skew == pytest.approx(hours * 3600, abs=1)


def test_without_a_date_our_own_clock_must_do(connect: Callable[..., Client]) -> None:
    with serve(script(Answer({"version": "3.3.2"}, headers={"Date": ""}))) as stub:
        client = connect(stub.url)
        assert client.server_time(VERSION.on_3) == pytest.approx(time.time(), abs=1.5)
        assert client.skew is None


# ---- nobody there ---------------------------------------------------------------------------------


@MAJORS
@pytest.mark.parametrize(
    ("url", "reason", "says"),
    [
        ("http://127.0.0.1:9", "unreachable", "Connection refused"),
        ("http://no-such-host.invalid", "unreachable", "cannot resolve http://no-such-host.invalid"),
        ("http://user:secret@127.0.0.1:9", "unreachable", "http://127.0.0.1:9 cannot be reached"),
    ],
)
def test_a_place_where_nobody_answers(
    major: int, url: str, reason: str, says: str, connect: Callable[..., Client]
) -> None:
    error = fail(connect(url, major), major)
    assert (error.reason, says in str(error)) == (reason, True), str(error)


@pytest.mark.parametrize("url", ["localhost:8080", "http://", "ftp://airflow"])
def test_what_is_no_url(url: str, connect: Callable[..., Client]) -> None:
    assert fail(connect(url, 2), 2).reason == "bad_request"
