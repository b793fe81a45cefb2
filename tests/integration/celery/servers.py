"""Real brokers (Redis, Redis Sentinel, RabbitMQ) and real Celery workers, on loopback, each until its block is left."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
PASSWORD = "sesame-open-broker"
RABBITMQ = "/usr/lib/rabbitmq/bin/rabbitmq-server"
PATIENCE = 90.0
"""Seconds that a server may take to start on a busy machine."""


class Address(NamedTuple):
    """Where a broker is, and what it lets in."""

    port: int
    url: str


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
    command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None, patience: float = 20
) -> Iterator[subprocess.Popen[bytes]]:
    """A process group with its output in a file, ended at the end; killed if that takes longer than `patience`."""
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
            process.wait(patience)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(20)


def find_redis() -> str | None:
    """The program, which is Sentinel, too."""
    return shutil.which("redis-server")


@contextmanager
def run_redis(folder: Path, *options: str, port: int = 0) -> Iterator[Address]:
    """A Redis with a password that keeps nothing on disk."""
    program, port = find_redis(), port or free_port()
    assert program, "redis-server is not in PATH"
    fixed = ("--port", str(port), "--bind", "127.0.0.1", "--requirepass", PASSWORD, "--save", "")
    with run([program, *fixed, *options], folder):
        wait_for(lambda: is_listening(port), "the start of Redis")
        yield Address(port, f"redis://:{PASSWORD}@127.0.0.1:{port}/0")


@contextmanager
def run_rabbitmq(folder: Path, settings: str = "", port: int = 0) -> Iterator[Address]:
    """A RabbitMQ, with further lines of its configuration; its user is the standard one."""
    port = port or free_port()
    (folder / "plugins").write_text("[].\n")
    (folder / "rabbitmq.conf").write_text(settings)
    environment = {
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"rabbit{port}@localhost",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "ERL_EPMD_ADDRESS": "127.0.0.1",
    }
    with run([RABBITMQ], folder, environment):
        wait_for(lambda: is_listening(port), "the start of RabbitMQ")
        yield Address(port, f"amqp://guest:guest@127.0.0.1:{port}//")


@contextmanager
def run_worker(
    url: str, queues: str, name: str, folder: Path, *options: str, environment: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """A worker of `worker_app` with two threads; queues are separated by commas."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "celery", "-A", "worker_app", "worker", "-c", "2", "-Q", queues, "-n", name]
    needed = {"BROKER_URL": url, "PYTHONPATH": str(HERE), "C_FORCE_ROOT": "1"}
    # A worker that is told to end waits for its tasks.
    with run([*command, "-P", "threads", *options], folder, {**needed, **(environment or {})}, patience=1) as process:
        yield process


class Sentinel(NamedTuple):
    """A master that Sentinel watches; its failure is how its place is taken."""

    url: str
    """With a first Sentinel that is not there."""
    fail: Callable[[], None]


def list_tls(certificates: Path) -> dict[str, str]:
    """The settings of a Redis that speaks TLS with clients and other servers."""
    files = {"cert": "server.crt", "key": "server.key", "ca-cert": "ca.crt"}
    paths = {f"tls-{name}-file": str(certificates / file) for name, file in files.items()}
    return paths | {"tls-auth-clients": "no", "tls-replication": "yes"}


@contextmanager
def run_sentinel(folder: Path, master_name: str, tls: Mapping[str, str] | None = None) -> Iterator[Sentinel]:
    """A master, a replica, and a Sentinel that asks for a password as they do; with TLS they speak nothing else."""
    program, port = find_redis(), free_port()
    assert program, "redis-server is not in PATH"
    places = {name: folder / name for name in ("master", "replica", "sentinel")}
    for place in places.values():
        place.mkdir(parents=True)
    with ExitStack() as stack, ExitStack() as first:
        encrypted = [word for key, value in (tls or {}).items() for word in (f"--{key}", value)]

        def start(place: str, *options: str) -> AbstractContextManager[Address]:
            at = free_port()
            ports = ("--port", "0", "--tls-port", str(at)) if tls else ()
            return run_redis(places[place], "--masterauth", PASSWORD, *options, *ports, *encrypted, port=at)

        master = first.enter_context(start("master"))
        stack.enter_context(start("replica", "--replicaof", f"127.0.0.1 {master.port}"))
        file = places["sentinel"] / "sentinel.conf"
        ports = f"port 0\ntls-port {port}\n" if tls else f"port {port}\n"
        file.write_text(
            ports
            + "".join(f"{key} {value}\n" for key, value in (tls or {}).items())
            + f"bind 127.0.0.1\nrequirepass {PASSWORD}\n"
            f"sentinel monitor {master_name} 127.0.0.1 {master.port} 1\n"
            f"sentinel auth-pass {master_name} {PASSWORD}\n"
            f"sentinel down-after-milliseconds {master_name} 1000\n"
            f"sentinel failover-timeout {master_name} 5000\n"
        )
        stack.enter_context(run([program, str(file), "--sentinel"], places["sentinel"]))
        wait_for(lambda: is_listening(port), "the start of Sentinel")
        wait_for(lambda: "+slave slave" in (places["sentinel"] / "output.log").read_text(), "the replica is known")
        yield Sentinel(f"sentinel://:{PASSWORD}@127.0.0.1:1;sentinel://:{PASSWORD}@127.0.0.1:{port}/0", first.close)
