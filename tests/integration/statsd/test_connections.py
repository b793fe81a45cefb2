"""StatsD over TCP and Unix streams when senders stay silent, vanish, or there is no room for them."""

from __future__ import annotations

import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from exporter.sources.statsd.receive import tcp
from exporter.sources.statsd.receive.recvmmsg import pack_address
from exporter.sources.statsd.receive.tcp import ACCEPT_RETRY_DELAY, MAX_LINE_BYTES, StreamListeners


class Stage:
    """StreamListeners on a real listening socket, driven by hand, with a clock of their own."""

    def __init__(self, idle: float = 0.0) -> None:
        self.now = 1000.0
        self.lines: list[bytes] = []
        self.selector = selectors.DefaultSelector()
        self.streams = StreamListeners(self.selector, self.take, idle=idle, clock=lambda: self.now)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.streams.listen(self.listener, "tcp")
        self.clients: list[socket.socket] = []

    def take(self, transport: str, lines: list[bytes], sender: bytes) -> None:
        assert (transport, sender) == ("tcp", pack_address(("127.0.0.1", 1)))
        self.lines += lines

    def connect(self) -> socket.socket:
        client = socket.create_connection(self.listener.getsockname())
        self.clients.append(client)
        self.serve()
        return client

    def serve(self, timeout: float = 0.2) -> int:
        """Serve what is ready; returns how much was."""
        ready = self.selector.select(timeout)
        for key, _ in ready:
            key.data()
        return len(ready)

    def close(self) -> None:
        for sock in (*self.clients, self.listener):
            sock.close()
        self.streams.close()
        self.selector.close()


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage(idle=100.0)
    yield made
    made.close()


def is_closed(client: socket.socket) -> bool:
    client.setblocking(False)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False


def test_a_connection_that_is_silent_for_too_long_is_closed_and_its_half_line_counts(stage: Stage) -> None:
    silent, busy = stage.connect(), stage.connect()
    silent.sendall(b"half:1|c")
    stage.serve()
    for _ in range(3):
        stage.now += 60
        busy.sendall(b"a:1|c\n")
        stage.serve()
        stage.streams.sweep(stage.now)
    assert is_closed(silent)
    assert not is_closed(busy)
    assert stage.streams.counts.closed == {"idle": 1}
    assert sorted(stage.lines) == [b"a:1|c"] * 3 + [b"half:1|c"]


def test_dead_connections_do_not_lock_out_later_ones(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tcp, "MAX_CONNECTIONS", 3)
    first, *others = [stage.connect() for _ in range(3)]
    late = stage.connect()
    assert is_closed(late)  # all of them sent something, or came, a moment ago
    assert stage.streams.counts.refused == 1
    stage.now += 61
    others[0].sendall(b"a:1|c\n")
    stage.serve()
    later = stage.connect()
    assert is_closed(first) or is_closed(others[1])
    assert not is_closed(others[0])
    assert stage.streams.counts.closed == {"room": 1}
    later.sendall(b"b:1|c\n")
    stage.serve()
    assert stage.lines == [b"a:1|c", b"b:1|c"]


def test_the_kernel_asks_whether_a_silent_sender_is_still_there(stage: Stage) -> None:
    stage.connect()
    [connection] = stage.streams._open
    assert connection.sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    seconds = [
        connection.sock.getsockopt(socket.IPPROTO_TCP, option) for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL)
    ]
    assert seconds == [60, 15]


def test_lines_that_are_too_long_are_counted_once_each(stage: Stage) -> None:
    client = stage.connect()
    for _ in range(2):
        client.sendall(b"x" * MAX_LINE_BYTES * 3 + b"\na:1|c\n")
        until = time.monotonic() + 10
        while (not stage.lines or stage.lines[-1] != b"a:1|c" or stage.serve(0.05)) and time.monotonic() < until:
            stage.serve(0.05)
    assert stage.lines == [b"a:1|c"] * 2
    assert stage.streams.counts.too_long == 2


def test_a_sender_that_never_pauses_does_not_hold_up_the_end(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.connect()
    endless: Callable[[object], bool] = lambda _: True  # noqa: E731
    monkeypatch.setattr(stage.streams, "_read", endless)
    stage.streams.close()
    assert not stage.streams.busy


EXHAUSTED = """
import resource, selectors, socket, time
from exporter.sources.statsd.receive.tcp import ACCEPT_RETRY_DELAY, StreamListeners

selector, lines = selectors.DefaultSelector(), []
streams = StreamListeners(selector, lambda transport, found, sender: lines.extend(found))
listener = socket.create_server(("127.0.0.1", 0))
listener.setblocking(False)
streams.listen(listener, "tcp")
client = socket.create_connection(listener.getsockname())
client.sendall(b"a:1|c\\n")
resource.setrlimit(resource.RLIMIT_NOFILE, (max(client.fileno(), listener.fileno(), selector.fileno()) + 1,) * 2)
wakes, end, begun = 0, time.monotonic() + 1.0, time.process_time()
while time.monotonic() < end:
    for key, _ in selector.select(0.05):
        key.data()
        wakes += 1
    if time.monotonic() >= streams.due:
        streams.sweep(time.monotonic())
used = time.process_time() - begun
print(wakes, streams.counts.accept_failures, round(used, 3))
"""


def test_without_descriptors_nothing_spins() -> None:
    result = subprocess.run([sys.executable, "-c", EXHAUSTED], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    wakes, failures, used = (float(part) for part in result.stdout.split())
    assert 2 <= failures <= 1 / ACCEPT_RETRY_DELAY + 1
    assert wakes == failures
    assert used < 0.5


RECOVERS = (
    EXHAUSTED.replace(
        "for key, _ in",
        "if time.monotonic() > end - 0.5: (spare.close() if spare else None); spare = None\n    for key, _ in",
    )
    .replace("resource.setrlimit(", "spare = socket.socket()\nresource.setrlimit(")
    .replace("selector.fileno()) + 1", "selector.fileno(), spare.fileno()) + 1")
    + "print(lines)\n"
)


def test_a_connection_that_waited_for_a_descriptor_is_served() -> None:
    result = subprocess.run([sys.executable, "-c", RECOVERS], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "[b'a:1|c']"
    assert "cannot accept connections" in result.stderr
    assert result.stderr.count("cannot accept") == 1
