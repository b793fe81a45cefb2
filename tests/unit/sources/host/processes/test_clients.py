from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from exporter.sources.host.proc.files import ProcFiles
from exporter.sources.host.processes.clients import ClientProcesses, parse_address, parse_sockets
from exporter.sources.host.processes.owners import ComponentOwner, Try

HEADER = b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
LINE = (
    b"   0: 0100007F:%s 0100007F:1538 %s 00000000:00000000 00:00000000 00000000  1000        0 %s 1 0 20 4 30 10 -1\n"
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0100007F", "127.0.0.1"),
        ("0500000A", "10.0.0.5"),
        ("0000000000000000FFFF00000500000A", "10.0.0.5"),
        ("00000000000000000000000001000000", "::1"),
    ],
)
def test_addresses_as_the_kernel_writes_them(text: str, address: str) -> None:
    assert parse_address(text) == address


def test_only_open_connections_count() -> None:
    data = HEADER + LINE % (b"D431", b"01", b"777") + LINE % (b"D432", b"06", b"778") + b"cut off\n"
    assert list(parse_sockets(data)) == [(("127.0.0.1", 54_321), 777)]


@pytest.fixture
def connection() -> Iterator[tuple[str, int]]:
    """The address and port of a client in this process."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        yield client.getsockname()


def make_process(owner: Any, pid: int = 0, start: int = 0) -> Any:
    return SimpleNamespace(stat=SimpleNamespace(pid=pid or os.getpid(), start=start)), owner


def test_the_process_of_a_real_connection(connection: tuple[str, int]) -> None:
    clients = ClientProcesses(ProcFiles(Path("/proc")))
    assert clients.find({connection}) == {}, "no process of Airflow is known yet"
    clients.set_processes([make_process(ComponentOwner("scheduler"))])
    assert clients.find({connection, ("10.255.0.1", 1)}) == {connection: "scheduler"}
    clients.set_processes([])
    assert clients.find({connection}) == {connection: "scheduler"}, "it is kept while it is asked for"
    assert clients.find(set()) == {}
    assert clients.find({connection}) == {}


@pytest.mark.parametrize("order", [1, -1])
def test_a_socket_that_a_forked_process_has_too_is_its_parents(order: int) -> None:
    """As the workers of the LocalExecutor have the scheduler's: the scheduler waits for a lock, not its worker."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        child = subprocess.Popen(["sleep", "60"], pass_fds=[client.fileno()])
        try:
            parent = make_process(ComponentOwner("scheduler"), start=1)
            worker = make_process(ComponentOwner("local_worker"), child.pid, start=2)
            clients = ClientProcesses(ProcFiles(Path("/proc")))
            clients.set_processes([parent, worker][::order])
            assert clients.find({client.getsockname()}) == {client.getsockname(): "scheduler"}
        finally:
            child.kill()
            child.wait()


def test_the_process_of_a_task(connection: tuple[str, int]) -> None:
    clients = ClientProcesses(ProcFiles(Path("/proc")))
    clients.set_processes([make_process(Try("key", None))])
    assert clients.find({connection}) == {connection: "task"}


def test_processes_that_are_gone_are_left_out(tmp_path: Path, connection: tuple[str, int]) -> None:
    clients = ClientProcesses(ProcFiles(tmp_path))
    clients.set_processes([make_process(ComponentOwner("scheduler"))])
    assert clients.find({connection}) == {}
