"""An Airflow DAG file that asks a server while it is parsed; when ordered to, the server does not answer."""

from __future__ import annotations

import contextlib
import socket

from fault_compat import ORDERS, declare, task

SECONDS = 24
"""Below dagbag_import_timeout."""

if (ORDERS / "slow_file").exists():
    with (
        contextlib.suppress(TimeoutError),
        socket.create_server(("127.0.0.1", 0)) as silent,
        socket.create_connection(silent.getsockname(), timeout=SECONDS) as asking,
    ):
        asking.recv(1)

with declare("asks_while_parsing"):
    task(task_id="nothing")(lambda: None)()
