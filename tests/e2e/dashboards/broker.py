"""A Redis with a Celery worker that has work, for the panels of Celery: the Airflow of this layer has none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from celery import Celery

from tests.integration.celery import servers

QUEUE = "default"
TASKS = 12
SECONDS = 3_600.0


@contextmanager
def celery_broker(folder: Path) -> Iterator[Path]:
    """Start both, and send more tasks than the worker has slots; the file with the URL of the broker."""
    with ExitStack() as stack:
        for name in ("redis", "worker"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        redis = stack.enter_context(servers.run_redis((folder / "redis").resolve(), "--maxmemory", "100mb"))
        stack.enter_context(servers.run_worker(redis.url, QUEUE, "celery@one", (folder / "worker").resolve()))
        with Celery(broker=redis.url) as sender:
            for _ in range(TASKS):
                sender.send_task("nap", (SECONDS,), queue=QUEUE)
        file = folder / "broker-url"
        file.write_text(redis.url, encoding="utf-8")
        file.chmod(0o600)
        yield file
