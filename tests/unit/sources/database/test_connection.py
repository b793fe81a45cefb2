from __future__ import annotations

from pathlib import Path

import psycopg
import pymysql
import pytest
from sqlalchemy.exc import OperationalError

from exporter.config.settings import DatabaseSettings
from exporter.metrics.reading import ReaderError
from exporter.redaction import redact, redact_foreign
from exporter.sources.database.connection import build_url, describe_url, read_url
from exporter.sources.database.errors import classify, is_full
from exporter.sources.database.source import DatabaseSource
from exporter.sources.directory import Directory

NAME = "postgresql://db/airflow"


@pytest.mark.parametrize(
    ("raw", "driver", "shown"),
    [
        ("postgresql+psycopg2://a:b@db:5432/airflow", "postgresql+psycopg", "postgresql://db:5432/airflow"),
        ("postgresql+asyncpg://a:b@db/airflow?sslmode=require", "postgresql+psycopg", "postgresql://db/airflow"),
        ("postgres://a:b@db/airflow", "postgresql+psycopg", "postgresql://db/airflow"),
        ("mysql+mysqldb://a:b@db/airflow?charset=utf8mb4", "mysql+pymysql", "mysql://db/airflow"),
        ("mysql://a:b@db/airflow", "mysql+pymysql", "mysql://db/airflow"),
    ],
)
def test_airflow_s_url_with_our_driver(raw: str, driver: str, shown: str) -> None:
    url = build_url(raw)
    assert (url.drivername, describe_url(url)) == (driver, shown)


@pytest.mark.parametrize("raw", ["sqlite:////airflow.db", "mssql+pyodbc://a:open-barley-1@db/x"])
def test_other_databases_are_refused(raw: str) -> None:
    with pytest.raises(ReaderError, match="is not supported"):
        build_url(raw)


def test_a_malformed_url_is_not_repeated() -> None:
    with pytest.raises(ReaderError) as caught:
        build_url("postgresql://user:open-barley-2@db:port/x")
    assert "barley" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "open-barley-3", "postgresql://a:b@c/d e"])
def test_a_text_without_a_url(text: str) -> None:
    with pytest.raises(ReaderError) as caught:
        read_url(text, "the file")
    assert caught.value.reason == "unauthorized"
    assert "barley" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=postgresql://a:b@c/d",
        "sql_alchemy_conn = postgresql://a:b@c/d\n",
        "'postgresql://a:b@c/d'",
    ],
)
def test_what_people_write_around_the_url_is_removed(text: str) -> None:
    assert read_url(text, "the file") == "postgresql://a:b@c/d"


def test_a_password_with_an_at_sign_is_refused_and_not_taken_for_the_host(tmp_path: Path) -> None:
    path = tmp_path / "url"
    path.write_text("postgresql://user:open@barley-7@127.0.0.1:1/airflow")
    source = DatabaseSource(DatabaseSettings(url_file=path, timeout=1), Directory())
    with pytest.raises(ReaderError, match="as %XX") as caught:
        source.connect()
    assert "barley" not in f"{caught.value} {source}"


def test_passwords_are_masked_from_then_on(tmp_path: Path) -> None:
    path = tmp_path / "url"
    path.write_text(" postgresql://user:open%2Fbarley%404@127.0.0.1:1/airflow?sslpassword=open-wheat-5\n")
    DatabaseSource(DatabaseSettings(url_file=path, timeout=1), Directory()).prepare()
    assert "barley" not in redact("open/barley@4 open%2Fbarley%404")
    assert "wheat" not in redact("the key open-wheat-5")
    assert redact_foreign("postgresql at 127.0.0.1:1") == "postgresql at 127.0.0.1:1"


class Refused(psycopg.OperationalError):
    sqlstate = "57014"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (psycopg.OperationalError('FATAL: password authentication failed for user "x"'), "unauthorized"),
        (psycopg.OperationalError("FATAL: sorry, too many clients already"), "unreachable"),
        (psycopg.OperationalError("connection refused"), "unreachable"),
        (psycopg.OperationalError('database "x" does not exist'), "not_found"),
        (psycopg.OperationalError("SSL error: certificate verify failed"), "tls"),
        (psycopg.errors.InsufficientPrivilege("permission denied"), "forbidden"),
        (Refused("canceling statement due to statement timeout"), "timeout"),
        (pymysql.err.OperationalError(1045, "Access denied"), "unauthorized"),
        (pymysql.err.OperationalError(1040, "Too many connections"), "unreachable"),
        (pymysql.err.OperationalError(1969, "max_statement_time exceeded"), "timeout"),
        (pymysql.err.OperationalError(2013, "Lost connection (timed out)"), "timeout"),
    ],
)
def test_reasons_of_failures(error: Exception, reason: str) -> None:
    found, message = classify(OperationalError("SELECT secret_column", {}, error), NAME)
    assert found == reason
    assert NAME in message
    assert "secret_column" not in message


def test_exhausted_connections_are_recognized() -> None:
    full = OperationalError("", {}, psycopg.OperationalError("FATAL: remaining connection slots are reserved"))
    assert is_full(classify(full, NAME)[1])
    assert not is_full(classify(OperationalError("", {}, psycopg.OperationalError("refused")), NAME)[1])


@pytest.mark.parametrize(("whose", "full"), [('role "exporter"', False), ('database "airflow"', True)])
def test_the_limit_of_the_exporters_own_role_is_not_that_of_the_database(whose: str, *, full: bool) -> None:
    error = OperationalError("", {}, psycopg.OperationalError(f"FATAL: too many connections for {whose}"))
    reason, message = classify(error, NAME)
    assert reason == "unreachable"
    assert whose in message
    assert is_full(message) is full


def test_a_database_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "url"
    path.write_text("postgresql://user:open-barley-6@127.0.0.1:1/airflow")
    source = DatabaseSource(DatabaseSettings(url_file=path, timeout=1), Directory())
    with pytest.raises(ReaderError) as caught:
        source.connect()
    assert caught.value.reason == "unreachable"
    assert "postgresql://127.0.0.1:1/airflow" in str(caught.value)
    assert "barley" not in f"{caught.value} {source}"
