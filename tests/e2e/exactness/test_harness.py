"""Tests of the test environment itself: the proxy's faults, how requests are grouped into polls, and verdicts."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import requests

from tests.e2e.exactness.audit import Cell, Poll, polls, read_beginnings
from tests.e2e.exactness.comparison import Verdict, closed_tries, compare, judge
from tests.e2e.exactness.proxy import Exchange, Faults, Proxy
from tests.e2e.exactness.subject import parse

BODY = b'{"rows": "' + b"x" * 1000 + b'"}'


class _Upstream(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        pass


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    server = HTTPServer(("127.0.0.1", 0), _Upstream)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    proxy = Proxy(f"http://127.0.0.1:{server.server_address[1]}")
    yield proxy
    proxy.close()
    server.shutdown()
    server.server_close()
    thread.join()


def ask(proxy: Proxy, times: int = 1) -> list[int | str]:
    """The status of each reply, or the name of the exception; each request has a new session."""
    found: list[int | str] = []
    for _ in range(times):
        with requests.Session() as session:
            session.trust_env = False
            try:
                reply = session.get(f"{proxy.url}/api/thing?x=1", timeout=10)
                found.append(reply.status_code if reply.content == BODY else f"{reply.status_code} other")
            except requests.RequestException as error:
                found.append(type(error).__name__)
    end = time.monotonic() + 10
    while len(proxy.exchanges()) < times and time.monotonic() < end:
        time.sleep(0.01)  # the proxy records an exchange after it has answered
    return found


def test_without_faults_every_request_succeeds_and_is_recorded(proxy: Proxy) -> None:
    assert ask(proxy, 2) == [200, 200]
    exchanges = proxy.exchanges()
    assert [(one.method, one.target, one.status, one.fault) for one in exchanges] == [
        ("GET", "/api/thing?x=1", 200, "")
    ] * 2
    assert all(one.sound and one.began <= one.ended for one in exchanges)
    assert not proxy.is_busy()


def test_a_cut_body_is_an_error_to_the_client(proxy: Proxy) -> None:
    proxy.faults = Faults(cut=1.0)
    assert ask(proxy) == ["ChunkedEncodingError"]


def test_failures_are_of_every_kind(proxy: Proxy) -> None:
    proxy.faults = Faults(failed=1.0)
    assert set(ask(proxy, 40)) == {"500 other", "503 other", "429 other", "200 other"}
    assert not any(one.sound for one in proxy.exchanges())


def test_faults_have_the_configured_share(proxy: Proxy) -> None:
    proxy.faults = Faults(delayed=0.1, cut=0.2, failed=0.3)
    kinds = Counter(proxy.choose() for _ in range(10_000))
    assert kinds["delay"] == pytest.approx(1000, rel=0.15)
    assert kinds["cut"] == pytest.approx(2000, rel=0.15)
    assert kinds[""] == pytest.approx(4000, rel=0.15)


def test_an_unreachable_server_is_a_bad_gateway() -> None:
    proxy = Proxy("http://127.0.0.1:9")
    assert ask(proxy) == ["502 other"]
    proxy.close()


ACTIVE = "/api/v2/dags/~/dagRuns/~/taskInstances?cursor=&state=scheduled&state=running"
ENDED = "/api/v2/dags/~/dagRuns/~/taskInstances?cursor=&updated_at_gte=x&state=success"


def exchange(began: float, target: str, *, status: int = 200, fault: str = "") -> Exchange:
    return Exchange(began, began + 0.1, "GET", target, status, fault)


def test_a_poll_of_task_instances_lasts_until_the_next_begins() -> None:
    exchanges = [
        exchange(1, ACTIVE),
        exchange(2, ENDED),
        exchange(3, "/api/v2/pools"),
        exchange(4, "/api/v2/dags/d/dagRuns/r/taskInstances/t/tries", status=404),
        exchange(10, ACTIVE),
        exchange(11, ACTIVE.replace("cursor=", "cursor=abc")),
        exchange(12, ENDED, status=500, fault="500"),
    ]
    assert polls(exchanges, "/taskInstances") == [Poll(1, 4.1, sound=True), Poll(10, 12.1, sound=False)]
    assert polls(exchanges, "/pools") == [Poll(3, 3.1, sound=True)]


def test_pages_that_are_read_again_are_part_of_the_same_poll() -> None:
    active = "/api/v1/dags/~/dagRuns/~/taskInstances?state=running&limit=100"
    again = active.replace("100", "83")
    exchanges = [exchange(at, target) for at, target in enumerate((active, f"{active}&offset=100", again, active))]
    assert polls(exchanges, "/taskInstances") == [Poll(0, 2.1, sound=True), Poll(3, 3.1, sound=True)]


def test_a_poll_that_may_have_left_runs_for_later_is_not_sound() -> None:
    active = "/api/v1/dags/~/dagRuns/~/taskInstances?state=running&limit=100"
    runs = [f"/api/v1/dags/d/dagRuns/r{number}/taskInstances?limit=100" for number in range(40)]
    many = [exchange(1 + index / 100, run) for index, run in enumerate(runs)]
    slow = [exchange(1, runs[0]), exchange(5.9, runs[1])]
    for listed, sound in ((many, False), (many[:39], True), (slow, False), (slow[1:], True)):
        assert [poll.sound for poll in polls([exchange(0, active), *listed], "/taskInstances")] == [sound]


def test_a_request_for_active_runs_only_is_no_poll_of_runs() -> None:
    active = "/api/v2/dags/~/dagRuns?limit=100&cursor=&state=queued&state=running"
    ended = "/api/v2/dags/~/dagRuns?limit=100&cursor=&updated_at_gte=x&state=success"
    exchanges = [exchange(1, active), exchange(2, ended), exchange(5, active)]
    assert polls(exchanges, "/dagRuns") == [Poll(1, 2.1, sound=True)]


def test_a_poll_that_was_killed_is_not_sound() -> None:
    assert polls([exchange(1, ACTIVE)], "/taskInstances", unwritten=[2.0]) == [Poll(1, 1.1, sound=False)]


def cell(value: float, least: float, most: float, *doubts: str) -> Cell:
    return Cell("airflow_task_tries_total", ("d", "t"), "value", value, least, most, doubts)


@pytest.mark.parametrize(
    ("true", "shown", "verdict"),
    [
        (cell(3, 3, 3), 3, Verdict.EQUAL),
        (cell(3, 3, 3), 2, Verdict.WRONG),
        (cell(3, 3, 3), 4, Verdict.WRONG),
        (cell(3, 2, 3, "deleted"), 2, Verdict.CLOSED),
        (cell(3, 2, 3, "deleted"), 1, Verdict.WRONG),
        (cell(3, 2, 3, "edge"), 2, Verdict.EDGE),
    ],
)
def test_a_difference_is_wrong_unless_the_closed_list_has_it(true: Cell, shown: float, verdict: Verdict) -> None:
    assert judge(true, shown) is verdict


def test_series_that_only_one_side_has_are_differences() -> None:
    shown = parse(
        "# TYPE airflow_task_tries_total counter\n"
        'airflow_task_tries_total{dag_id="d",task_id="t"} 2\n'
        'airflow_task_tries_total{dag_id="d",task_id="invented"} 1\n'
        'airflow_task_retries_total{dag_id="d",task_id="t"} 0\n'
        'airflow_other_total{dag_id="d"} 5\n'
    )
    missing = cell(1, 1, 1)._replace(labels=("d", "missing"))
    found = {one.cell.labels[1]: one.verdict for one in compare([cell(2, 2, 2), missing], shown) if one.size}
    assert found == {"invented": Verdict.WRONG, "missing": Verdict.WRONG}


def test_the_closed_list_is_measured_in_tries() -> None:
    shown = parse('# TYPE airflow_task_tries_total counter\nairflow_task_tries_total{dag_id="d",task_id="t"} 1\n')
    assert closed_tries(compare([cell(3, 1, 3, "deleted")], shown)) == 2


def test_counting_began_where_the_last_log_line_says() -> None:
    message = 'ts=1 level=info logger=cursor msg="{} that end from now on are counted" since={}'
    lines = [
        message.format("runs", "2026-12-01T00:47:52.250000+00:00"),
        message.format("task instances", "2026-12-01T00:47:52.500000+00:00"),
        "ts=2 level=info msg=starting",
        message.format("task instances", "2026-12-01T00:48:02+00:00"),
    ]
    assert read_beginnings(lines) == {"/dagRuns": 1796086072.25, "/taskInstances": 1796086082.0}
