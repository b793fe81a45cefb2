"""What goes wrong with Celery: each cause begins when its block is entered, and ends when it is left."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit

import redis

from tests.e2e.celery.site import Site
from tests.e2e.exactness.environment import wait_until
from tests.e2e.exactness.subject import Subject

LONG = 600.0
"""Seconds that a task takes which is to run until the end."""
BACKLOG = 3_000
"""Tasks of two seconds: with two slots they take 50 minutes."""
VISIBILITY = 120
STALL = 0.7
"""Seconds for which a slow command keeps Redis busy: an answer waits for three to six, and has --celery.timeout."""
SHARE = 0.94
PATIENCE = 120.0


def client_of(site: Site) -> redis.Redis:
    """A client of the site's Redis."""
    parts = urlsplit(site.url)
    return redis.Redis(host="127.0.0.1", port=parts.port or 0, password=parts.password)


@contextmanager
def queue_without_worker(site: Site) -> Iterator[None]:
    """A task is sent to a queue that no worker consumes, until one is told to."""
    site.send("nobody", 3, 0.0)
    yield
    site.app.control.add_consumer("nobody", destination=["celery@slow"])


@contextmanager
def worker_gone(site: Site, exporter: Subject) -> Iterator[None]:
    """A worker is killed while it runs two tasks; then one of the same name starts."""
    worker = site.start_worker("gone", "lost")
    wait_until(
        lambda: site.shows(exporter, {"airflow_celery_worker_up": 1.0}, worker="celery@gone"), PATIENCE, site.name
    )
    site.send("lost", 2, LONG)
    runs = {"airflow_celery_worker_active_tasks": 2.0}
    wait_until(lambda: site.shows(exporter, runs, worker="celery@gone"), PATIENCE, f"{site.name}: two tasks run")
    os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    yield
    site.start_worker("gone", "lost")


@contextmanager
def tasks_held(site: Site, exporter: Subject) -> Iterator[None]:
    """A worker takes all tasks, more than it has slots, before another one starts; until that one has work, too."""
    site.send("held", 4, LONG)
    site.start_worker("busy", "held")
    held = {"airflow_celery_worker_active_tasks": 2.0, "airflow_celery_worker_reserved_tasks": 2.0}
    wait_until(lambda: site.shows(exporter, held, worker="celery@busy"), PATIENCE, f"{site.name}: two tasks are held")
    site.start_worker("idle", "held")
    yield
    site.send("held", 2, LONG)


@contextmanager
def backlog(site: Site) -> Iterator[None]:
    """More tasks wait than one worker does in half an hour."""
    site.send("backlog", BACKLOG, 2.0)
    site.start_worker("slow", "backlog")
    yield
    site.purge("backlog")


@contextmanager
def short_visibility_timeout(site: Site) -> Iterator[None]:
    """A task takes longer than the visibility timeout: the broker delivers it again, and it runs twice."""
    site.send("brief", 1, LONG)
    site.start_worker("brief", "brief", f'{{"visibility_timeout": {VISIBILITY}}}')
    yield
    wait_until(lambda: site.count_starts("brief") == 2, PATIENCE, "the task runs twice")


@contextmanager
def memory_used_up(site: Site) -> Iterator[None]:
    """Another application fills Redis nearly up to its maxmemory."""
    client = client_of(site)
    limit = client.info("memory")["maxmemory"]
    names: list[str] = []
    while client.info("memory")["used_memory"] < SHARE * limit:
        names.append(f"other-application-{len(names)}")
        client.set(names[-1], bytes(100_000))
    yield
    client.delete(*names)
    client.close()


@contextmanager
def slow_commands(site: Site) -> Iterator[None]:
    """Three other clients send slow commands without a pause."""
    over = threading.Event()

    def stall() -> None:
        client = client_of(site)
        while not over.is_set():
            with suppress(redis.RedisError):
                client.execute_command("DEBUG", "SLEEP", str(STALL))  # type: ignore[no-untyped-call]
        client.close()

    threads = [threading.Thread(target=stall, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    yield
    over.set()
    for thread in threads:
        thread.join()
