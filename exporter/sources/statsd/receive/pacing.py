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
SHARE = 2
"""A rest should bring one in so many of the datagrams that the buffer holds."""
MOST = 1024
"""Datagrams that a rest should bring at most."""
SHORTEST, LONGEST = 0.001, 0.1
"""How short the first nap and how long a rest may be, in seconds."""
NAP = 0.025
"""The longest nap in seconds: 200,000 a second may begin in it where the buffer has 4 MiB; longer ones save little."""
WORTH = 0.005
"""Seconds below which a further nap is not worth the waking: a read costs little more."""
BURST = 20_000
"""Datagrams a second that may begin to come during a nap without a loss."""
SPARE = 0.002
"""Seconds kept free beside those by which naps were late."""
EVEN = 0.75
"""The part of the room of several sockets that is full before one of them is: chance does not fill them evenly."""
EACH = 4
"""Of so many sockets one is asked: that tells enough, and every question costs."""
FADE = 0.95
"""What is left of the longest delay of late after one more nap."""
COUNTED = 768
"""Bytes of the buffer that the kernel counts for a small datagram: the stock one holds 277 of them."""


class Rest:
    """The rests of one socket, or of several that share a port and fill alike."""

    def __init__(self, socks: Sequence[socket.socket]) -> None:
        self._asked = [sock.getsockopt for sock in socks[::EACH]]
        self._each = len(socks) / len(self._asked)
        self.room = sum(sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) for sock in socks)
        """Bytes of their receive buffers, as the kernel counts them."""
        self._usable = max(COUNTED, self.room * (EVEN if len(socks) > 1 else 1))
        self._enough = min(MOST * COUNTED, self._usable / SHARE)
        self._speed = 0.0
        """Bytes a second that came last."""
        self._longest = 0.0
        """How long a nap may be: who came out of silence is trusted step by step."""
        self.forget()
        self._late = 0.0
        """Seconds by which naps were too long of late."""
        self._ended = time.monotonic()
        self._tells = True

    def forget(self) -> None:
        """Nothing comes: what comes next may be a burst of any speed, so the nap after it is the shortest."""
        self._speed = self._enough / SHORTEST
        self._longest = SHORTEST

    def take(self, arrived: int) -> None:
        """Rest until a read brings enough, when so many datagrams came since the last rest."""
        began = now = time.monotonic()
        if not self._tells:
            self._speed = max(1, arrived) * COUNTED / (began - self._ended)
        filled = 0.0
        nap = max(SHORTEST, self._choose_nap(filled, LONGEST))
        while nap > 0:
            due = now + nap
            time.sleep(nap)
            self._longest = min(NAP, 2 * self._longest)
            now = time.monotonic()
            self._late = max(now - due, self._late * FADE)
            filled = self._look(now - began)
            further = self._choose_nap(filled, began + LONGEST - now)
            nap = further if further >= WORTH else 0
        self._speed = max(COUNTED, filled) / (now - began)
        self._ended = now

    def _choose_nap(self, filled: float, left: float) -> float:
        """Seconds until enough should be there, or until shortly before a burst that begins now fills the buffer."""
        wanted = (self._enough - filled) / self._speed
        safe = (self._usable - filled) / max(BURST * COUNTED, self._speed) - self._late - SPARE
        return min(wanted, safe, left, self._longest)

    def _look(self, passed: float) -> float:
        """Bytes that wait; where the kernel does not tell, as many as should have come since the rest began."""
        if self._tells:
            try:
                return self._each * sum([ask(socket.SOL_SOCKET, SO_MEMINFO) for ask in self._asked])
            except OSError:
                self._tells = False
        return self._speed * passed
