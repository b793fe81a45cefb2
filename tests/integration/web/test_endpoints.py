"""What each path answers, to whom, and in which form."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Iterator
from urllib.parse import urlencode

import pytest

from exporter.collect.status import SourceStatus
from exporter.sources.airflow.api.objects.task_instances import TaskInstance
from exporter.sources.airflow.log_links import LogLinks
from exporter.sources.directory import Directory
from exporter.store.exposition import Format
from exporter.store.rendering import END, PAUSE
from exporter.store.store import Store
from exporter.web.server import Server
from tests.integration.web.conftest import Serve, make_context, render_forever
from tests.integration.web.wire import ask, connect, read_all, read_until, request, wait_until

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PAGES = ["/", "/diagnosis", "/sources", "/config", "/runbooks"]
HOSTILE = ["//evil.example.org/", "https://evil.example.org/", "\\\\evil.example.org/", "a\r\nSet-Cookie: b=c"]
"""DAG ids that look like other addresses."""
PATHS = [*PAGES, "/metrics", "/-/healthy", "/-/ready"]


class TestRunbooks:
    """What alerts link to."""

    def test_are_listed_and_shown_as_they_are_written(self, address: str) -> None:
        assert b'href="runbooks/AirflowDagLate.md"' in ask(address, "/runbooks").body
        page = ask(address, "/runbooks/AirflowDagLate.md")
        assert (page.status, page.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
        assert page.body.startswith(b"# AirflowDagLate\n")
        assert ask(address, "/runbooks/AirflowDagLate").body == page.body

    def test_are_pages_for_a_browser_with_the_labels_of_the_alert(self, address: str) -> None:
        reply = ask(
            address, "/runbooks/AirflowDagLate.md?dag_id=%3Cb%3E&x=1", headers={"Accept": "text/html,*/*;q=0.8"}
        )
        assert reply.headers["Content-Type"] == "text/html; charset=utf-8"
        assert reply.headers["Vary"] == "Accept"
        assert b"<h1>AirflowDagLate</h1>" in reply.body
        assert b'href="../sources"' in reply.body
        assert b"<b>" not in reply.body

    def test_are_listed_with_a_slash_too(self, address: str) -> None:
        reply = ask(address, "/runbooks/")
        assert (reply.status, reply.headers["Location"]) == (308, "../runbooks")

    @pytest.mark.parametrize(
        "name", ["AirflowNothing.md", "..%2Fgenerate.py", "..%2f..%2fREADME.md", "AirflowDagLate.txt"]
    )
    def test_nothing_else_is_shown(self, address: str, name: str) -> None:
        assert ask(address, f"/runbooks/{name}").status == 404


class TestTries:
    """Names of tries, for exporters on workers."""

    def test_are_sent_with_the_number_of_polls(self, serve: Serve) -> None:
        directory = Directory()
        directory.record_try("etl", "load", "u1")
        directory.record_poll()
        context = make_context(find_try=directory.find_try, count_polls=lambda: directory.polls)
        reply = ask(serve(context).addresses[0], "/tries?uuid=u1&uuid=u2")
        assert json.loads(reply.body) == {"tries": {"u1": {"dag_id": "etl", "task_id": "load"}}, "polls": 1}


class TestFailed:
    """The link to the log of the last failed try."""

    @pytest.fixture
    def known(self, serve: Serve) -> str:
        links = LogLinks("https://airflow.example.org", 3)
        rows = [TaskInstance(dag_id=dag_id, task_id="t", run_id="r", try_number=1) for dag_id in ("sales", *HOSTILE)]
        urls = {(row.dag_id, task_id): links.link(row) for row in rows for task_id in ("t", "")}
        return serve(make_context(find_failed_log=lambda *names: urls.get(names, ""))).addresses[0]

    @pytest.mark.parametrize("query", ["dag_id=sales", "dag_id=sales&task_id=t"])
    def test_leads_to_airflow(self, known: str, query: str) -> None:
        reply = ask(known, f"/failed?{query}")
        found = (reply.status, reply.headers["Location"], reply.headers["Cache-Control"])
        assert found == (302, "https://airflow.example.org/dags/sales/runs/r/tasks/t?try_number=1", "no-store")

    @pytest.mark.parametrize("dag_id", HOSTILE)
    def test_never_leads_anywhere_else(self, known: str, dag_id: str) -> None:
        reply = ask(known, f"/failed?{urlencode({'dag_id': dag_id})}")
        assert reply.status == 302
        assert reply.headers["Location"].startswith("https://airflow.example.org/dags/")
        assert "evil.example.org/" not in reply.headers["Location"]

    def test_is_a_page_where_nothing_failed(self, known: str) -> None:
        reply = ask(known, "/failed?dag_id=%3Cb%3E&task_id=x&url=https://evil.example.org")
        assert (reply.status, "Location" in reply.headers) == (404, False)
        assert b"No failed try of task <strong>x</strong> of DAG <strong>&lt;b&gt;</strong> is known." in reply.body

    def test_needs_a_dag(self, known: str) -> None:
        assert ask(known, "/failed?task_id=t").status == 400


class TestMetrics:
    """The telemetry path."""

    def test_are_text_for_whoever_asks_for_nothing_in_particular(self, address: str) -> None:
        reply = ask(address)
        assert (reply.status, reply.headers["Content-Type"]) == (200, TEXT)
        assert b'airflow_test_slots{pool="default_pool"} 128\n' in reply.body
        assert not reply.body.endswith(b"# EOF\n")

    def test_are_openmetrics_on_request(self, address: str) -> None:
        reply = ask(address, headers={"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"})
        assert reply.headers["Content-Type"] == OPENMETRICS
        assert reply.body.endswith(b"# EOF\n")

    def test_are_filtered_by_name(self, address: str) -> None:
        body = ask(address, "/metrics?name[]=airflow_test_slots&name[]=airflow_unheard_of").body
        assert b"airflow_test_slots" in body
        assert b"airflow_test_heartbeats" not in body

    @pytest.mark.parametrize("query", ["collect[]=pools", "name[]=airflow_test_slots&collect[]=cpu", "exclude[]=pools"])
    def test_a_choice_of_collectors_is_answered_with_what_to_use(self, address: str, query: str) -> None:
        reply = ask(address, f"/metrics?{query}")
        assert reply.status == 400
        assert reply.body.endswith(b"is not supported; use name[]=FAMILY to choose metrics.\n")

    def test_head_has_the_headers_of_get_and_renders_nothing(self, serve: Serve) -> None:
        def render(_store: Store, _form: Format, _names: frozenset[str]) -> Iterator[bytes]:
            pytest.fail("a HEAD request must not count as an exposure")

        server = serve(make_context(render=render))
        reply = ask(server.addresses[0], method="HEAD")
        assert (reply.status, reply.headers["Content-Type"], reply.body) == (200, TEXT, b"")

    def test_our_own_families_are_brought_up_to_date_before_each_scrape(self, serve: Serve) -> None:
        refreshed: list[int] = []
        server = serve(make_context(refresh=lambda: refreshed.append(1)))
        ask(server.addresses[0])
        ask(server.addresses[0])
        ask(server.addresses[0], "/-/healthy")
        assert len(refreshed) == 2

    def test_may_have_another_path(self, serve: Serve) -> None:
        address = serve(telemetry_path="/deep/er").addresses[0]
        assert ask(address, "/deep/er").status == 200
        assert ask(address, "/metrics").status == 404
        assert b'href="deep/er"' in ask(address, "/").body

    def test_may_take_the_place_of_the_landing_page(self, serve: Serve) -> None:
        address = serve(telemetry_path="/").addresses[0]
        assert ask(address, "/").headers["Content-Type"] == TEXT

    @pytest.mark.parametrize("path", ["metrics", "/config", "/-/healthy", "/runbooks/metrics", "/{name}", "/a b", ""])
    def test_cannot_have_a_path_that_would_not_work(self, serve: Serve, path: str) -> None:
        with pytest.raises(ValueError, match=r"web\.telemetry-path"):
            serve(telemetry_path=path)

    def test_a_client_that_goes_away_stops_the_rendering(self, serve: Serve) -> None:
        ended = threading.Event()

        def render(_store: Store, _form: Format, _names: frozenset[str]) -> Iterator[bytes]:
            try:
                while True:
                    yield b"x" * 10_000
            finally:
                ended.set()

        server = serve(make_context(render=render))
        with connect(server.addresses[0]) as client:
            client.sendall(request())
            client.recv(1000)
        assert ended.wait(5)

    def test_others_are_answered_while_a_scrape_has_nothing_to_send_yet(self, serve: Serve) -> None:
        answered = threading.Event()

        def render(_store: Store, _form: Format, _names: frozenset[str]) -> Iterator[bytes]:
            while not answered.is_set():
                yield PAUSE
            yield b"the end"
            yield END

        address = serve(make_context(render=render)).addresses[0]
        with connect(address) as client:
            client.sendall(request())
            assert ask(address, "/-/healthy").status == 200
            answered.set()
            # Chunked: the length of a chunk, the chunk, and at last an empty one.
            assert read_until(client, b"\r\n0\r\n\r\n").endswith(b"\r\n7\r\nthe end\r\n0\r\n\r\n")

    def test_only_so_many_are_rendered_at_once(self, serve: Serve) -> None:
        address = serve(make_context(render=render_forever), max_scrapes=2).addresses[0]
        with connect(address, receive_buffer=4096) as first, connect(address, receive_buffer=4096) as second:
            for client in (first, second):
                client.sendall(request())
                client.recv(100)
            assert ask(address).status == 503
            assert ask(address, "/-/healthy").status == 200
        wait_until(lambda: ask(address, method="HEAD").status == 200)


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True),
        ("deflate, gzip;q=0.5", True),
        ("GZIP ; Q=1.0", True),
        ("identity;q=0.5, gzip;q=0.5", True),
        ("", False),
        ("*", False),
        ("br, deflate", False),
        ("gzip;q=0", False),
        ("gzip;q=nonsense", False),
        ("gzip;q=0.2, identity;q=0.9", False),
    ],
)
def test_gzip_is_used_only_if_asked_for(address: str, accepted: str, packed: bool) -> None:
    plain = ask(address).body
    reply = ask(address, headers={"Accept-Encoding": accepted} if accepted else {})
    assert reply.headers["Content-Encoding"] == ("gzip" if packed else None)
    assert (gzip.decompress(reply.body) if packed else reply.body) == plain
    assert reply.headers["Vary"] == "Accept, Accept-Encoding"


class TestLifecycle:
    """Health, readiness and reloading."""

    def test_healthy_whatever_airflow_does(self, serve: Serve) -> None:
        down = SourceStatus("airflow", up=False, attempted=False)
        server = serve(make_context(ready=lambda: False, sources=lambda: [down]))
        assert ask(server.addresses[0], "/-/healthy").status == 200

    def test_ready_after_the_first_attempt_of_each_source(self, serve: Serve) -> None:
        attempted = False
        context = make_context(
            ready=lambda: attempted, sources=lambda: [SourceStatus("airflow", up=False, attempted=attempted)]
        )
        address = serve(context).addresses[0]
        reply = ask(address, "/-/ready")
        assert (reply.status, reply.body) == (503, b"Not ready: waiting for the first attempt of airflow.\n")
        attempted = True
        assert ask(address, "/-/ready").status == 200

    def test_reloading_is_off_unless_enabled(self, address: str) -> None:
        reply = ask(address, "/-/reload", method="POST")
        assert reply.status == 403
        assert b"--web.enable-lifecycle" in reply.body

    @pytest.mark.parametrize("method", ["POST", "PUT"])
    def test_reloads_where_enabled(self, serve: Serve, method: str) -> None:
        reloaded: list[int] = []
        server = serve(make_context(reload=lambda: reloaded.append(1)))
        assert ask(server.addresses[0], "/-/reload", method=method).status == 200
        assert reloaded == [1]

    def test_reloading_needs_more_than_a_link(self, serve: Serve) -> None:
        server = serve(make_context(reload=lambda: pytest.fail("a GET must change nothing")))
        assert ask(server.addresses[0], "/-/reload").status == 405

    def test_says_why_a_configuration_was_not_reloaded(self, serve: Serve) -> None:
        def reload() -> None:
            raise ValueError("exporter.yml:3: unknown key")

        reply = ask(serve(make_context(reload=reload)).addresses[0], "/-/reload", method="POST")
        assert reply.status == 500
        assert b"exporter.yml:3: unknown key" in reply.body


class TestPages:
    """What people open."""

    @pytest.mark.parametrize("path", PAGES)
    def test_are_html_without_scripts(self, address: str, path: str) -> None:
        reply = ask(address, path, headers={"Accept": "text/html,application/json;q=0.9"})
        assert (reply.status, reply.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert b"<script" not in reply.body

    @pytest.mark.parametrize(("query", "accepted"), [("?format=json", "text/html"), ("", "application/json")])
    def test_sources_come_as_json_too(self, address: str, query: str, accepted: str) -> None:
        found = json.loads(ask(address, f"/sources{query}", headers={"Accept": accepted}).body)
        (source,) = found["sources"]
        assert (source["name"], source["up"], source["readers"][0]["name"]) == ("airflow", True, "pools")
        assert source["cycles"] == [
            {"reader": "pools", "started": 1000.0, "duration": 0.2, "outcome": "ok", "lines": ["all well"]}
        ]

    def test_the_configuration_comes_as_json_too(self, address: str) -> None:
        assert json.loads(ask(address, "/config?format=json").body) == {
            "configuration": [
                {"name": "airflow.password_file", "value": "***", "origin": "flag --airflow.password-file"}
            ]
        }


class TestElsewhere:
    """Paths and methods that are not there."""

    @pytest.mark.parametrize("path", ["/nope", "/metrics/", "/sources/airflow", "//", "/-/", "/metrics%00"])
    def test_not_found(self, address: str, path: str) -> None:
        assert ask(address, path).status == 404

    @pytest.mark.parametrize("path", PATHS)
    @pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS"])
    def test_pages_are_only_read(self, address: str, path: str, method: str) -> None:
        reply = ask(address, path, method=method)
        assert (reply.status, reply.headers["Allow"]) == (405, "GET, HEAD")

    def test_reloading_names_its_methods(self, address: str) -> None:
        assert ask(address, "/-/reload", method="DELETE").headers["Allow"] == "POST, PUT"

    @pytest.mark.parametrize("path", PATHS)
    def test_head_is_get_without_a_body(self, address: str, path: str) -> None:
        got, headed = ask(address, path), ask(address, path, method="HEAD")
        assert (headed.status, headed.body) == (got.status, b"")
        assert headed.headers["Content-Type"] == got.headers["Content-Type"]

    @pytest.mark.parametrize("garbage", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET\r\n\r\n", b"\0" * 99])
    def test_what_is_not_http_is_answered_and_ended(self, address: str, garbage: bytes) -> None:
        with connect(address) as client:
            client.sendall(garbage + b"\r\n\r\n")
            assert read_all(client).startswith(b"HTTP/1.1 400 ")

    def test_endless_headers_are_not_read(self, address: str) -> None:
        with connect(address) as client:
            client.sendall(request()[:-2] + b"X-Long: " + b"x" * 100_000)
            read_all(client)
        assert ask(address).status == 200


@pytest.mark.parametrize("path", [*PATHS, "/nope"])
def test_every_answer_has_security_headers(address: str, path: str) -> None:
    headers = ask(address, path).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "deny"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["Server"] is None
    assert headers["Date"].endswith("GMT")


def test_a_fault_of_a_page_is_an_error_and_the_server_lives(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> list[SourceStatus]:
        raise RuntimeError("a fault of ours")

    server: Server = serve(make_context(sources=fail))
    assert ask(server.addresses[0], "/sources").status == 500
    assert ask(server.addresses[0]).status == 200
    assert "a fault of ours" in caplog.text
