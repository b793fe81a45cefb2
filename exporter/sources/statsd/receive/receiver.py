"""The receiving thread: the only place where StatsD sockets are read.

Without traffic it blocks in the kernel. With traffic it reads everything that waits, then sleeps (pacing.py) until the
next read is worth its cost. Few large reads make an event cheap.
"""

from __future__ import annotations

import gc
import logging
import selectors
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from exporter.config.settings import ReceptionSettings
from exporter.sources.statsd.aggregator import Aggregator
from exporter.sources.statsd.receive.alarm import MIN_ALARM_ROOM, Alarm
from exporter.sources.statsd.receive.ordering import OrderedReader
from exporter.sources.statsd.receive.pacing import MAX_SLEEP, MIN_SLEEP, ReadPacer
from exporter.sources.statsd.receive.recvmmsg import (
    BatchReader,
    DatagramReader,
    SingleReader,
    enable_drop_counter,
    get_recvmmsg,
)
from exporter.sources.statsd.receive.reuseport import bind_port
from exporter.sources.statsd.receive.sched_slice import request_short_slice
from exporter.sources.statsd.receive.sockets import bind_inet, bind_unix
from exporter.sources.statsd.receive.tcp import ConnectionCounts, StreamListeners

log = logging.getLogger(__name__)

FREEZE_AFTER = 2_000
"""New compiled actions after which the garbage collector stops tracking what exists."""
SWEEP_INTERVAL = 1.0
"""Seconds between sweeps of the aggregator."""
SILENCE = 0.25
"""Seconds without data after which the sleeps start over with the shortest: Airflow sends 50 to 400 events a second.
Where an alarm ends a sleep it is SWEEP_INTERVAL: how soon new events are shown depends on it, not whether any is lost.
"""
DRAIN_SECONDS = 1.0
"""Seconds for which the sockets are still read at shutdown: senders may never pause."""
TRANSPORTS = ("udp", "tcp", "unixgram", "unix")


@dataclass(slots=True)
class ReceptionCounts:
    """What arrived. The counts continue when a new receiver replaces one that ended."""

    packets: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(TRANSPORTS, 0)))
    lost: int = 0
    """Datagrams that the kernel dropped before the current sockets were opened."""
    connections: ConnectionCounts = field(default_factory=ConnectionCounts)


class Receiver:
    """Receives StatsD from `start` to `stop`. Any thread may read its counts."""

    def __init__(
        self,
        settings: ReceptionSettings,
        aggregator: Aggregator,
        relay: Callable[[Sequence[bytes]], None] | None = None,
        counts: ReceptionCounts | None = None,
    ) -> None:
        self.settings = settings
        self._aggregator = aggregator
        self.relay = relay
        self._selector = selectors.DefaultSelector()
        self._stream_selector = selectors.DefaultSelector()
        self._selector.register(self._stream_selector.fileno(), selectors.EVENT_READ, self._serve_streams)
        self.counts = counts or ReceptionCounts()
        self._streams = StreamListeners(
            self._stream_selector, self._on_lines, self.counts.connections, idle=settings.idle_timeout
        )
        self._sockets: list[socket.socket] = []
        self._readers: list[tuple[str, DatagramReader]] = []
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._tasks: list[Callable[[], None]] = []
        self._ended = False
        self._lock = threading.Lock()
        """Held to add a task and to end reception, so that every accepted task runs."""
        self.failure = ""
        """The error that ended reception; empty if none did."""
        self.packets = self.counts.packets
        self._pacer: ReadPacer | None = None
        self._alarm: Alarm | None = None
        self._short_queue = False
        """Whether the last read used a queue that is too short to sleep for long."""
        self._frozen_at = 0
        self.granted = 0
        """Bytes of the receive buffers of the UDP sockets, as the kernel counts them."""

    @property
    def lost(self) -> int:
        """Datagrams that the kernel dropped because the receive buffer was full."""
        return self.counts.lost + sum(reader.lost for _, reader in self._readers)

    @property
    def connections(self) -> int:
        """The number of open connections."""
        return self._streams.connections

    @property
    def alive(self) -> bool:
        """Whether the receiving thread runs."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Bind every address and start the thread. Raises ReaderError, after closing what was bound."""
        try:
            self._bind()
        except BaseException:
            self._close()
            raise
        self._thread = threading.Thread(target=self._run, name="statsd-receiver", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Read what has arrived, then close the sockets and end the thread."""
        self._stopping = True
        with self._lock:
            self._wake()
        if self._thread is not None:
            self._thread.join()

    def call(self, task: Callable[[], None]) -> bool:
        """Run a task in the receiving thread between two batches; False if reception has ended."""
        with self._lock:
            if not self._ended:
                self._tasks.append(task)
                self._wake()
            return not self._ended

    def _wake(self) -> None:
        if self._alarm:
            self._alarm.wake()

    def _bind(self) -> None:
        wanted = self.settings
        if wanted.listen_udp:
            socks = [
                self._keep(sock)
                for sock in bind_port(wanted.listen_udp, wanted.receive_buffer, shared=get_recvmmsg() is not None)
            ]
            self.granted = sum(sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) for sock in socks)
            if len(socks) > 1 and self.granted >= MIN_ALARM_ROOM:
                self._alarm = Alarm(socks[-1])
                self._selector.register(self._alarm, selectors.EVENT_READ, self._alarm.clear)
            self._pacer = ReadPacer(socks[:-1] or socks, self._alarm)
            self._add_reader("udp", socks)
        if wanted.listen_unixgram:
            self._add_reader(
                "unixgram", [self._keep(bind_unix(wanted.listen_unixgram, socket.SOCK_DGRAM, wanted.unix_socket_mode))]
            )
        if wanted.listen_tcp:
            self._streams.listen(self._keep(bind_inet(wanted.listen_tcp, socket.SOCK_STREAM)), "tcp")
        if wanted.listen_unix:
            self._streams.listen(
                self._keep(bind_unix(wanted.listen_unix, socket.SOCK_STREAM, wanted.unix_socket_mode)), "unix"
            )

    def _keep(self, sock: socket.socket) -> socket.socket:
        self._sockets.append(sock)
        return sock

    def _add_reader(self, transport: str, socks: Sequence[socket.socket]) -> None:
        self._readers.append((transport, build_reader(socks)))
        for sock in socks:
            self._selector.register(sock, selectors.EVENT_READ, None)

    def _run(self) -> None:
        request_short_slice()
        try:
            self._receive()
        except Exception as error:
            # The supervisor's next read finds that the thread ended, reports it and restarts reception.
            self.failure = f"{type(error).__name__}: {error}"
            log.exception("StatsD: the receiving thread failed with an unexpected error; it is restarted")
        finally:
            self._finish()

    def _finish(self) -> None:
        """Close the sockets, and run the tasks that were added meanwhile."""
        self.counts.lost, self._readers = self.lost, []
        with self._lock:
            self._ended = True
            self._close()
        self._do_tasks()

    def _receive(self) -> None:
        swept = polled = time.monotonic()
        arrived = 0
        while not self._stopping:
            arrived += self._read_all()
            now = time.monotonic()
            if now >= swept + SWEEP_INTERVAL:
                swept = now
                self._aggregator.sweep()
                self._freeze_garbage()
            if now >= self._streams.due:
                self._streams.sweep(now)
            self._do_tasks()
            if arrived:
                if self._streams.busy or now >= polled + MAX_SLEEP:
                    polled = now
                    self._serve_streams()
            elif not self._poll(SWEEP_INTERVAL if self._alarm else SILENCE) and self._pacer:
                self._pacer.reset()
                continue
            if not any(reader.has_more for _, reader in self._readers):
                self._pause(arrived)
                arrived = 0
        end = time.monotonic() + DRAIN_SECONDS
        while self._read_all() and time.monotonic() < end:
            pass
        self._streams.close()

    def _pause(self, arrived: int) -> None:
        brief = bool(self.settings.listen_unixgram or self._streams.connections)
        if not arrived and (brief or not self._alarm):
            return
        if self._pacer and not self._short_queue:
            self._pacer.sleep(arrived, brief=brief)
        else:
            time.sleep(MIN_SLEEP)

    def _do_tasks(self) -> None:
        while self._tasks:
            self._tasks.pop(0)()

    def _freeze_garbage(self) -> None:
        """Freeze the objects that exist: visiting every series takes too long for the receive buffer."""
        if self._aggregator.compiled_count >= self._frozen_at + FREEZE_AFTER:
            self._frozen_at = self._aggregator.compiled_count
            gc.collect()
            gc.freeze()

    def _poll(self, timeout: float) -> bool:
        """Wait for `timeout` seconds, serve connections; a datagram ends the wait. Returns whether one came."""
        ready = self._selector.select(timeout)
        for key, _ in ready:
            if key.data is not None:
                key.data()
        return any(key.data is None for key, _ in ready)

    def _serve_streams(self) -> None:
        for key, _ in self._stream_selector.select(0):
            key.data()

    def _read_all(self) -> int:
        """Process one batch of each transport; returns the size of the largest."""
        largest = 0
        self._short_queue = False
        for transport, reader in self._readers:
            batch = reader.read()
            if batch:
                largest = max(largest, len(batch))
                # The queue of a Unix socket holds ten datagrams by default; a sender of one more blocks.
                self._short_queue |= transport == "unixgram"
                self.packets[transport] += len(batch)
                self._aggregator.process_batch(batch, reader.sender, reader.find_only_sender())
                if self.relay:
                    self.relay(batch)
        return largest

    def _on_lines(self, transport: str, lines: list[bytes], sender: bytes) -> None:
        self.packets[transport] += 1
        self._aggregator.process_batch(lines, lambda _: sender, sender)
        if self.relay:
            self.relay(lines)

    def _close(self) -> None:
        for sock in self._sockets:
            sock.close()
        self._selector.close()
        self._stream_selector.close()
        if self._alarm:
            self._alarm.close()
            self._alarm = None
        for path in (self.settings.listen_unixgram, self.settings.listen_unix):
            if path and self._thread is not None:
                path.unlink(missing_ok=True)


def build_reader(socks: Sequence[socket.socket]) -> DatagramReader:
    """The fastest reader for the sockets of one address that the system supports."""
    first = socks[0]
    call = get_recvmmsg() if first.family != socket.AF_UNIX else None
    for sock in socks:
        enable_drop_counter(sock)
    if call is None:
        return SingleReader(first)
    return BatchReader(first, call) if len(socks) == 1 else OrderedReader(socks, call)
