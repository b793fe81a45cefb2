"""The receiving thread: the only place where StatsD's sockets are read.

It waits in the kernel while nothing comes. While datagrams come it reads all that wait, then rests for as long as fills
part of a batch, or not at all while batches come full: few, large reads are what makes an event cheap.
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
from pathlib import Path

from exporter.sources.statsd.aggregator import Aggregator
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
"""After how many new meanings what is there is taken out of the garbage collector's sight."""
SWEEP_INTERVAL = 1.0
"""Seconds between sweeps, and the longest wait."""
DRAIN_SECONDS = 1.0
"""Seconds for which what has arrived is read when reception is to end: senders may never pause."""
TRANSPORTS = ("udp", "tcp", "unixgram", "unix")


@dataclass(frozen=True, slots=True)
class Listeners:
    """Where to listen; empty is nowhere. `buffer` is the receive buffer to ask for in bytes, 0 for the system's own.

    Connections that are silent for `idle` seconds are closed; 0 leaves them open.
    """

    udp: str = ""
    tcp: str = ""
    unixgram: Path | None = None
    unix: Path | None = None
    mode: int = 0o660
    buffer: int = 0
    idle: float = 0.0


@dataclass(slots=True)
class ReceptionCounts:
    """What came. It goes on when a receiver takes the place of one that ended."""

    packets: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(TRANSPORTS, 0)))
    lost: int = 0
    """Datagrams that the kernel threw away before the present sockets were opened."""
    connections: ConnectionCounts = field(default_factory=ConnectionCounts)


class Receiver:
    """Receives from `start` to `stop`. Its counts may be read by any thread."""

    def __init__(
        self,
        listeners: Listeners,
        aggregator: Aggregator,
        relay: Callable[[Sequence[bytes]], None] | None = None,
        counts: ReceptionCounts | None = None,
    ) -> None:
        self.listeners = listeners
        self._aggregator = aggregator
        self.relay = relay
        self._selector = selectors.DefaultSelector()
        self.counts = counts or ReceptionCounts()
        self._streams = StreamListeners(self._selector, self._on_lines, self.counts.connections, idle=listeners.idle)
        self._sockets: list[socket.socket] = []
        self._readers: list[tuple[str, DatagramReader]] = []
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._tasks: list[Callable[[], None]] = []
        self._ended = False
        self._lock = threading.Lock()
        """Held while a task is added and when reception ends, so that no task is left behind."""
        self.failure = ""
        """Why reception ended, where an error ended it."""
        self.packets = self.counts.packets
        self._pacer: ReadPacer | None = None
        self._short_queue = False
        """Whether the last read brought something of a queue that is too short for a rest."""
        self._frozen_at = 0
        self.granted = 0
        """Bytes of the receive buffers of the UDP sockets, as the kernel counts them."""

    @property
    def lost(self) -> int:
        """Datagrams that the kernel threw away because the buffer was full."""
        return self.counts.lost + sum(reader.lost for _, reader in self._readers)

    @property
    def connections(self) -> int:
        """Connections that are open."""
        return self._streams.connections

    @property
    def alive(self) -> bool:
        """Whether it receives."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Bind every address and begin, or none. Raises ReaderError."""
        try:
            self._bind()
        except BaseException:
            self._close()
            raise
        self._thread = threading.Thread(target=self._run, name="statsd-receiver", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Take what has arrived, and close the sockets."""
        self._stopping = True
        if self._thread is not None:
            self._thread.join()

    def call(self, task: Callable[[], None]) -> bool:
        """Let the receiving thread do something between two batches, soon; False where reception has ended."""
        with self._lock:
            if not self._ended:
                self._tasks.append(task)
            return not self._ended

    def _bind(self) -> None:
        wanted = self.listeners
        if wanted.udp:
            socks = [
                self._keep(sock) for sock in bind_port(wanted.udp, wanted.buffer, shared=get_recvmmsg() is not None)
            ]
            self._pacer = ReadPacer(socks)
            self.granted = self._pacer.room
            self._add_reader("udp", socks)
        if wanted.unixgram:
            self._add_reader("unixgram", [self._keep(bind_unix(wanted.unixgram, socket.SOCK_DGRAM, wanted.mode))])
        if wanted.tcp:
            self._streams.listen(self._keep(bind_inet(wanted.tcp, socket.SOCK_STREAM)), "tcp")
        if wanted.unix:
            self._streams.listen(self._keep(bind_unix(wanted.unix, socket.SOCK_STREAM, wanted.mode)), "unix")

    def _keep(self, sock: socket.socket) -> socket.socket:
        self._sockets.append(sock)
        return sock

    def _add_reader(self, transport: str, socks: Sequence[socket.socket]) -> None:
        self._readers.append((transport, make_reader(socks)))
        for sock in socks:
            self._selector.register(sock, selectors.EVENT_READ, None)

    def _run(self) -> None:
        request_short_slice()
        try:
            self._receive()
        except Exception as error:
            # The supervisor's next read finds the thread ended, reports it, and starts reception again.
            self.failure = f"{type(error).__name__}: {error}"
            log.exception("StatsD: the receiving thread ended by an error that is not foreseen; it is started again")
        finally:
            self._finish()

    def _finish(self) -> None:
        """Close the sockets, and do what was asked for meanwhile."""
        self.counts.lost, self._readers = self.lost, []
        self._close()
        with self._lock:
            self._ended = True
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
            if not arrived:
                if self._pacer:
                    self._pacer.reset()
                self._poll(SWEEP_INTERVAL / 4)
            elif self._streams.busy or now >= polled + MAX_SLEEP:
                polled = now
                self._poll(0)
            if arrived and not any(reader.has_more for _, reader in self._readers):
                self._pause(arrived)
                arrived = 0
        end = time.monotonic() + DRAIN_SECONDS
        while self._read_all() and time.monotonic() < end:
            pass
        self._streams.close()

    def _pause(self, arrived: int) -> None:
        if self._pacer and not self._short_queue:
            self._pacer.sleep(arrived)
        else:
            time.sleep(MIN_SLEEP)

    def _do_tasks(self) -> None:
        while self._tasks:
            self._tasks.pop(0)()

    def _freeze_garbage(self) -> None:
        """Keep the garbage collector from walking over every series, for longer than the buffer has room."""
        if self._aggregator.compiled_count >= self._frozen_at + FREEZE_AFTER:
            self._frozen_at = self._aggregator.compiled_count
            gc.collect()
            gc.freeze()

    def _poll(self, timeout: float) -> None:
        """Serve connections; a datagram ends the wait."""
        for key, _ in self._selector.select(timeout):
            if key.data is not None:
                key.data()

    def _read_all(self) -> int:
        """One batch of each transport; returns how many came by the one that brought most."""
        largest = 0
        self._short_queue = False
        for transport, reader in self._readers:
            batch = reader.read()
            if batch:
                largest = max(largest, len(batch))
                # The queue of a Unix socket holds ten datagrams by default, and whoever sends one more is kept waiting.
                self._short_queue |= transport == "unixgram"
                self.packets[transport] += len(batch)
                self._aggregator.process_batch(batch, reader.sender)
                if self.relay:
                    self.relay(batch)
        return largest

    def _on_lines(self, transport: str, lines: list[bytes], sender: bytes) -> None:
        self.packets[transport] += 1
        self._aggregator.process_batch(lines, lambda _: sender)
        if self.relay:
            self.relay(lines)

    def _close(self) -> None:
        for sock in self._sockets:
            sock.close()
        self._selector.close()
        for path in (self.listeners.unixgram, self.listeners.unix):
            if path and self._thread is not None:
                path.unlink(missing_ok=True)


def make_reader(socks: Sequence[socket.socket]) -> DatagramReader:
    """The best way to read datagrams from the sockets of an address."""
    first = socks[0]
    call = get_recvmmsg() if first.family != socket.AF_UNIX else None
    for sock in socks:
        enable_drop_counter(sock)
    if call is None:
        return SingleReader(first)
    return BatchReader(first, call) if len(socks) == 1 else OrderedReader(socks, call)
