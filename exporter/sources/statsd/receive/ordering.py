"""Datagrams of several sockets that share a port (`reuseport.py`), in the order in which they arrived.

The order matters because a gauge keeps the last value. Each round reads all sockets and sorts by the kernel's time
stamps. A datagram that arrived during the round may be newer than one in a socket that was already read, so it is held
back for the next round. So is one that arrived shortly before: the kernel stamps a datagram before it queues it.
"""

from __future__ import annotations

import socket
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence

from exporter.sources.statsd.receive.recvmmsg import (
    ADDRESS_BYTES,
    CMSGHDR_BYTES,
    CONTROL_BYTES,
    MAX_BATCH,
    MsgBuffers,
    find_only_host,
)

NANOSECONDS = 1e9
QUEUE_DELAY = 0.002
"""Seconds that may pass between the stamp of a datagram and its place in the queue."""
WORD_BYTES = 8
STAMP_END = CMSGHDR_BYTES + 2 * WORD_BYTES
"""Bytes of the time stamp (SCM_TIMESTAMPNS, struct timespec) in the control data; the drop counter follows."""


class OrderedReader:
    """Reads all sockets of a port by `recvmmsg`, into the same buffers. The sockets must stamp what they receive."""

    def __init__(self, socks: Sequence[socket.socket], call: Callable[..., int]) -> None:
        self._buffers = MsgBuffers(socks[0].family, call)
        self._lost = {sock.fileno(): 0 for sock in socks}
        words = self._buffers.controls.cast("q")
        self._seconds = words[CMSGHDR_BYTES // WORD_BYTES :: CONTROL_BYTES // WORD_BYTES]
        self._nanoseconds = words[CMSGHDR_BYTES // WORD_BYTES + 1 :: CONTROL_BYTES // WORD_BYTES]
        self._datagrams: list[bytes] = []
        self._epoch = int(time.time())
        self._stamps: list[float] = []
        """Nanoseconds since `_epoch`: small numbers sort fast."""
        self._addresses: list[bytes] = []
        self._senders = b""
        self._order: Sequence[int] = ()
        self._held: Sequence[int] = ()
        self.has_more = False

    @property
    def lost(self) -> int:
        """Datagrams that the kernel dropped, as far as it reported."""
        return sum(self._lost.values())

    def read(self) -> Sequence[bytes]:
        """All datagrams that wait. Raises OSError if a socket cannot be used."""
        batch = self._read_round()
        if batch or not self._held:
            return batch
        time.sleep(QUEUE_DELAY)
        return self._read_round()

    def _read_round(self) -> Sequence[bytes]:
        self._keep_held()
        limit = self._get_time() - QUEUE_DELAY * NANOSECONDS
        self.has_more = False
        for descriptor in self._lost:
            self._read_socket(descriptor, limit)
        self._drain_buffers()
        self._senders = b"".join(self._addresses)
        stamps = self._stamps
        order = sorted(range(len(stamps)), key=stamps.__getitem__)
        start = bisect_right(order, limit, key=stamps.__getitem__)
        # A stamp of the future means that the machine's clock was set back: it says nothing about the order.
        end = bisect_right(order, self._get_time(), key=stamps.__getitem__)
        self._order, self._held = order[:start] + order[end:], order[start:end]
        return [self._datagrams[index] for index in self._order]

    def _keep_held(self) -> None:
        """Start a round with the datagrams that the last one held back."""
        self._addresses = [self._senders[index * ADDRESS_BYTES : (index + 1) * ADDRESS_BYTES] for index in self._held]
        self._datagrams = [self._datagrams[index] for index in self._held]
        self._stamps = [self._stamps[index] for index in self._held]

    def _get_time(self) -> float:
        """Nanoseconds since `_epoch`, by the clock that makes the stamps."""
        return time.time_ns() - self._epoch * NANOSECONDS

    def _read_socket(self, descriptor: int, limit: float) -> None:
        buffers, taken = self._buffers, 0
        while True:
            free = MAX_BATCH - buffers.used
            count = buffers.receive(descriptor)
            if count:
                self._lost[descriptor] = buffers.get_drop_count(STAMP_END) or self._lost[descriptor]
            if count < free:
                return
            self._drain_buffers()
            taken += count
            self.has_more |= taken >= MAX_BATCH
            if self._stamps[-1] > limit:
                return

    def _drain_buffers(self) -> None:
        buffers, epoch, used = self._buffers, self._epoch, self._buffers.used
        self._datagrams += buffers.copy()
        self._addresses.append(bytes(buffers.addresses[: used * ADDRESS_BYTES]))
        seconds, nanoseconds = self._seconds[:used].tolist(), self._nanoseconds[:used].tolist()
        self._stamps += [(one - epoch) * NANOSECONDS + rest for one, rest in zip(seconds, nanoseconds, strict=True)]
        buffers.clear()

    def sender(self, place: int) -> bytes:
        """The sender's address (without port) of a datagram of the last batch."""
        start = self._order[place] * ADDRESS_BYTES
        return self._senders[start : start + ADDRESS_BYTES][self._buffers.host]

    def find_only_sender(self) -> bytes | None:
        """The address of all datagrams of the last batch; None if they, or those held back, have several."""
        return find_only_host(memoryview(self._senders), self._buffers.host)
