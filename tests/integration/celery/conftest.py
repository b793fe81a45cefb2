"""Real brokers (Redis, RabbitMQ) and real Celery workers, on loopback."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from tests.conftest import NOT_RUN

HERE = Path(__file__).parent
PASSWORD = "sesame-open-broker"
RABBITMQ = "/usr/lib/rabbitmq/bin/rabbitmq-server"
PATIENCE = 90.0
"""Seconds that a server may take to start on a busy machine."""

StartWorker = Callable[..., subprocess.Popen[bytes]]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen in {PATIENCE:.0f} s"
        time.sleep(0.1)


def is_listening(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@contextmanager
def run(
    command: list[str], folder: Path, environment: dict[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A process group with its output in a file, ended at the end."""
    with (folder / "output.log").open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            # A worker would wait for its tasks, and nobody needs them any more.
            process.wait(2)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis with a password."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip(f"{NOT_RUN}: redis-server is not in PATH")
    port = free_port()
    command = [program, "--port", str(port), "--bind", "127.0.0.1", "--requirepass", PASSWORD, "--save", ""]
    with run(command, tmp_path_factory.mktemp("redis")):
        wait_for(lambda: is_listening(port), "the start of Redis")
        yield f"redis://:{PASSWORD}@127.0.0.1:{port}/0"


@pytest.fixture(scope="module")
def rabbitmq_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A RabbitMQ; its user is the standard one."""
    if not Path(RABBITMQ).exists():
        pytest.skip(f"{NOT_RUN}: {RABBITMQ} is not there")
    folder, port = tmp_path_factory.mktemp("rabbitmq"), free_port()
    plugins = folder / "plugins"
    plugins.write_text("[].\n")
    environment = {
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"rabbit{port}@localhost",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(plugins),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "ERL_EPMD_ADDRESS": "127.0.0.1",
    }
    with run([RABBITMQ], folder, environment):
        wait_for(lambda: is_listening(port), "the start of RabbitMQ")
        yield f"amqp://guest:guest@127.0.0.1:{port}//"


@pytest.fixture
def start_worker(tmp_path: Path) -> Iterator[StartWorker]:
    """Starts workers: `start_worker(url, "queue,queue", name, "--option", ...)`."""
    stack = ExitStack()

    def start(url: str, queues: str, name: str, *options: str) -> subprocess.Popen[bytes]:
        folder = tmp_path / name.replace("@", "-")
        folder.mkdir()
        command = [sys.executable, "-m", "celery", "-A", "worker_app", "worker", "-c", "2", "-Q", queues, "-n", name]
        environment = {"BROKER_URL": url, "PYTHONPATH": str(HERE), "C_FORCE_ROOT": "1"}
        return stack.enter_context(run([*command, "-P", "threads", *options], folder, environment))

    with stack:
        yield start
