"""A Redis with a Celery worker that has work, for the panels of Celery: the Airflow of this layer has none."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from celery import Celery

from tests.integration.celery import conftest as brokers

QUEUE = "default"
TASKS = 12
SECONDS = 3_600.0


@contextmanager
def celery_broker(folder: Path) -> Iterator[Path]:
    """Start both, and send more tasks than the worker has slots; the file with the URL of the broker."""
    program = shutil.which("redis-server")
    assert program, "redis-server is not in PATH"
    port, app = brokers.free_port(), Path(brokers.__file__).parent
    url = f"redis://127.0.0.1:{port}/0"
    redis = [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--maxmemory", "100mb"]
    worker = [sys.executable, "-m", "celery", "-A", "worker_app", "worker", "-c", "2", "-P", "threads", "-Q", QUEUE]
    environment = {"BROKER_URL": url, "PYTHONPATH": str(app), "C_FORCE_ROOT": "1"}
    with ExitStack() as stack:
        for name, command in (("redis", redis), ("worker", worker)):
            place = folder / name
            place.mkdir(parents=True, exist_ok=True)
            stack.enter_context(brokers.run(command, place.resolve(), environment))
            brokers.wait_for(lambda: brokers.is_listening(port), "the start of Redis")
        with Celery(broker=url) as sender:
            for _ in range(TASKS):
                sender.send_task("nap", (SECONDS,), queue=QUEUE)
        file = folder / "broker-url"
        file.write_text(url, encoding="utf-8")
        file.chmod(0o600)
        yield file
