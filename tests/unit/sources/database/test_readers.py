from __future__ import annotations

import pytest

from exporter.metrics.catalogue import database
from exporter.metrics.catalogue.database import FAMILIES
from exporter.metrics.reading import Reader
from exporter.sources.database.cleaning import INDICES, RECENCY_COLUMNS
from exporter.sources.database.models import (
    LockWait,
    ServerIdentity,
    SessionsReading,
    StatementTotals,
    TablesReading,
)
from exporter.sources.database.readers.server import CleanableReader, ServerReader, TablesReader, has_index
from exporter.sources.database.readers.sessions import SessionsReader, find_root
from exporter.sources.database.readers.state import DatabaseState
from exporter.sources.database.readers.statements import StatementsReader
from exporter.sources.directory import Directory
from tests.unit.sources.database.rows import FakeDatabase, make_session

NOW = 1_000.0


@pytest.fixture
def directory() -> Directory:
    return Directory()


@pytest.fixture
def state(directory: Directory) -> DatabaseState:
    return DatabaseState(directory, clock=lambda: NOW)


def test_every_family_has_a_reader(state: DatabaseState) -> None:
    api = FakeDatabase()
    readers: list[Reader] = [
        SessionsReader(api, state, 1),
        ServerReader(api, 1),
        StatementsReader(api, state, 1),
        TablesReader(api, 1),
        CleanableReader(api, 1, 1),
    ]
    fed = [(reader.name, family.name) for reader in readers for family in reader.families]
    assert sorted(fed) == sorted((family.reader, family.name) for family in FAMILIES)
    for reader in readers:
        assert set(reader.read().tables) == set(reader.families)


def test_values_of_labels_are_those_of_the_catalogue() -> None:
    assert set(RECENCY_COLUMNS) == set(database.CLEANABLE_ROWS.closed["table"])
    assert {table for table, _ in INDICES} <= set(database.TABLE_BYTES.closed["table"])


class TestSessions:
    def test_connections_and_transactions(self, state: DatabaseState, directory: Directory) -> None:
        api = FakeDatabase(
            SessionsReading(
                [
                    make_session(id=1, application="airflow-scheduler", state="active", transaction_at=90.0),
                    make_session(
                        id=2,
                        application="airflow-scheduler",
                        state="idle_in_transaction",
                        transaction_at=50.0,
                        idle_at=60.0,
                    ),
                    make_session(id=3, is_client=False, transaction_at=10.0),
                    make_session(id=4, is_exporter=True, state="active", transaction_at=1.0),
                    make_session(id=5, user="x", address="10.1.1.1", port=1),
                ],
                [],
                97.0,
            )
        )
        reading = SessionsReader(api, state, 30).read()
        connections = reading.tables[database.CONNECTIONS]
        assert {labels: value for labels, value in connections.items() if value} == {
            ("scheduler", "active"): 1,
            ("scheduler", "idle_in_transaction"): 1,
            ("exporter", "active"): 1,
            ("unknown", "idle"): 1,
        }
        assert connections["scheduler", "idle"] == 0
        assert reading.tables[database.OLDEST_TRANSACTION] == {("scheduler",): 50.0, ("database_server",): 10.0}
        assert reading.tables[database.OLDEST_IDLE_TRANSACTION] == {("scheduler",): 60.0}
        assert reading.notes[0] == "4 of 97 connections in use, 0 sessions wait for locks"
        assert "x@10.1.1.1 (1)" in reading.notes[1]
        facts = directory.get_database()
        assert facts is not None
        assert (facts.now, facts.connections, facts.limit, facts.oldest_idle) == (NOW, 4, 97.0, ("scheduler", 60.0))

    def test_who_blocks_whom_is_the_end_of_the_chain(self, state: DatabaseState) -> None:
        sessions = [
            make_session(id=1, application="psql", state="idle_in_transaction"),
            make_session(id=2, application="airflow-scheduler"),
            make_session(id=3, application="airflow-api-server"),
            make_session(id=4, application="airflow-worker"),
        ]
        waits = [
            LockWait(2, (1,), 70.0, "dag_run"),
            LockWait(3, (2, 1), 80.0, "dag_run"),
            LockWait(4, (), None, "secret_table"),
        ]
        tables = SessionsReader(FakeDatabase(SessionsReading(sessions, waits, 9.0)), state, 30).read().tables
        assert tables[database.BLOCKED_SESSIONS] == {
            ("scheduler", "other_application", "dag_run"): 1,
            ("api_server", "other_application", "dag_run"): 1,
            ("celery_worker", "unknown", "other"): 1,
        }
        assert tables[database.OLDEST_BLOCKED] == {
            ("scheduler", "other_application", "dag_run"): 70.0,
            ("api_server", "other_application", "dag_run"): 80.0,
        }

    def test_a_circle_of_waiting_sessions_ends(self) -> None:
        waits = {1: LockWait(1, (2,), None, ""), 2: LockWait(2, (1,), None, "")}
        assert find_root(1, waits) in (1, 2)


class TestStatements:
    def test_growth_is_added_up_by_purpose_and_never_falls(self, state: DatabaseState) -> None:
        api = FakeDatabase(
            statements={"1": StatementTotals(10, 5.0, 100), "2": StatementTotals(1, 1.0, 1)},
            texts={"1": "SELECT id FROM dag_run", "2": "INSERT INTO log VALUES ($1)", "3": "SELECT x FROM dag_run"},
        )
        reader = StatementsReader(api, state, 60)
        calls = reader.read().tables[database.STATEMENT_CALLS]
        assert calls == {("dag_run_list",): 0, ("audit_log",): 0}, "after a restart it must not seem to have grown"
        api.statements = {"1": StatementTotals(12, 6.0, 120), "3": StatementTotals(4, 1.0, 4)}
        tables = reader.read().tables
        assert tables[database.STATEMENT_CALLS] == {("dag_run_list",): 6, ("audit_log",): 0}
        assert tables[database.STATEMENT_SECONDS]["dag_run_list",] == 2.0
        api.statements = {"1": StatementTotals(1, 0.5, 1)}
        assert reader.read().tables[database.STATEMENT_CALLS]["dag_run_list",] == 7, "after a reset all is new"
        assert api.asked == [{"1", "2"}, {"3"}, set()], "texts are asked for once"

    @pytest.mark.parametrize(
        ("first", "second"),
        [
            (ServerIdentity("10.0.0.1 5432", 100.0, 1_000.0), ServerIdentity("10.0.0.2 5432", 200.0, 1_060.0)),
            (ServerIdentity("10.0.0.9 5432", 100.0, 1_000.0), ServerIdentity("10.0.0.9 5432", 200.0, 1_060.0)),
            (ServerIdentity("10.0.0.1 5432", 100.0, 1_000.0), ServerIdentity("10.0.0.2 5432", 1_030.0, 1_060.0)),
            (ServerIdentity("hostname=a port=3306"), ServerIdentity("hostname=b port=3306")),
        ],
        ids=["failover", "one address", "restarted before it took over", "name"],
    )
    def test_what_another_server_counted_before_a_failover_is_no_growth(
        self, first: ServerIdentity, second: ServerIdentity, state: DatabaseState
    ) -> None:
        texts = {"1": "SELECT id FROM dag_run", "2": "INSERT INTO log VALUES ($1)", "3": "SELECT x FROM job"}
        api = FakeDatabase(texts=texts)
        reader = StatementsReader(api, state, 60)
        found = []
        for api.identity, (one, two) in zip(
            (first, first, second, second, first), ((10, 10), (12, 11), (900, 0), (905, 2), (50, 50)), strict=True
        ):
            api.statements = {"1": StatementTotals(one, one, one), "2": StatementTotals(two, two, two)}
            tables = reader.read().tables
            calls = tables[database.STATEMENT_CALLS]
            assert tables[database.STATEMENT_SECONDS] == tables[database.STATEMENT_ROWS] == calls
            found.append((calls["dag_run_list",], calls["audit_log",]))
        assert found == [(0, 0), (2, 1), (2, 1), (7, 3), (7, 3)]

    def test_a_restart_of_the_server_loses_and_doubles_nothing(self, state: DatabaseState) -> None:
        api = FakeDatabase(texts={"1": "SELECT id FROM dag_run"})
        reader = StatementsReader(api, state, 60)
        found = []
        for started_at, now, calls in (
            (100.0, 1_000.0, 10),
            (100.0, 1_060.0, 12),
            (1_070.0, 1_120.0, 15),  # PostgreSQL keeps the statistics
            (1_130.0, 1_180.0, 4),  # but not over a crash
        ):
            api.identity = ServerIdentity("10.0.0.1 5432", started_at, now)
            api.statements = {"1": StatementTotals(calls, 0, 0)}
            found.append(reader.read().tables[database.STATEMENT_CALLS]["dag_run_list",])
        assert found == [0, 2, 5, 9]

    def test_what_mysql_counted_since_a_restart_is_new_also_if_it_is_more_than_before(
        self, state: DatabaseState
    ) -> None:
        api = FakeDatabase(texts={"1": "SELECT id FROM dag_run"})
        clock = iter((1_000.0, 1_060.0, 1_120.0, 1_180.0, 1_300.0))
        reader = StatementsReader(api, state, 60, clock=lambda: next(clock))
        found = []
        for uptime, calls in (
            (0.0, 10),  # the server has just started
            (59.0, 12),
            (50.0, 20),  # restarted: MySQL forgets its statistics
            (110.0, 25),
            (100.0, 7),
        ):
            api.identity = ServerIdentity("hostname=a port=3306", uptime=uptime)
            api.statements = {"1": StatementTotals(calls, 0, 0)}
            found.append(reader.read().tables[database.STATEMENT_CALLS]["dag_run_list",])
        assert found == [0, 2, 22, 27, 34]

    def test_the_ranking_is_that_of_the_server_that_answers(self, state: DatabaseState) -> None:
        api = FakeDatabase(statements={str(one): StatementTotals(1, 100 + one, 1) for one in range(20)})
        reader = StatementsReader(api, state, 60)
        reader.read()
        api.identity = ServerIdentity("10.0.0.2 5432", 200.0, 1_060.0)
        api.statements = {str(one): StatementTotals(1, 20 - one, 1) for one in range(20)}
        assert {one for one, _ in reader.read().tables[database.TOP_SECONDS]} == {str(one) for one in range(10)}

    def test_the_mean_of_the_critical_section_is_that_since_the_last_reading(
        self, state: DatabaseState, directory: Directory
    ) -> None:
        texts = {"1": "SELECT id FROM slot_pool FOR UPDATE NOWAIT"}
        api = FakeDatabase(statements={"1": StatementTotals(100, 900.0, 0)}, texts=texts)
        reader, sessions = StatementsReader(api, state, 60), SessionsReader(api, state, 30)

        def read_mean() -> float | None:
            reader.read()
            sessions.read()
            facts = directory.get_database()
            return facts.critical_section_seconds if facts else None

        assert read_mean() is None, "the time before the start says nothing about now"
        api.statements = {"1": StatementTotals(104, 901.0, 0)}
        assert read_mean() == 0.25
        assert read_mean() is None, "it did not run"

    def test_the_ten_on_which_most_time_was_spent_lately(self, state: DatabaseState) -> None:
        texts = {str(one): f"SELECT\n {one} FROM dag_run" for one in range(20)} | {"19": "CREATE ROLE x PASSWORD 'y'"}
        statements = {str(one): StatementTotals(1, one, 1) for one in range(20)}
        api = FakeDatabase(statements=statements, texts=texts)
        reader = StatementsReader(api, state, 60, with_texts=True)
        tables = reader.read().tables
        assert {one for one, _ in tables[database.TOP_SECONDS]} == {str(one) for one in range(10, 20)}
        assert tables[database.TOP_SECONDS]["18", "dag_run_list"] == 18
        assert tables[database.TOP_CALLS]["19", "migration"] == 1
        assert ("18", "dag_run_list", "SELECT 18 FROM dag_run") in tables[database.TOP_INFO]
        assert len(tables[database.TOP_INFO]) == 9, "a statement whose values stay in its text has none"
        for minute in range(60):
            api.statements = {**statements, "0": StatementTotals(2 + minute, 1 + minute, 1)}
            tables = reader.read().tables
        assert tables[database.TOP_SECONDS]["0", "dag_run_list"] == 60
        assert not StatementsReader(api, state, 60).read().tables[database.TOP_INFO], "texts only if they are asked for"

    def test_without_statistics_there_are_no_series(self, state: DatabaseState) -> None:
        reading = StatementsReader(FakeDatabase(), state, 60).read()
        assert not any(reading.tables.values())
        assert "no statistics" in reading.notes[0]


class TestTables:
    def test_indices_of_the_tables_that_there_are(self) -> None:
        indices = {"task_instance": [("state",), ("dag_id", "run_id")], "log": []}
        values = {database.TABLE_BYTES: {"task_instance": 1.0, "log": 2.0}}
        reading = TablesReader(FakeDatabase(tables=TablesReading(values, indices)), 300).read()
        present = reading.tables[database.INDEX_PRESENT]
        assert present["task_instance", "state"] == present["task_instance", "dag_id"] == 1
        assert present["log", "dttm"] == 0
        assert ("dag_run", "dag_id") not in present
        assert "log (dttm)" in reading.notes[1]

    @pytest.mark.parametrize(
        ("index", "expected"), [(("a", "b", "c"), True), (("b", "a"), True), (("a",), False), (("c", "a", "b"), False)]
    )
    def test_an_index_serves_if_it_begins_with_the_columns(self, index: tuple[str, ...], *, expected: bool) -> None:
        assert has_index([index], ("a", "b")) is expected

    def test_old_rows_are_those_before_the_retention(self) -> None:
        api = FakeDatabase(cleanable={"log": 7.0})
        reading = CleanableReader(api, 400.0, 3600, clock=lambda: NOW).read()
        assert reading.tables == {database.CLEANABLE_ROWS: {("log",): 7.0}}
        assert api.asked == [600.0]

    def test_what_a_lock_hides_is_kept_until_it_can_be_read(self) -> None:
        api = FakeDatabase(cleanable={"log": 7.0, "job": 2.0})
        reader = CleanableReader(api, 400.0, 3600, clock=lambda: NOW)
        reader.read()
        api.cleanable, api.locked = {"job": 3.0}, ["log", "xcom"]
        reading = reader.read()
        assert reading.tables[database.CLEANABLE_ROWS] == {("log",): 7.0, ("job",): 3.0}
        assert reading.notes[1] == "a lock hides these tables, whose last known values stay: log, xcom"
        api.cleanable, api.locked = {"job": 4.0}, []
        assert reader.read().tables[database.CLEANABLE_ROWS] == {("job",): 4.0}
