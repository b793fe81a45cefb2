"""What goes wrong with a metadata database: each cause begins when its block is entered, and ends when it is left."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from tests.integration.database.servers import Postgres
from tests.integration.database.sessions import connect, waiting

ROWS = 150_000
PULSE = 2.0
"""Seconds for which a pool stays locked, again and again."""


@contextmanager
def many_connections(airflow: str, count: int) -> Iterator[None]:
    """So many processes of workers hold a connection each."""
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(connect(airflow, "airflow-worker"))
        yield


@contextmanager
def blocked_scheduler(airflow: str) -> Iterator[None]:
    """Somebody changes a run and does not commit; the scheduler wants to change it, too."""
    update = "UPDATE dag_run SET state = 'running' WHERE id = 1"
    with connect(airflow, "psql") as person, connect(airflow, "airflow-scheduler") as scheduler:
        person.execute(text(update))
        with waiting(scheduler, update):
            yield
            person.rollback()


@contextmanager
def idle_transaction(airflow: str) -> Iterator[None]:
    """A task reads something, and then does other work with its transaction open."""
    with connect(airflow, "airflow-task") as task:
        task.execute(text("SELECT count(*) FROM slot_pool"))
        yield
        task.rollback()


@contextmanager
def bloated_table(postgres: Postgres) -> Iterator[None]:
    """Every row of a table is replaced twice, and nothing vacuums it."""
    postgres.run(
        "ALTER TABLE task_instance SET (autovacuum_enabled = false);"
        f"INSERT INTO task_instance (id, dag_id, start_date) SELECT n, 'a', now() FROM generate_series(1, {ROWS}) n;"
        "UPDATE task_instance SET state = 'queued'; UPDATE task_instance SET state = 'success';"
    )
    yield
    postgres.run("VACUUM (ANALYZE) task_instance")


@contextmanager
def old_rows(postgres: Postgres) -> Iterator[None]:
    """A table grows, and nobody runs `airflow db clean`."""
    postgres.run(
        f"INSERT INTO log (id, dttm) SELECT n, now() - interval '200 days' FROM generate_series(1, {ROWS}) n;"
        "ANALYZE log;"
    )
    yield
    postgres.run("DELETE FROM log; VACUUM (ANALYZE) log;")


@contextmanager
def slow_critical_section(airflow: str) -> Iterator[None]:
    """Somebody changes a pool again and again, slowly: the scheduler, which locks the pools to choose tasks, waits."""
    over = threading.Event()

    def lock() -> None:
        with connect(airflow, "pool-manager") as connection:
            while not over.is_set():
                connection.execute(text("UPDATE slot_pool SET slots = 128 WHERE id = 1"))
                over.wait(PULSE)
                connection.rollback()

    def choose() -> None:
        with connect(airflow, "airflow-scheduler") as connection:
            while not over.is_set():
                with suppress(SQLAlchemyError):
                    connection.execute(text("SELECT id FROM slot_pool FOR UPDATE"))
                    connection.rollback()
                over.wait(0.1)

    threads = [threading.Thread(target=target, daemon=True) for target in (lock, choose)]
    for thread in threads:
        thread.start()
    yield
    over.set()
    for thread in threads:
        thread.join()
