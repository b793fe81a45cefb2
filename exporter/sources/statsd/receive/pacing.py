"""How long the receiving thread rests between two reads: until a read brings many, but never until the buffer is full.

While it rests it looks how full the buffer is, which costs a small part of a read. So a rest is made of naps, none of
which is longer than a burst would need to fill what is left. Nobody wakes up in time: how late it was of late is kept
free as well, so that rests are short while the machine or a scrape keeps the thread waiting. And who has been silent
may begin with a burst of any speed: then the first rest is as short as can be.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence

SO_MEMINFO = 55
"""Asks Linux (since 4.12) for numbers of four bytes about a socket's memory: first, what waits to be read."""
BUFFER_SHARE = 2
"""A rest should bring one in so many of the datagrams that the buffer holds."""
MAX_DATAGRAMS_PER_READ = 1024
"""Datagrams that a rest should bring at most."""
MIN_SLEEP, MAX_SLEEP = 0.001, 0.1
"""How short the first step and how long a rest may be, in seconds."""
MAX_STEP = 0.025
"""The longest step in seconds: 200,000 a second may begin in it where the buffer has 4 MiB; longer ones save little."""
MIN_USEFUL_STEP = 0.005
"""Seconds below which a further step is not worth the waking: a read costs little more."""
MAX_BURST_RATE = 20_000
"""Datagrams a second that may begin to come during a step without a loss."""
SAFETY_MARGIN = 0.002
"""Seconds kept free beside those by which naps were late."""
UNEVEN_FILL = 0.75
"""The part of the room of several sockets that is full before one of them is: chance does not fill them evenly."""
SAMPLE_EVERY = 4
"""Of so many sockets one is asked: that tells enough, and every question costs."""
LATENCY_DECAY = 0.95
"""What is left of the longest delay of late after one more step."""
DATAGRAM_MEMORY = 768
"""Bytes of the buffer that the kernel counts for a small datagram: the stock one holds 277 of them."""


class ReadPacer:
    """The rests of one socket, or of several that share a port and fill alike."""

    def __init__(self, socks: Sequence[socket.socket]) -> None:
        self._getsockopts = [sock.getsockopt for sock in socks[::SAMPLE_EVERY]]
        self._scale = len(socks) / len(self._getsockopts)
        self.room = sum(sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) for sock in socks)
        """Bytes of their receive buffers, as the kernel counts them."""
        self._usable_bytes = max(DATAGRAM_MEMORY, self.room * (UNEVEN_FILL if len(socks) > 1 else 1))
        self._target_bytes = min(MAX_DATAGRAMS_PER_READ * DATAGRAM_MEMORY, self._usable_bytes / BUFFER_SHARE)
        self._speed = 0.0
        """Bytes a second that came last."""
        self._max_step = 0.0
        """How long a step may be: who came out of silence is trusted step by step."""
        self.reset()
        self._latency = 0.0
        """Seconds by which naps were too long of late."""
        self._ended = time.monotonic()
        self._has_meminfo = True

    def reset(self) -> None:
        """Nothing comes: what comes next may be a burst of any speed, so the step after it is the shortest."""
        self._speed = self._target_bytes / MIN_SLEEP
        self._max_step = MIN_SLEEP

    def sleep(self, arrived: int) -> None:
        """ReadPacer until a read brings enough, when so many datagrams came since the last rest."""
        began = now = time.monotonic()
        if not self._has_meminfo:
            self._speed = max(1, arrived) * DATAGRAM_MEMORY / (began - self._ended)
        filled = 0.0
        step = max(MIN_SLEEP, self._choose_step(filled, MAX_SLEEP))
        while step > 0:
            due = now + step
            time.sleep(step)
            self._max_step = min(MAX_STEP, 2 * self._max_step)
            now = time.monotonic()
            self._latency = max(now - due, self._latency * LATENCY_DECAY)
            filled = self._read_fill(now - began)
            further = self._choose_step(filled, began + MAX_SLEEP - now)
            step = further if further >= MIN_USEFUL_STEP else 0
        self._speed = max(DATAGRAM_MEMORY, filled) / (now - began)
        self._ended = now

    def _choose_step(self, filled: float, left: float) -> float:
        """Seconds until enough should be there, or until shortly before a burst that begins now fills the buffer."""
        wanted = (self._target_bytes - filled) / self._speed
        safe = (
            (self._usable_bytes - filled) / max(MAX_BURST_RATE * DATAGRAM_MEMORY, self._speed)
            - self._latency
            - SAFETY_MARGIN
        )
        return min(wanted, safe, left, self._max_step)

    def _read_fill(self, passed: float) -> float:
        """Bytes that wait; where the kernel does not tell, as many as should have come since the rest began."""
        if self._has_meminfo:
            try:
                return self._scale * sum([ask(socket.SOL_SOCKET, SO_MEMINFO) for ask in self._getsockopts])
            except OSError:
                self._has_meminfo = False
        return self._speed * passed
