"""How long the receiving thread sleeps between two reads: long enough for a large read, never until the buffer is full.

A sleep is made of steps. After each step the thread reads how full the buffer is, which costs a fraction of a read. No
step is longer than a sudden burst needs to fill the free part of the buffer. Wake-ups come late on a busy machine, so
the latest delays are kept free as well. After silence a burst may have any rate, so the first step is the shortest.

While little arrives, an alarm (alarm.py) makes one long step of these: a burst ends it.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from typing import Protocol

SO_MEMINFO = 55
"""Socket option (Linux 4.12): the memory of a socket as 4-byte numbers, first the bytes that wait to be read."""
BUFFER_SHARE = 2
"""A read should find the buffer filled to one part in this number."""
MAX_DATAGRAMS_PER_READ = 1024
"""Datagrams after which a sleep ends, however large the buffer is."""
MIN_SLEEP, MAX_SLEEP = 0.001, 0.1
"""Seconds of the shortest step and of the longest sleep without an alarm."""
MIN_ALARM_SLEEP, MAX_ALARM_SLEEP = 0.004, 0.5
"""Seconds of the shortest and of the longest sleep with an alarm. A wake-up costs as much as 20 datagrams."""
MAX_ALARM_SPEED = 5_000
"""Datagrams a second above which steps wake the thread less often than the alarm would."""
MAX_STEP = 0.025
"""Seconds of the longest step. A buffer of 4 MiB takes 200,000 datagrams a second for it; longer steps save little."""
MIN_USEFUL_STEP = 0.005
"""Seconds below which one more step is not worth its wake-up: a read costs little more."""
MAX_BURST_RATE = 20_000
"""Datagrams a second that may start to arrive during a step without a loss."""
SAFETY_MARGIN = 0.002
"""Seconds kept free in addition to the wake-up delay."""
UNEVEN_FILL = 0.75
"""How full several sockets are together when the first of them is full: the kernel distributes at random."""
SAMPLE_EVERY = 4
"""Of several sockets every fourth is asked how full it is: each question costs a system call."""
LATENCY_DECAY = 0.95
"""Factor by which the remembered wake-up delay shrinks with each step."""
DATAGRAM_MEMORY = 768
"""Bytes of the buffer that the kernel counts for a small datagram: a default buffer holds 277 of them."""


class Bell(Protocol):
    """What ends a sleep when much arrives."""

    def wait(self, seconds: float) -> bool:
        """Sleep for `seconds`, or until it is woken; returns whether that is because something arrived."""


class ReadPacer:
    """Chooses the sleeps for one socket, or for several that share a port and fill equally."""

    def __init__(self, socks: Sequence[socket.socket], alarm: Bell | None = None) -> None:
        """`socks` fill equally; the socket of the alarm is not among them."""
        self._getsockopts = [sock.getsockopt for sock in socks[::SAMPLE_EVERY]]
        self._scale = len(socks) / len(self._getsockopts)
        self._alarm = alarm
        self.room = sum(sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) for sock in socks)
        """Bytes of all receive buffers, as the kernel counts them."""
        self._usable_bytes = max(DATAGRAM_MEMORY, self.room * (UNEVEN_FILL if len(socks) > 1 else 1))
        self._target_bytes = min(MAX_DATAGRAMS_PER_READ * DATAGRAM_MEMORY, self._usable_bytes / BUFFER_SHARE)
        self._speed = 0.0
        """Bytes a second that arrived during the last sleep."""
        self._max_step = 0.0
        """Seconds of the longest step allowed now; it grows step by step after silence."""
        self.reset()
        self._latency = 0.0
        """Seconds by which wake-ups came late recently."""
        self._counted_since = time.monotonic()
        """When the last sleep ended, with an alarm when it began: what arrived since then gives the speed."""
        self._has_meminfo = True

    def reset(self) -> None:
        """Start again after silence: the next burst may have any rate, so the next step is the shortest."""
        self._speed = self._target_bytes / MIN_SLEEP
        self._max_step = MIN_ALARM_SLEEP if self._alarm else MIN_SLEEP

    def sleep(self, arrived: int, *, brief: bool = False) -> None:
        """Sleep until a read is worth its cost. `arrived` is the number of datagrams since the last sleep.

        If `brief`, no longer than without an alarm: other sockets are to be read as well.
        """
        now = time.monotonic()
        if self._alarm or not self._has_meminfo:
            self._speed = max(1, arrived) * DATAGRAM_MEMORY / max(MIN_SLEEP, now - self._counted_since)
        if self._alarm and not brief and self._speed < MAX_ALARM_SPEED * DATAGRAM_MEMORY:
            self._sleep_until_alarm(self._alarm, now)
        else:
            self._sleep_in_steps(now)

    def _sleep_until_alarm(self, alarm: Bell, began: float) -> None:
        """Sleep for long; the alarm ends it where that would be too long for the buffer."""
        limit = began + min(self._max_step, MAX_ALARM_SLEEP)
        now, speed, filled = began, self._speed, 0.0
        self._max_step = min(MAX_ALARM_SLEEP, 2 * self._max_step)
        while now < limit and filled < self._target_bytes / BUFFER_SHARE:
            if not alarm.wait(min((self._target_bytes - filled) / speed, limit - now)):
                break
            now = time.monotonic()
            filled = self._read_fill(now - began)
            speed = max(speed, filled / max(MIN_SLEEP, now - began))
        self._counted_since = began

    def _sleep_in_steps(self, began: float) -> None:
        now, filled = began, 0.0
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
        self._counted_since = began if self._alarm else now

    def _choose_step(self, filled: float, left: float) -> float:
        """Seconds until the target is reached, or until shortly before a burst that starts now fills the buffer."""
        wanted = (self._target_bytes - filled) / self._speed
        burst = max(MAX_BURST_RATE * DATAGRAM_MEMORY, self._speed)
        safe = (self._usable_bytes - filled) / burst - self._latency - SAFETY_MARGIN
        return min(wanted, safe, left, self._max_step, MAX_STEP)

    def _read_fill(self, passed: float) -> float:
        """Bytes that wait to be read; estimated from the rate if the kernel has no SO_MEMINFO."""
        if self._has_meminfo:
            try:
                return self._scale * sum([ask(socket.SOL_SOCKET, SO_MEMINFO) for ask in self._getsockopts])
            except OSError:
                self._has_meminfo = False
        return self._speed * passed
