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
HEAD = 1_536
"""Bytes that lie close together: what a client packs fits, and no page of memory is touched for each datagram."""
STRIDE = HEAD + 64
"""Bytes from one head to the next: at a power of two all would share the same few lines of the processor's cache."""
ADDRESS = 32
"""Bytes for the sender's address: struct sockaddr_in6 has 28."""
CONTROL = 64
"""Bytes for what the kernel tells with a datagram."""
SO_RXQ_OVFL = 40
PASSING = frozenset({errno.EAGAIN, errno.EINTR, errno.ECONNREFUSED})
"""Errors that say that there is nothing now."""
HEADER = ctypes.sizeof(ctypes.c_size_t) + 2 * ctypes.sizeof(ctypes.c_int)
"""Bytes of struct cmsghdr."""


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
    """What reads batches from the sockets of one address, and never waits."""

    @property
    def lost(self) -> int:
        """Datagrams that the kernel threw away, as far as it told."""

    @property
    def behind(self) -> bool:
        """Whether the newest batch may have left some."""

    def read(self) -> Sequence[bytes]: ...
    def sender(self, place: int) -> bytes: ...


class Slots:
    """Room for one batch, which `recvmmsg` fills, in one call or in several."""

    def __init__(self, family: int, call: Callable[..., int]) -> None:
        self._call = call
        # Anonymous pages are zero at first and take memory when they are used.
        self._heads = mmap.mmap(-1, BATCH * STRIDE)
        self._tails = mmap.mmap(-1, BATCH * SIZE)
        self.addresses = memoryview(bytearray(BATCH * ADDRESS))
        self.controls = memoryview(bytearray(BATCH * CONTROL))
        self._vectors = (Vector * (2 * BATCH))()
        self._messages = (Message * BATCH)()
        self._starts = range(0, BATCH * STRIDE, STRIDE)
        self.host = slice(4, 8) if family == socket.AF_INET else slice(8, 24)
        """Where struct sockaddr_in and sockaddr_in6 have the host."""
        self._arrange()
        self._pristine = bytes(self._messages)
        self._places = [ctypes.c_void_p(ctypes.addressof(message)) for message in self._messages]
        self.used = 0
        self._lengths = view_numbers(self._messages, Message.length.offset, "I")
        self._told = view_numbers(self._messages, Header.control_length.offset, "N")

    def _arrange(self) -> None:
        heads, tails = (find_address(memoryview(one)) for one in (self._heads, self._tails))
        addresses, controls = find_address(self.addresses), find_address(self.controls)
        for place, message in enumerate(self._messages):
            head, tail = self._vectors[2 * place : 2 * place + 2]
            head.base, head.length = heads + place * STRIDE, HEAD
            tail.base, tail.length = tails + place * SIZE, SIZE - HEAD
            header = message.header
            header.name, header.name_length = addresses + place * ADDRESS, ADDRESS
            header.vectors, header.vector_count = ctypes.addressof(head), 2
            header.control, header.control_length = controls + place * CONTROL, CONTROL

    def fill(self, descriptor: int) -> int:
        """Take what waits, as much as fits beside what is there; says how many datagrams. Raises OSError where the
        socket is of no use.
        """
        used = self.used
        count = self._call(descriptor, self._places[used], BATCH - used, socket.MSG_DONTWAIT, None)
        if count < 0:
            number = ctypes.get_errno()
            if number not in PASSING:
                raise OSError(number, os.strerror(number))
            return 0
        self.used = used + count
        return count

    def copy(self) -> list[bytes]:
        """The datagrams that are there."""
        heads, lengths = self._heads, self._lengths[: self.used].tolist()
        if max(lengths, default=0) > HEAD:
            return [self._join(place, length) for place, length in enumerate(lengths)]
        return [heads[start : start + length] for start, length in zip(self._starts, lengths, strict=False)]

    def _join(self, place: int, length: int) -> bytes:
        start, end = self._starts[place], place * SIZE
        return self._heads[start : start + min(length, HEAD)] + self._tails[end : end + max(0, length - HEAD)]

    def clear(self) -> None:
        """Make room: the kernel shortens the lengths that it was given."""
        ctypes.memmove(self._messages, self._pristine, self.used * ctypes.sizeof(Message))
        self.used = 0

    def find_lost(self, start: int) -> int:
        """How many the kernel told that it has thrown away, 0 where it says nothing; `start` is where it tells."""
        last = self.used - 1
        if self._told[last] <= start:
            return 0
        start += last * CONTROL + HEADER
        return int.from_bytes(self.controls[start : start + 4], sys.byteorder)


class Batches:
    """Reads one socket by `recvmmsg`."""

    def __init__(self, sock: socket.socket, call: Callable[..., int]) -> None:
        self._descriptor = sock.fileno()
        self._slots = Slots(sock.family, call)
        self.lost = 0
        self.behind = False

    def read(self) -> Sequence[bytes]:
        """The datagrams that are there, at most BATCH. Raises OSError where the socket is of no use."""
        self._slots.clear()
        count = self._slots.fill(self._descriptor)
        self.behind = count == BATCH
        if not count:
            return ()
        self.lost = self._slots.find_lost(0) or self.lost
        return self._slots.copy()

    def sender(self, place: int) -> bytes:
        """The address (no port) of the sender of a datagram of the newest batch."""
        start = place * ADDRESS
        return bytes(self._slots.addresses[start : start + ADDRESS][self._slots.host])


class Singles:
    """Reads one datagram a call, where there is no `recvmmsg`, and for Unix sockets."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._senders: list[bytes] = []
        self.lost = 0
        self.behind = False

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
        self.behind = len(batch) == BATCH
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


def view_numbers(messages: ctypes.Array[Message], offset: int, kind: str) -> memoryview:
    """The numbers at that place of each message; `kind` is as in the module struct."""
    numbers = memoryview(messages).cast("B").cast(kind)  # type: ignore[call-overload]
    view: memoryview = numbers[offset // numbers.itemsize :: ctypes.sizeof(Message) // numbers.itemsize]
    return view


def find_call() -> Callable[..., int] | None:
    """The C library's `recvmmsg`, None where there is none."""
    try:
        return ctypes.PyDLL(None, use_errno=True).recvmmsg
    except (AttributeError, OSError):
        return None


def watch_losses(sock: socket.socket) -> None:
    """Let the kernel tell how many datagrams it threw away, with the next one that it keeps."""
    if os.uname().sysname == "Linux":
        sock.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
