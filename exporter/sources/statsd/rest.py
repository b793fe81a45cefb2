"""How long the receiving thread rests between two reads: until a read brings many, but never until the buffer is full.

While it rests it looks how full the buffer is, which costs a small part of a read. So a rest is made of naps, none of
which is longer than a burst would need to fill what is left.
"""

from __future__ import annotations

import socket
import sys
import time

SO_MEMINFO = 55
"""Asks Linux (since 4.12) for nine numbers of four bytes about a socket's memory: first, what waits to be read."""
TOLD = 36
SHARE = 4
"""A rest should bring one in so many of the datagrams that the buffer holds."""
MOST = 512
"""Datagrams that a rest should bring at most."""
SHORTEST, LONGEST = 0.001, 0.1
"""How short a nap and how long a rest may be, in seconds."""
BURST = 33_000
"""Datagrams a second that may begin to come during a nap without a loss."""
COUNTED = 768
"""Bytes of the buffer that the kernel counts for a small datagram: the stock one holds 277 of them."""


class Rest:
    """The rests of one socket, whose receive buffer has so many bytes as the kernel counts them."""

    def __init__(self, sock: socket.socket, buffer: int) -> None:
        self._socket = sock
        self._room = max(COUNTED, buffer)
        self._enough = min(MOST * COUNTED, self._room / SHARE)
        self._speed = self._enough / SHORTEST
        """Bytes a second that came last."""
        self._ended = time.monotonic()
        self._tells = True

    def take(self, arrived: int) -> None:
        """Rest until a read brings enough, when so many datagrams came since the last rest."""
        began = now = time.monotonic()
        if not self._tells:
            self._speed = max(1, arrived) * COUNTED / (began - self._ended)
        filled = 0.0
        while filled < self._enough and now < began + LONGEST:
            time.sleep(self._choose_nap(filled, began + LONGEST - now))
            now = time.monotonic()
            filled = self._look(now - began)
        self._speed = max(COUNTED, filled) / (now - began)
        self._ended = now

    def _choose_nap(self, filled: float, left: float) -> float:
        """Seconds until enough should be there, or until a burst that begins now would have filled the buffer."""
        wanted = (self._enough - filled) / self._speed
        safe = (self._room - filled) / (BURST * COUNTED)
        return max(SHORTEST, min(wanted, safe, left))

    def _look(self, passed: float) -> float:
        """Bytes that wait; where the kernel does not tell, as many as should have come since the rest began."""
        if self._tells:
            try:
                return int.from_bytes(self._socket.getsockopt(socket.SOL_SOCKET, SO_MEMINFO, TOLD)[:4], sys.byteorder)
            except OSError:
                self._tells = False
        return self._speed * passed
