"""StatsD over real sockets: everything sent is counted, whatever the transport."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.config.settings import ReceptionSettings
from exporter.metrics.reading import ReaderError
from exporter.sources.statsd.receive import receiver as receiver_module
from exporter.sources.statsd.receive import recvmmsg
from exporter.sources.statsd.receive.ordering import OrderedReader
from exporter.sources.statsd.receive.pacing import MAX_ALARM_SLEEP, ReadPacer
from exporter.sources.statsd.receive.receiver import Receiver, build_reader
from exporter.sources.statsd.receive.recvmmsg import HEAD_BYTES, BatchReader, SingleReader
from exporter.sources.statsd.receive.relay import Relay
from exporter.sources.statsd.receive.tcp import MAX_LINE_BYTES

NOWHERE = ReceptionSettings(listen_udp="", listen_tcp="", receive_buffer=0, idle_timeout=0)


class Notebook:
    """Takes lines as the aggregator does."""

    compiled_count = 0

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.senders: set[bytes] = set()
        self.only: bytes | None = None

    def process_batch(self, batch: Sequence[bytes], senders: Callable[[int], bytes], only: bytes | None = None) -> None:
        self.lines += batch
        self.senders.update(senders(place) for place in range(len(batch)))
        self.only = only

    def sweep(self) -> None:
        """Nothing expires here."""


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


@pytest.fixture
def start(notebook: Notebook) -> Iterator[Callable[..., Receiver]]:
    started: list[Receiver] = []

    def begin(**where: object) -> Receiver:
        receiver = Receiver(replace(NOWHERE, **where), notebook)  # type: ignore[arg-type]
        receiver.start()
        started.append(receiver)
        return receiver

    yield begin
    for receiver in started:
        receiver.stop()


def find_port(receiver: Receiver) -> int:
    port: int = receiver._sockets[0].getsockname()[1]
    return port


def wait_for(notebook: Notebook, count: int) -> list[bytes]:
    until = time.monotonic() + 10
    while len(notebook.lines) < count and time.monotonic() < until:
        time.sleep(0.01)
    return notebook.lines


@pytest.mark.parametrize(("where", "family"), [("127.0.0.1:0", socket.AF_INET), ("[::1]:0", socket.AF_INET6)])
@pytest.mark.parametrize(("kind", "size"), [(OrderedReader, 0), (BatchReader, 65_536), (SingleReader, 65_536)])
def test_datagrams_come_whole_in_order_and_with_their_senders_address(
    *,
    where: str,
    family: int,
    kind: type,
    size: int,
    notebook: Notebook,
    start: Callable[..., Receiver],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if kind is SingleReader:
        monkeypatch.setattr(receiver_module, "get_recvmmsg", lambda: None)
    receiver = start(listen_udp=where, receive_buffer=size)
    sent = [b"a%d:1|c" % number + b"x" * number for number in range(200)]
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect((where[1:4] if family == socket.AF_INET6 else "127.0.0.1", find_port(receiver)))
        for datagram in sent:
            sock.send(datagram)
            time.sleep(0.0002)
        here = socket.inet_pton(family, sock.getsockname()[0])
    received = wait_for(notebook, 200)
    assert received == sent
    assert notebook.senders == {notebook.only} == {here}
    assert (receiver.packets["udp"], receiver.lost) == (200, 0)
    assert isinstance(receiver._readers[0][1], kind)


def test_events_that_come_one_by_one_do_not_start_the_sleeps_over(
    notebook: Notebook, start: Callable[..., Receiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reads that find nothing between two events are no silence: the sleeps stay long, and few reads take them all."""
    resets: list[ReadPacer] = []

    def reset(pacer: ReadPacer, start_over: Callable[[ReadPacer], None] = ReadPacer.reset) -> None:
        resets.append(pacer)
        start_over(pacer)

    monkeypatch.setattr(ReadPacer, "reset", reset)
    port = find_port(start(listen_udp="127.0.0.1:0"))
    resets.clear()
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", port))
        for _ in range(40):
            sock.send(b"a:1|c")
            time.sleep(0.03)
    assert len(wait_for(notebook, 40)) == 40
    assert len(resets) < 10


@pytest.mark.parametrize("rate", [0, 50])
def test_nothing_of_a_burst_is_lost_while_the_thread_sleeps_for_long(
    rate: int, notebook: Notebook, start: Callable[..., Receiver]
) -> None:
    """On the system's own buffer, out of silence and out of a slow stream: the alarm ends the sleep."""
    receiver = start(listen_udp="127.0.0.1:0")
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", find_port(receiver)))
        for _ in range(rate):
            sock.send(b"a:1|c")
            time.sleep(1 / rate)
        for _ in range(100):
            for _ in range(80):
                sock.send(b"a:1|c")
            time.sleep(0.001)
    assert len(wait_for(notebook, rate + 8_000)) == rate + 8_000
    assert receiver.lost == 0


def test_a_task_and_the_end_do_not_wait_for_a_long_sleep(notebook: Notebook, start: Callable[..., Receiver]) -> None:
    receiver = start(listen_udp="127.0.0.1:0")
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", find_port(receiver)))
        for _ in range(50):
            sock.send(b"a:1|c")
            time.sleep(0.02)
    done = threading.Event()
    began = time.monotonic()
    assert receiver.call(done.set)
    assert done.wait(5)
    receiver.stop()
    assert time.monotonic() - began < MAX_ALARM_SLEEP / 2
    assert len(notebook.lines) == 50


@pytest.mark.parametrize("size", [0, 4 * 1024 * 1024])
def test_large_datagrams_come_whole_among_small_ones(
    size: int, notebook: Notebook, start: Callable[..., Receiver]
) -> None:
    port = find_port(start(listen_udp="127.0.0.1:0", receive_buffer=size))
    lengths = [1, HEAD_BYTES - 1, HEAD_BYTES, HEAD_BYTES + 1, 2, 9_000, 65_507, 3]
    sent = [(b"%d" % length * length)[:length] for length in lengths]
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        for datagram in sent:
            sock.sendto(datagram, ("127.0.0.1", port))
    assert wait_for(notebook, len(sent)) == sent


def test_what_the_kernel_threw_away_is_counted(notebook: Notebook) -> None:
    for make in (lambda sock: build_reader([sock]), SingleReader):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, socket.socket(type=socket.SOCK_DGRAM) as sender:
            sock.bind(("127.0.0.1", 0))
            sock.setsockopt(socket.SOL_SOCKET, recvmmsg.SO_RXQ_OVFL, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            sender.connect(sock.getsockname())
            reader = make(sock)
            for _ in range(100):
                sender.send(b"a:1|c")
            received = 0
            while batch := reader.read():
                received += len(batch)
            sender.send(b"a:1|c")
            reader.read()
            assert 0 < received < 100
            assert reader.lost == 100 - received


def test_a_stream_is_cut_into_lines_and_a_half_one_at_its_end_counts(
    notebook: Notebook, start: Callable[..., Receiver]
) -> None:
    receiver = start(listen_tcp="127.0.0.1:0")
    with socket.create_connection(("127.0.0.1", find_port(receiver))) as sock:
        sock.sendall(b"a:1|c\nb:")
        wait_for(notebook, 1)
        sock.sendall(b"2|c\nhalf:3|c")
    assert wait_for(notebook, 3) == [b"a:1|c", b"b:2|c", b"half:3|c"]


def test_a_line_without_end_takes_no_memory_and_the_next_one_counts(
    notebook: Notebook, start: Callable[..., Receiver]
) -> None:
    receiver = start(listen_tcp="127.0.0.1:0")
    with socket.create_connection(("127.0.0.1", find_port(receiver))) as sock:
        sock.sendall(b"x" * MAX_LINE_BYTES * 5 + b"\na:1|c\n")
        assert wait_for(notebook, 1) == [b"a:1|c"]


def test_unix_sockets_replace_a_stale_file_and_only_that(
    tmp_path: Path, notebook: Notebook, start: Callable[..., Receiver]
) -> None:
    gram, stream, other = tmp_path / "gram", tmp_path / "stream", tmp_path / "other"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stale:
        stale.bind(str(gram))
    start(listen_unixgram=gram, listen_unix=stream, unix_socket_mode=0o600)
    assert stream.stat().st_mode & 0o777 == 0o600
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"a:1|c", str(gram))
    assert wait_for(notebook, 1) == [b"a:1|c"]
    with pytest.raises(ReaderError, match="another process listens on it"):
        Receiver(replace(NOWHERE, listen_unix=stream), notebook).start()  # type: ignore[arg-type]
    other.write_text("precious")
    with pytest.raises(ReaderError, match="not a socket"):
        Receiver(replace(NOWHERE, listen_unix=other), notebook).start()  # type: ignore[arg-type]
    assert other.read_text() == "precious"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(stream))
        sock.sendall(b"b:2|c\n")
    assert wait_for(notebook, 2)[1:] == [b"b:2|c"]


def test_who_sends_to_a_unix_socket_is_not_kept_waiting_for_a_rest(
    tmp_path: Path, notebook: Notebook, start: Callable[..., Receiver]
) -> None:
    path = tmp_path / "gram"
    start(listen_udp="127.0.0.1:0", listen_unixgram=path, receive_buffer=4 * 1024 * 1024)
    began = time.monotonic()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.connect(str(path))
        for _ in range(1_000):
            sock.send(b"a:1|c")
    assert time.monotonic() - began < 3
    assert len(wait_for(notebook, 1_000)) == 1_000


def test_an_address_in_use_says_what_to_do(notebook: Notebook, start: Callable[..., Receiver]) -> None:
    port = find_port(start(listen_udp="127.0.0.1:0"))
    with pytest.raises(ReaderError, match="another process listens on it; stop that process"):
        Receiver(replace(NOWHERE, listen_udp=f"127.0.0.1:{port}"), notebook).start()  # type: ignore[arg-type]


def test_stopping_takes_what_has_arrived(notebook: Notebook, start: Callable[..., Receiver]) -> None:
    receiver = start(listen_udp="127.0.0.1:0")
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", find_port(receiver)))
        for _ in range(100):
            sock.send(b"a:1|c")
    receiver.stop()
    assert len(notebook.lines) == 100


def test_a_relay_packs_lines_and_never_waits() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as target:
        target.bind(("127.0.0.1", 0))
        target.settimeout(5)
        relay = Relay(f"127.0.0.1:{target.getsockname()[1]}", size=20)
        relay([b"lost:1|c"])
        relay.open()
        relay([b"a:1|c\n", b"b:1|c\nc:1|c", b"d:1|c"])
        assert [target.recv(100), target.recv(100)] == [b"a:1|c\nb:1|c\nc:1|c", b"d:1|c"]
        assert (relay.packets, relay.lost) == (2, 1)
        relay.close()
