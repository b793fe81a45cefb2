"""The client of Prometheus: credentials, TLS, long windows, and every way to fail with what to do about it."""

from __future__ import annotations

import json
import ssl
import sys
from base64 import b64encode
from pathlib import Path
from urllib.parse import parse_qs

import pytest
import trustme
from click.testing import CliRunner
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from exporter.cli import main
from exporter.commands.advise.prometheus import (
    MAX_POINTS,
    MAX_TEXT,
    PrometheusClient,
    PrometheusError,
    PrometheusSettings,
    split_range,
)
from exporter.redaction import hide
from exporter.tuning.queries import QUERIES

EMPTY = {"status": "success", "data": {"resultType": "matrix", "result": []}}


def get_form(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(request.get_data(as_text=True)).items()}


def ask(server: HTTPServer, **settings: object) -> list[object]:
    client = PrometheusClient(PrometheusSettings(server.url_for(""), **settings))  # type: ignore[arg-type]
    return list(client.query("up", 10))


def test_values_are_read_and_what_is_no_number_is_left_out(httpserver: HTTPServer) -> None:
    row = {"metric": {"a": "b"}, "values": [[300, "1.5"], [600, "NaN"], [900, "+Inf"]]}
    httpserver.expect_request("/api/v1/query_range", method="POST").respond_with_json(
        {"status": "success", "data": {"resultType": "matrix", "result": [row]}, "warnings": ["one"]}
    )
    (found,) = PrometheusClient(PrometheusSettings(httpserver.url_for(""))).query_range("up", 1, 900, 300)
    assert found.labels == {"a": "b"}
    assert found.points == {300: 1.5, 900: float("inf")}
    form = get_form(httpserver.log[0][0])
    assert (form["query"], form["start"], form["end"], form["step"]) == ("up", "300.000", "900.000", "300")


def test_a_value_at_one_time(httpserver: HTTPServer) -> None:
    row = {"metric": {}, "value": [10, "7"]}
    httpserver.expect_request("/api/v1/query").respond_with_json({"status": "success", "data": {"result": [row]}})
    (found,) = PrometheusClient(PrometheusSettings(httpserver.url_for(""))).query("up", 10)
    assert found.last == 7


def test_a_long_window_is_asked_in_parts(httpserver: HTTPServer) -> None:
    def reply(request: Request) -> Response:
        form = get_form(request)
        points = [[float(form["start"]), "1"], [float(form["end"]), "2"]]
        body = {"status": "success", "data": {"result": [{"metric": {"a": "b"}, "values": points}]}}
        return Response(json.dumps(body))

    httpserver.expect_request("/api/v1/query_range").respond_with_handler(reply)
    client = PrometheusClient(PrometheusSettings(httpserver.url_for("")))
    (found,) = client.query_range("up", 0, 14 * 86_400, 60)
    assert len(httpserver.log) == 3
    assert len(found.points) == 6


@pytest.mark.parametrize("days", [1, 14, 60])
def test_parts_cover_the_window_once(days: int) -> None:
    moments = [
        moment for first, last in split_range(7, days * 86_400, 60) for moment in range(int(first), int(last) + 1, 60)
    ]
    assert moments == list(range(60, days * 86_400 + 1, 60))
    assert all((last - first) / 60 < MAX_POINTS for first, last in split_range(7, days * 86_400, 60))


def test_a_token_is_read_anew_for_each_request(httpserver: HTTPServer, tmp_path: Path) -> None:
    httpserver.expect_request("/api/v1/query").respond_with_json(EMPTY)
    file = tmp_path / "token"
    client = PrometheusClient(
        PrometheusSettings(httpserver.url_for(""), token_file=file, headers={"X-Scope-OrgID": "a"})
    )
    for token in ("first-token-0123456", "second-token-012345678"):
        file.write_text(token + "\n", encoding="utf-8")
        client.query("up", 10)
    sent = [request.headers for request, _ in httpserver.log]
    assert [one["Authorization"] for one in sent] == ["Bearer first-token-0123456", "Bearer second-token-012345678"]
    assert sent[0]["X-Scope-OrgID"] == "a"


def test_a_password_is_sent_as_utf8(httpserver: HTTPServer, tmp_path: Path) -> None:
    httpserver.expect_request("/api/v1/query").respond_with_json(EMPTY)
    file = tmp_path / "password"
    file.write_text("geheim-ß\n", encoding="utf-8")
    ask(httpserver, username="ops", password_file=file)
    expected = b64encode("ops:geheim-ß".encode()).decode()
    assert httpserver.log[0][0].headers["Authorization"] == f"Basic {expected}"


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (401, "no", "refuses the credentials"),
        (403, "no", "refuses the credentials"),
        (404, "<html>", "did not answer as Prometheus does (HTTP 404)"),
        (200, "{}", "did not answer as Prometheus does"),
        (422, '{"status":"error","errorType":"execution","error":"too many samples"}', "too many samples"),
        (302, "", "redirects to another address"),
    ],
)
def test_a_failure_says_what_to_do(httpserver: HTTPServer, status: int, body: str, message: str) -> None:
    httpserver.expect_request("/api/v1/query").respond_with_data(body, status, headers={"Location": "/login"})
    with pytest.raises(PrometheusError) as raised:
        ask(httpserver)
    assert message in str(raised.value)


def test_an_error_that_repeats_the_token_does_not_show_it(httpserver: HTTPServer, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("very-secret-token-42", encoding="utf-8")
    body = {"status": "error", "error": "bad very-secret-token-42"}
    httpserver.expect_request("/api/v1/query").respond_with_json(body, 400)
    with pytest.raises(PrometheusError) as raised:
        ask(httpserver, token_file=file)
    assert "very-secret" not in str(raised.value)


def test_nobody_listens() -> None:
    with pytest.raises(PrometheusError, match="cannot be reached"):
        PrometheusClient(PrometheusSettings("http://127.0.0.1:9")).query("up", 10)


def test_tls_needs_an_authority(tmp_path: Path) -> None:
    authority = trustme.CA()
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    with HTTPServer(host="127.0.0.1", port=0, ssl_context=context) as server:
        server.expect_request("/api/v1/query").respond_with_json(EMPTY)
        assert ask(server, ca_file=ca_file) == []
        with pytest.raises(PrometheusError, match=r"set --prometheus\.ca-file"):
            ask(server)


# ---- the command ---------------------------------------------------------------------------------


def invoke(*arguments: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["advise", *arguments])
    return done.exit_code, done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--prometheus.url=ftp://x"], "is not a URL"),
        (["--prometheus.url=http://a:b@x"], "has a user or a password"),
        (["--prometheus.url=http://127.0.0.1:9", "--window=5m"], "--window must be at least 1h"),
        (["--prometheus.url=http://127.0.0.1:9", "--window=x"], "is not a duration"),
        (["--prometheus.url=http://127.0.0.1:9", "--end=x"], "--end=x is not a time"),
        (["--prometheus.url=http://127.0.0.1:9", "--prometheus.username=x"], "belong together"),
        (["--prometheus.url=http://127.0.0.1:9", "--prometheus.header=x"], "write NAME=VALUE"),
        (["--prometheus.url=http://127.0.0.1:9", "--prometheus.header=Authorization=x"], "could read it"),
        (["--prometheus.url=http://127.0.0.1:9", "--prometheus.bearer-token-file=/none"], "cannot be read"),
        (["--prometheus.url=http://127.0.0.1:9"], "cannot be reached"),
        (["--prometheus.url=http://127.0.0.1:9", "--end=nan"], "--end=nan is not a time"),
        (["--prometheus.url=http://127.0.0.1:9", "--label=east"], "cannot be reached"),
        (["--prometheus.url=http://127.0.0.1:9", "--label=a-b=c"], "--label=a-b: write NAME=VALUE"),
        (
            ["--prometheus.url=http://127.0.0.1:9", "--what-if=parallelism=4", "--format=html"],
            "--what-if has --format=text and --format=json, not html",
        ),
    ],
)
def test_what_is_wrong_is_said(arguments: list[str], message: str) -> None:
    code, output = invoke(*arguments)
    assert code == 2
    assert message in output


@pytest.mark.parametrize(
    ("names", "arguments", "message"),
    [
        ([], [], "load prometheus/rules/tuning.yml"),
        (["a", "b"], [], "choose one with --airflow: a, b"),
        (["a"], ["--airflow=c"], "there are: a"),
    ],
)
def test_which_airflow_must_be_clear(
    httpserver: HTTPServer, names: list[str], arguments: list[str], message: str
) -> None:
    rows = [{"metric": {"airflow": name}, "value": [10, "1"]} for name in names]
    httpserver.expect_request("/api/v1/query").respond_with_json({"status": "success", "data": {"result": rows}})
    code, output = invoke(f"--prometheus.url={httpserver.url_for('')}", *arguments)
    assert code == 2
    assert message in output


CLUSTERS = [{"airflow": "a", "cluster": "east"}, {"airflow": "a", "cluster": "west"}, {"airflow": "b"}]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--airflow=a"], "choose one with --label, as in --label=cluster=east: cluster=east; cluster=west"),
        (["--airflow=a", "--label=cluster=north"], "no series of Airflow a with cluster=north"),
        (["--airflow=b", "--label=cluster=east"], "no series of Airflow b with cluster=east"),
    ],
)
def test_airflows_of_one_name_are_not_mixed(httpserver: HTTPServer, arguments: list[str], message: str) -> None:
    rows = [{"metric": labels, "value": [10, "1"]} for labels in CLUSTERS]
    httpserver.expect_request("/api/v1/query").respond_with_json({"status": "success", "data": {"result": rows}})
    code, output = invoke(f"--prometheus.url={httpserver.url_for('')}", *arguments)
    assert code == 2
    assert message in output


def test_a_further_label_is_matched_in_each_question(httpserver: HTTPServer) -> None:
    rows = [{"metric": labels, "value": [10, "1"]} for labels in CLUSTERS]
    httpserver.expect_request("/api/v1/query").respond_with_json({"status": "success", "data": {"result": rows}})
    httpserver.expect_request("/api/v1/query_range").respond_with_json(EMPTY)
    code, output = invoke(f"--prometheus.url={httpserver.url_for('')}", "--airflow=a", "--label=cluster=west")
    assert code == 0, output
    assert "Airflow a cluster=west, 14d from" in output
    queries = {get_form(request)["query"] for request, _ in httpserver.log[1:]}
    assert len(queries) == len(QUERIES)
    assert all('airflow="a", cluster="west"' in query for query in queries)


def test_values_at_one_time_are_those_of_when_it_was_seen_last(httpserver: HTTPServer) -> None:
    """The exporter was down at the end of the window: what a machine has, and the executor, is still known."""
    rows = [{"metric": {"airflow": "a"}, "value": [10, "1"], "values": [[6000, "1"], [7200, "1"]]}]
    httpserver.expect_request("/api/v1/query").respond_with_json({"status": "success", "data": {"result": rows}})
    httpserver.expect_request("/api/v1/query_range").respond_with_json({"status": "success", "data": {"result": rows}})
    code, output = invoke(f"--prometheus.url={httpserver.url_for('')}", "--window=4h", "--end=14400")
    assert code == 0, output
    forms = [get_form(request) for request, _ in httpserver.log if request.path == "/api/v1/query"]
    assert {form["time"] for form in forms[1:]} == {"6900.000"}


def test_partial_answers_are_said(httpserver: HTTPServer) -> None:
    body = {"status": "success", "data": {"result": [{"metric": {"airflow": "a"}, "value": [10, "1"]}]}}
    httpserver.expect_request("/api/v1/query").respond_with_json({**body, "warnings": ["store one is down"]})
    httpserver.expect_request("/api/v1/query_range").respond_with_json({**EMPTY, "isPartial": True})
    code, output = invoke(f"--prometheus.url={httpserver.url_for('')}")
    assert code == 0
    assert "Not read: store one is down" in output
    assert "Not read: the answers are partial: not all nodes answered" in output


def test_a_secret_at_the_end_of_a_long_warning_is_masked(httpserver: HTTPServer) -> None:
    hide("0123456789abcdef")
    warning = "x" * (MAX_TEXT - 5) + "0123456789abcdef"
    httpserver.expect_request("/api/v1/query").respond_with_json({**EMPTY, "warnings": [warning]})
    client = PrometheusClient(PrometheusSettings(httpserver.url_for("")))
    client.query("up", 0.0)
    assert not any("01234" in text for text in client.warnings)


def test_without_what_draws_nothing_is_read(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, output = invoke(f"--prometheus.url={httpserver.url_for('')}", "--format=html")
    assert code == 2
    assert "--format=html needs the extra [advise]" in output
    assert not httpserver.log


def test_a_question_that_fails_does_not_stop_the_others(httpserver: HTTPServer, tmp_path: Path) -> None:
    def reply(request: Request) -> Response:
        query = get_form(request)["query"]
        if "airflow_celery" in query:
            return Response(json.dumps({"status": "error", "error": "too many samples"}), 422)
        rows = [{"metric": {"airflow": "a"}, "value": [10, "1"]}] if query.startswith("group") else []
        return Response(json.dumps({"status": "success", "data": {"result": rows}}))

    httpserver.expect_request("/api/v1/query").respond_with_handler(reply)
    httpserver.expect_request("/api/v1/query_range").respond_with_handler(reply)
    file = tmp_path / "report.json"
    code, output = invoke(f"--prometheus.url={httpserver.url_for('')}", "--format=json", f"--output={file}")
    assert code == 0
    assert "too many samples" in output
    report = json.loads(file.read_text(encoding="utf-8"))
    assert report["airflow"] == "a"
    assert any("too many samples" in problem for problem in report["problems"])
