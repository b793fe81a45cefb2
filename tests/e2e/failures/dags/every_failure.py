"""Every kind of failure that a machine without a network can have; a task's id begins with the class that is right.

No task is retried but those of the DAG `retried_failures`.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

try:
    from airflow.sdk import DAG, BaseHook, Variable, get_current_context, task
    from airflow.sdk.exceptions import AirflowException, AirflowFailException
except ImportError:  # Airflow 2
    from airflow import DAG
    from airflow.decorators import task
    from airflow.exceptions import AirflowException, AirflowFailException
    from airflow.hooks.base import BaseHook
    from airflow.models import Variable
    from airflow.operators.python import get_current_context
from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.python import PythonOperator

START = datetime(2026, 1, 1, tzinfo=UTC)
SECRET = "hunter2-in-a-log"


def find_closed_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def serve_status(status: int) -> str:
    """A server of this process that answers one request with a status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.handle_request, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}/"


def join_small_group() -> bool:
    """Move this process into a control group with little memory; False where none can be made. The test removes it."""
    root = Path("/sys/fs/cgroup/memory")
    root, limit = (root, "memory.limit_in_bytes") if root.is_dir() else (root.parent, "memory.max")
    group = root / f"exporter-e2e-{os.getpid()}"
    try:
        group.mkdir()
        (group / limit).write_text(str(128 << 20))
        (group / "cgroup.procs").write_text(str(os.getpid()))
    except OSError:
        return False
    return True


def request(status: int) -> None:
    import requests

    requests.get(serve_status(status), timeout=5).raise_for_status()


with DAG("every_failure", schedule=None, start_date=START, catchup=False, max_active_tasks=3) as dag:

    @task
    def network__refused():
        socket.create_connection(("127.0.0.1", find_closed_port()), 2)

    @task
    def network__requests_refused():
        import requests

        requests.get(f"http://127.0.0.1:{find_closed_port()}/", timeout=2)

    @task
    def network__httpx_refused():
        import httpx

        httpx.get(f"http://127.0.0.1:{find_closed_port()}/", timeout=2, trust_env=False)

    @task
    def network__no_such_host():
        import requests

        requests.get("http://no-such-host.invalid/", timeout=5)

    @task
    def network__wrapped():
        try:
            socket.create_connection(("127.0.0.1", find_closed_port()), 2)
        except OSError as error:
            raise AirflowException("the transfer did not work") from error

    @task
    def network__reset():
        raise ConnectionResetError(104, "Connection reset by peer")

    @task(execution_timeout=timedelta(seconds=2))
    def timeout__execution():
        time.sleep(60)

    @task
    def timeout__read():
        import requests

        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            requests.get(f"http://127.0.0.1:{silent.getsockname()[1]}/", timeout=1)

    @task.sensor(poke_interval=1, timeout=2, mode="poke")
    def timeout__sensor():
        return False

    timeout__command = BashOperator(
        task_id="timeout__command", bash_command="sleep 60", execution_timeout=timedelta(seconds=2)
    )

    @task
    def timeout__subprocess():
        subprocess.run(["sleep", "30"], timeout=1, check=True)

    @task
    def memory__error():
        resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
        return len(bytearray(8 << 30))

    @task(trigger_rule="all_done")
    def memory__kernel():
        time.sleep(15)  # what is killed a few seconds before counts as killed by the kernel, too
        if not join_small_group():
            raise MemoryError("control groups cannot be made here")
        held = []
        while True:
            held.append(bytearray(b"x") * (4 << 20))
            time.sleep(0.02)

    killed__command = BashOperator(task_id="killed__command", bash_command="kill -9 $$")

    @task
    def database__refused():
        import psycopg2

        psycopg2.connect(host="127.0.0.1", port=find_closed_port(), dbname="x", user="x", connect_timeout=2)

    @task
    def database__sqlalchemy():
        import sqlalchemy

        with sqlalchemy.create_engine("sqlite://").connect() as connection:
            connection.execute(sqlalchemy.text("SELECT * FROM no_such_table"))

    @task
    def database__constraint():
        import sqlite3

        with sqlite3.connect(":memory:") as connection:
            connection.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)")
            connection.execute("INSERT INTO t VALUES (1)")
            connection.execute("INSERT INTO t VALUES (1)")

    @task
    def killed__kill_9():
        os.kill(os.getpid(), signal.SIGKILL)

    @task
    def code__segmentation_fault():
        signal.signal(signal.SIGSEGV, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGSEGV)
        time.sleep(10)

    @task
    def dependency__unauthorized():
        request(401)

    @task
    def dependency__unavailable():
        request(503)

    @task
    def dependency__urllib():
        import urllib.request

        urllib.request.urlopen(serve_status(429), timeout=5)

    @task
    def configuration__no_connection():
        BaseHook.get_connection("no_such_connection")

    @task
    def configuration__no_variable():
        Variable.get("no_such_variable")

    @task
    def configuration__no_module():
        import no_such_module  # noqa: F401

    @task
    def configuration__no_file():
        Path("/no/such/file.csv").read_text()

    @task
    def configuration__no_key_in_environment():
        print(os.environ["NO_SUCH_VARIABLE_OF_THE_ENVIRONMENT"])

    configuration__no_command = BashOperator(task_id="configuration__no_command", bash_command="no-such-command --now")

    @task
    def disk__full():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        with Path("/dev/full").open("w") as full:
            full.write("x" * (1 << 20))

    @task
    def disk__quota():
        raise OSError(122, "Disk quota exceeded")

    @task
    def configuration__permission():
        os.open("/proc/sys/kernel/ostype", os.O_WRONLY | os.O_TRUNC)  # read-only for every user

    @task
    def code__zero_division():
        return 1 / 0

    @task
    def code__key():
        return {}["customer"]

    @task
    def code__fail():
        raise AirflowFailException("not today")

    @task
    def code__secret():
        print(f"password={SECRET}")
        raise ValueError(f"cannot parse {SECRET}")

    code__callable = PythonOperator(task_id="code__callable", python_callable=lambda: int("eleven"))

    command__exit_3 = BashOperator(task_id="command__exit_3", bash_command="echo no; exit 3")

    @task
    def command__subprocess():
        subprocess.run(["/bin/sh", "-c", "exit 4"], check=True)

    @task
    def command__exit():
        sys.exit(5)

    calls = {name: one() for name, one in list(globals().items()) if callable(one) and hasattr(one, "function")}
    [calls["killed__kill_9"], calls["code__segmentation_fault"], killed__command] >> calls["memory__kernel"]

with DAG("retried_failures", schedule=None, start_date=START, catchup=False) as retried:

    @task(retries=1, retry_delay=timedelta(seconds=2))
    def network__recovers():
        if get_current_context()["ti"].try_number == 1:
            socket.create_connection(("127.0.0.1", find_closed_port()), 2)

    @task(retries=1, retry_delay=timedelta(seconds=2))
    def code__never_recovers():
        raise ValueError("always")

    network__recovers()
    code__never_recovers()
