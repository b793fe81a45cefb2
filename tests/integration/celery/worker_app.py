"""The Celery application of the test workers."""

from __future__ import annotations

import json
import os
import ssl
import time
from pathlib import Path

from celery import Celery

CA_FILE = os.environ.get("BROKER_CA_FILE", "")
STARTS = os.environ.get("STARTS_FILE", "")
OPTIONS = {"visibility_timeout": 21_600, **json.loads(os.environ.get("BROKER_OPTIONS", "{}"))}

app = Celery("worker_app", broker=os.environ.get("BROKER_URL", "memory://"))
app.conf.update(
    task_acks_late=True,
    worker_prefetch_multiplier=2,
    broker_transport_options=OPTIONS,
    broker_connection_retry_on_startup=True,
)
if CA_FILE:
    app.conf.broker_use_ssl = (
        {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": CA_FILE}
        if app.conf.broker_url.startswith(("rediss", "sentinel"))
        else {"cert_reqs": ssl.CERT_REQUIRED, "ca_certs": CA_FILE, "server_hostname": "127.0.0.1"}
    )


@app.task(name="nap")  # type: ignore[untyped-decorator]
def nap(seconds: float) -> None:
    """Do nothing for some seconds; each start adds a byte to a file, where one is named."""
    if STARTS:
        with Path(STARTS).open("ab") as file:
            file.write(b".")
    time.sleep(seconds)
