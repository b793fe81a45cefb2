"""Airflow DAGs that fail, each for a reason that really happens in its task; and one whose retries are far apart."""

from __future__ import annotations

import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.request import urlopen

from fault_compat import BashOperator, declare, task, timedelta


class Unavailable(BaseHTTPRequestHandler):
    """A service that is overloaded."""

    def do_GET(self):
        self.send_error(503)

    def log_message(self, *_):
        return None


def call_nobody():
    """Nothing listens on this port."""
    urlopen("http://127.0.0.1:9/", timeout=5)


def take_too_long():
    """Longer than execution_timeout."""
    time.sleep(60)


def take_all_memory():
    """More than any machine has."""
    bytearray(1 << 60)


def ask_no_database():
    """A database that does not answer."""
    from sqlalchemy import create_engine, text

    with create_engine("postgresql+psycopg2://nobody@127.0.0.1:9/nothing").connect() as connection:
        connection.execute(text("select 1"))


def be_killed():
    """As the kernel does when memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def ask_an_overloaded_service():
    """HTTP 503."""
    server = HTTPServer(("127.0.0.1", 0), Unavailable)
    threading.Thread(target=server.handle_request, daemon=True).start()
    urlopen(f"http://127.0.0.1:{server.server_port}/", timeout=5)


def use_no_connection():
    """A connection that was never made."""
    try:
        from airflow.sdk import Connection

        Connection.get("nobody_made_this")
    except ImportError:
        from airflow.hooks.base import BaseHook

        BaseHook.get_connection("nobody_made_this")


def fill_the_disk():
    """ENOSPC."""
    with Path("/dev/full").open("w") as file:
        file.write("x" * 4096)


def be_wrong():
    """An error of the task itself."""
    return {"a": 1}["b"]


FAILURES = {
    "network": call_nobody,
    "timeout": take_too_long,
    "memory": take_all_memory,
    "database": ask_no_database,
    "killed": be_killed,
    "dependency": ask_an_overloaded_service,
    "configuration": use_no_connection,
    "disk": fill_the_disk,
    "code": be_wrong,
}
for error_class, fail in FAILURES.items():
    limit = {"execution_timeout": timedelta(seconds=3)} if error_class == "timeout" else {}
    with declare(f"fails_by_{error_class}"):
        task(task_id="fail", **limit)(fail)()

with declare("fails_by_command"):
    BashOperator(task_id="fail", bash_command="exit 3")

with declare("takes_too_long", dagrun_timeout=timedelta(seconds=20)):
    task(task_id="go_on")(take_too_long)()

with declare("late_retries"):

    @task(retries=3, retry_delay=timedelta(minutes=20), retry_exponential_backoff=True)
    def fail_for_now():
        raise ConnectionError("fails, and is retried much later")

    fail_for_now()
