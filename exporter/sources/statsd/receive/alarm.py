"""Wakes the receiving thread when much arrives: what lets it sleep for long while little does.

Of the sockets that share a port the last one gets one datagram in ALARM_SHARE, chosen at random by the kernel. While
the thread sleeps it waits for that socket alone. So a few datagrams a second do not wake it, and a burst does after
some hundred datagrams, whatever its speed. `wake` ends a sleep, too, from any thread.
"""

from __future__ import annotations

import os
import select
import socket
from contextlib import suppress

ALARM_SHARE = 128
"""The socket gets one datagram of so many. That none of 2,000 is among its own happens once in seven million bursts."""
MIN_ALARM_ROOM = 2 * 1024 * 1024
"""Bytes of the receive buffers without which a burst may be lost before the alarm rings: 2,700 small datagrams."""


class Alarm:
    """Waits for one socket, and for `wake`."""

    def __init__(self, sock: socket.socket) -> None:
        self._epoll = select.epoll()
        self._event = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        # Edge-triggered: a datagram that was seen, and is left unread for now, does not wake the thread again.
        self._epoll.register(sock, select.EPOLLIN | select.EPOLLET)
        self._epoll.register(self._event, select.EPOLLIN)

    def fileno(self) -> int:
        """The descriptor that is readable after `wake`."""
        return self._event

    def wait(self, seconds: float) -> bool:
        """Sleep for `seconds`, or until `wake` is called; returns whether that is because the socket got a datagram."""
        ready = [descriptor for descriptor, _ in self._epoll.poll(seconds)]
        if self._event in ready:
            self.clear()
            return False
        return bool(ready)

    def wake(self) -> None:
        """End the sleep, or the next one if the thread is awake."""
        os.eventfd_write(self._event, 1)

    def clear(self) -> None:
        """Forget that `wake` was called."""
        with suppress(BlockingIOError):
            os.eventfd_read(self._event)

    def close(self) -> None:
        """Close the descriptors."""
        self._epoll.close()
        os.close(self._event)
