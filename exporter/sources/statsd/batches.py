"""Datagrams by the batch: one call of the system for many, into buffers that are made once.

`recvmmsg` is called by ctypes and never waits. The interpreter's lock is kept meanwhile: to get it back from a thread
that renders would take longer than the call. Where it is missing, datagrams are read one by one until there are none.
The kernel tells with each datagram how many it threw away before (SO_RXQ_OVFL).
"""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Protocol

BATCH = 192
"""Datagrams a call: more than a rest should bring of the stock buffer (rest.py)."""
SIZE = 65_536
"""Bytes of the largest datagram; memory is used for what is really sent."""
STRIDE = SIZE + 64
"""Bytes from one buffer to the next: at a power of two all would share the same few lines of the processor's cache."""
ADDRESS = 128
CONTROL = 64
SO_RXQ_OVFL = 40
PASSING = frozenset({errno.EAGAIN, errno.EINTR, errno.ECONNREFUSED})
"""Errors that say that there is nothing now."""
WORD = ctypes.sizeof(ctypes.c_size_t)


class Vector(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class Header(ctypes.Structure):
    """struct msghdr."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class Message(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = (("header", Header), ("length", ctypes.c_uint32))


class Reader(Protocol):
    """What reads batches from one socket, and never waits."""

    lost: int
    """Datagrams that the kernel threw away, as far as it told."""

    def read(self) -> Sequence[bytes]: ...
    def sender(self, place: int) -> bytes: ...


class Batches:
    """Reads by `recvmmsg`."""

    def __init__(self, sock: socket.socket, call: Callable[..., int]) -> None:
        self._call = call
        self._descriptor = sock.fileno()
        # Anonymous pages are zero at first and take memory when they are used.
        self._data = mmap.mmap(-1, BATCH * STRIDE)
        self._addresses = memoryview(bytearray(BATCH * ADDRESS))
        self._controls = memoryview(bytearray(BATCH * CONTROL))
        self._vectors = (Vector * BATCH)()
        self._messages = (Message * BATCH)()
        self._starts = range(0, BATCH * STRIDE, STRIDE)
        first, last = (4, 8) if sock.family == socket.AF_INET else (8, 24)
        starts = range(0, BATCH * ADDRESS, ADDRESS)
        self._hosts = [self._addresses[start + first : start + last] for start in starts]
        """Where struct sockaddr_in and sockaddr_in6 have the host."""
        self.lost = 0
        self._arrange()
        self._pristine = bytes(self._messages)
        self._used = 0
        words = memoryview(self._messages).cast("B").cast("I")
        self._lengths = words[Message.length.offset // 4 :: ctypes.sizeof(Message) // 4]

    def _arrange(self) -> None:
        data, addresses, controls = map(find_address, (memoryview(self._data), self._addresses, self._controls))
        for place, (vector, message) in enumerate(zip(self._vectors, self._messages, strict=True)):
            vector.base, vector.length = data + place * STRIDE, SIZE
            header = message.header
            header.name, header.name_length = addresses + place * ADDRESS, ADDRESS
            header.vectors, header.vector_count = ctypes.addressof(vector), 1
            header.control, header.control_length = controls + place * CONTROL, CONTROL

    def read(self) -> Sequence[bytes]:
        """The datagrams that are there, at most BATCH. Raises OSError where the socket is of no use."""
        # The kernel shortens the lengths that it was given.
        ctypes.memmove(self._messages, self._pristine, self._used * ctypes.sizeof(Message))
        count = self._call(self._descriptor, self._messages, BATCH, socket.MSG_DONTWAIT, None)
        if count <= 0:
            number = ctypes.get_errno()
            if count < 0 and number not in PASSING:
                raise OSError(number, os.strerror(number))
            self._used = 0
            return ()
        self._used = count
        if self._messages[count - 1].header.control_length:
            start = (count - 1) * CONTROL + 2 * WORD
            self.lost = int.from_bytes(self._controls[start : start + 4], sys.byteorder)
        data, lengths = self._data, self._lengths[:count].tolist()
        return [data[start : start + length] for start, length in zip(self._starts, lengths, strict=False)]

    def sender(self, place: int) -> bytes:
        """The address (no port) of the sender of a datagram of the newest batch."""
        return bytes(self._hosts[place])


class Singles:
    """Reads one datagram a call, where there is no `recvmmsg`, and for Unix sockets."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._senders: list[bytes] = []
        self.lost = 0

    def read(self) -> Sequence[bytes]:
        """The datagrams that are there, at most BATCH. Raises OSError where the socket is of no use."""
        batch: list[bytes] = []
        self._senders = []
        while len(batch) < BATCH:
            try:
                data, control, _, address = self._socket.recvmsg(SIZE, CONTROL, socket.MSG_DONTWAIT)
            except (BlockingIOError, InterruptedError, ConnectionRefusedError):
                break
            for level, kind, content in control:
                if (level, kind) == (socket.SOL_SOCKET, SO_RXQ_OVFL):
                    self.lost = int.from_bytes(content[:4], sys.byteorder)
            batch.append(data)
            self._senders.append(pack_address(address))
        return batch

    def sender(self, place: int) -> bytes:
        """The address (no port) of the sender of a datagram of the newest batch."""
        return self._senders[place]


def pack_address(address: object) -> bytes:
    """An IP address in its bytes; nothing for Unix sockets."""
    if not isinstance(address, tuple):
        return b""
    host = str(address[0]).partition("%")[0]
    return socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)


def find_address(buffer: memoryview) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


def find_call() -> Callable[..., int] | None:
    """The C library's `recvmmsg`, None where there is none."""
    try:
        return ctypes.PyDLL(None, use_errno=True).recvmmsg
    except (AttributeError, OSError):
        return None


def make_reader(sock: socket.socket) -> Reader:
    """The best way to read datagrams from a socket."""
    if os.uname().sysname == "Linux":
        sock.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
    call = find_call() if sock.family != socket.AF_UNIX else None
    return Batches(sock, call) if call else Singles(sock)
