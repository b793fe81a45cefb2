"""The health check of Airflow's containers, against a real HTTP server."""

from __future__ import annotations

import json
import sys

import pytest
from pytest_httpserver import HTTPServer

from compose import airflow_health

HEALTH = {"metadatabase": {"status": "healthy"}, "scheduler": {"status": "unhealthy"}, "triggerer": {"status": None}}


@pytest.fixture
def server(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> HTTPServer:
    httpserver.expect_request(airflow_health.PATH).respond_with_json(HEALTH)
    monkeypatch.setenv("API_SERVER", httpserver.url_for(""))
    return httpserver


def ask(component: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["airflow_health.py", component])
    return airflow_health.main()


def test_a_healthy_component_passes(server: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask("metadatabase", monkeypatch) == 0


@pytest.mark.parametrize(
    ("component", "told"),
    [
        ("scheduler", "scheduler is unhealthy"),
        ("triggerer", "triggerer is unknown"),
        ("dag_processor", "dag_processor is unknown"),
    ],
)
def test_any_other_fails_and_says_why(
    component: str, told: str, server: HTTPServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ask(component, monkeypatch) == 1
    assert told in capsys.readouterr().out


def test_a_server_that_does_not_answer_fails() -> None:
    assert "does not report its health" in str(airflow_health.find_problem("scheduler", "http://127.0.0.1:9"))


def test_an_answer_that_is_no_health_fails(httpserver: HTTPServer) -> None:
    httpserver.expect_request(airflow_health.PATH).respond_with_data("<html>")
    assert "does not report its health" in str(airflow_health.find_problem("scheduler", httpserver.url_for("")))


def test_it_asks_where_the_compose_file_has_the_api_server(services: dict[str, dict[str, object]]) -> None:
    assert airflow_health.API_SERVER == "http://airflow-api-server:8080"
    checks = {
        name: json.dumps(service["healthcheck"]) for name, service in services.items() if "healthcheck" in service
    }
    components = {"api-server": "metadatabase", "scheduler": "scheduler", "dag-processor": "dag_processor"}
    for name, component in {**components, "triggerer": "triggerer"}.items():
        assert f'"{component}"' in checks[f"airflow-{name}"]
