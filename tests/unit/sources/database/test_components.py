from __future__ import annotations

import pytest

from exporter.metrics.catalogue.database_names import COMPONENTS
from exporter.sources.database.components import BY_WORD, name_component, name_components, needs_process
from tests.unit.sources.database.rows import make_session


@pytest.mark.parametrize(
    ("application", "component"),
    [
        ("airflow-scheduler", "scheduler"),
        ("airflow_scheduler-2", "scheduler"),
        ("Airflow DAG-Processor", "dag_processor"),
        ("airflow-api-server", "api_server"),
        ("webserver", "web_server"),
        ("airflow-worker@host-7", "celery_worker"),
        ("airflow-triggerer", "triggerer"),
        ("airflow-exporter", "exporter"),
        ("psql", "other_application"),
        ("reschedulers", "other_application"),
        ("", "unknown"),
        ("airflow", "unknown"),
        ("psycopg2", "unknown"),
    ],
)
def test_the_name_of_the_application(application: str, component: str) -> None:
    assert name_component(make_session(application=application), {}) == component


def test_without_a_name_the_process_and_then_the_user_says_it() -> None:
    session = make_session(user="airflow_triggerer", address="10.0.0.5", port=4711)
    assert name_component(session, {}) == "triggerer"
    assert name_component(session, {("10.0.0.5", 4711): "scheduler"}) == "scheduler"
    assert name_component(session, {("10.0.0.5", 4712): "scheduler"}) == "triggerer"


def test_a_process_says_more_than_a_foreign_name() -> None:
    session = make_session(application="my-dag-code", address="10.0.0.5", port=4711)
    assert name_component(session, {("10.0.0.5", 4711): "task"}) == "task"
    assert name_component(session, {}) == "other_application"


def test_only_clients_without_a_known_name_are_looked_for_among_the_processes() -> None:
    session = make_session(application="psycopg2", address="10.0.0.5", port=4711)
    assert needs_process(session)
    assert not needs_process(session._replace(application="airflow-scheduler"))
    assert not needs_process(session._replace(port=0))
    assert not needs_process(session._replace(is_exporter=True))
    assert not needs_process(session._replace(is_own_database=False))


def test_what_is_not_a_client_of_airflow_s_database() -> None:
    assert name_component(make_session(is_client=False), {}) == "database_server"
    assert name_component(make_session(application="airflow-scheduler", is_own_database=False), {}) == "other_database"
    assert name_component(make_session(is_exporter=True), {}) == "exporter"


def test_every_component_is_declared() -> None:
    assert {component for _, component in BY_WORD} <= set(COMPONENTS)


def test_a_connection_without_a_name_is_of_the_only_component_at_its_address() -> None:
    sessions = [
        make_session(id=1, address="10.0.0.1", application="airflow-api-server"),
        make_session(id=2, address="10.0.0.1"),
        make_session(id=3, address="10.0.0.2", application="airflow-scheduler"),
        make_session(id=4, address="10.0.0.2"),
        make_session(id=5, address="10.0.0.3", application="airflow-triggerer"),
        make_session(id=6, address="10.0.0.3", application="airflow-api-server"),
        make_session(id=7, address="10.0.0.3"),
        make_session(id=8, address="127.0.0.1", application="airflow-triggerer"),
        make_session(id=9, address="127.0.0.1"),
        make_session(id=10, address="10.0.0.1", is_client=False),
    ]
    named = name_components(sessions, {})
    assert named[2] == "api_server"
    assert named[4] == "unknown", "the scheduler opens no asynchronous connections"
    assert named[7] == named[9] == "unknown", "it may be of another one"
    assert named[10] == "database_server"
