"""The Celery application of the test workers."""

from __future__ import annotations

import os
import time

from celery import Celery

app = Celery("worker_app", broker=os.environ.get("BROKER_URL", "memory://"))
app.conf.update(
    task_acks_late=True,
    worker_prefetch_multiplier=2,
    broker_transport_options={"visibility_timeout": 21_600},
    broker_connection_retry_on_startup=True,
)


@app.task(name="nap")  # type: ignore[untyped-decorator]
def nap(seconds: float) -> None:
    """Do nothing for some seconds."""
    time.sleep(seconds)
