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

MAX_BATCH = 192
"""Datagrams a call: more than a rest should bring of the stock buffer (rest.py)."""
MAX_DATAGRAM_BYTES = 65_536
"""Bytes of the largest datagram; memory is used for what is really sent."""
HEAD_BYTES = 1_536
"""Bytes that lie close together: what a client packs fits, and no page of memory is touched for each datagram."""
STRIDE = HEAD_BYTES + 64
"""Bytes from one head to the next: at a power of two all would share the same few lines of the processor's cache."""
ADDRESS_BYTES = 32
"""Bytes for the sender's address: struct sockaddr_in6 has 28."""
CONTROL_BYTES = 64
"""Bytes for what the kernel tells with a datagram."""
SO_RXQ_OVFL = 40
TRANSIENT_ERRORS = frozenset({errno.EAGAIN, errno.EINTR, errno.ECONNREFUSED})
"""Errors that say that there is nothing now."""
CMSGHDR_BYTES = ctypes.sizeof(ctypes.c_size_t) + 2 * ctypes.sizeof(ctypes.c_int)
"""Bytes of struct cmsghdr."""


class Iovec(ctypes.Structure):
    """struct iovec."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class Msghdr(ctypes.Structure):
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


class Mmsghdr(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = (("header", Msghdr), ("length", ctypes.c_uint32))


class DatagramReader(Protocol):
    """What reads batches from the sockets of one address, and never waits."""

    @property
    def lost(self) -> int:
        """Datagrams that the kernel threw away, as far as it told."""

    @property
    def has_more(self) -> bool:
        """Whether the newest batch may have left some."""

    def read(self) -> Sequence[bytes]: ...
    def sender(self, place: int) -> bytes: ...


class MsgBuffers:
    """Room for one batch, which `recvmmsg` fills, in one call or in several."""

    def __init__(self, family: int, call: Callable[..., int]) -> None:
        self._call = call
        # Anonymous pages are zero at first and take memory when they are used.
        self._heads = mmap.mmap(-1, MAX_BATCH * STRIDE)
        self._tail_pages = mmap.mmap(-1, MAX_BATCH * MAX_DATAGRAM_BYTES)
        self.addresses = memoryview(bytearray(MAX_BATCH * ADDRESS_BYTES))
        self.controls = memoryview(bytearray(MAX_BATCH * CONTROL_BYTES))
        self._vectors = (Iovec * (2 * MAX_BATCH))()
        self._messages = (Mmsghdr * MAX_BATCH)()
        self._starts = range(0, MAX_BATCH * STRIDE, STRIDE)
        self.host = slice(4, 8) if family == socket.AF_INET else slice(8, 24)
        """Where struct sockaddr_in and sockaddr_in6 have the host."""
        self._arrange()
        self._pristine = bytes(self._messages)
        self._places = [ctypes.c_void_p(ctypes.addressof(message)) for message in self._messages]
        self.used = 0
        self._lengths = view_numbers(self._messages, Mmsghdr.length.offset, "I")
        self._told = view_numbers(self._messages, Msghdr.control_length.offset, "N")

    def _arrange(self) -> None:
        heads, tails = (get_address(memoryview(one)) for one in (self._heads, self._tail_pages))
        addresses, controls = get_address(self.addresses), get_address(self.controls)
        for place, message in enumerate(self._messages):
            head, tail = self._vectors[2 * place : 2 * place + 2]
            head.base, head.length = heads + place * STRIDE, HEAD_BYTES
            tail.base, tail.length = tails + place * MAX_DATAGRAM_BYTES, MAX_DATAGRAM_BYTES - HEAD_BYTES
            header = message.header
            header.name, header.name_length = addresses + place * ADDRESS_BYTES, ADDRESS_BYTES
            header.vectors, header.vector_count = ctypes.addressof(head), 2
            header.control, header.control_length = controls + place * CONTROL_BYTES, CONTROL_BYTES

    def fill(self, descriptor: int) -> int:
        """Take what waits, as much as fits beside what is there; says how many datagrams. Raises OSError where the
        socket is of no use.
        """
        used = self.used
        count = self._call(descriptor, self._places[used], MAX_BATCH - used, socket.MSG_DONTWAIT, None)
        if count < 0:
            number = ctypes.get_errno()
            if number not in TRANSIENT_ERRORS:
                raise OSError(number, os.strerror(number))
            return 0
        self.used = used + count
        return count

    def copy(self) -> list[bytes]:
        """The datagrams that are there."""
        heads, lengths = self._heads, self._lengths[: self.used].tolist()
        if max(lengths, default=0) > HEAD_BYTES:
            return [self._join(place, length) for place, length in enumerate(lengths)]
        return [heads[start : start + length] for start, length in zip(self._starts, lengths, strict=False)]

    def _join(self, place: int, length: int) -> bytes:
        start, end = self._starts[place], place * MAX_DATAGRAM_BYTES
        return (
            self._heads[start : start + min(length, HEAD_BYTES)]
            + self._tail_pages[end : end + max(0, length - HEAD_BYTES)]
        )

    def clear(self) -> None:
        """Make room: the kernel shortens the lengths that it was given."""
        ctypes.memmove(self._messages, self._pristine, self.used * ctypes.sizeof(Mmsghdr))
        self.used = 0

    def get_drop_count(self, start: int) -> int:
        """How many the kernel told that it has thrown away, 0 where it says nothing; `start` is where it tells."""
        last = self.used - 1
        if self._told[last] <= start:
            return 0
        start += last * CONTROL_BYTES + CMSGHDR_BYTES
        return int.from_bytes(self.controls[start : start + 4], sys.byteorder)


class BatchReader:
    """Reads one socket by `recvmmsg`."""

    def __init__(self, sock: socket.socket, call: Callable[..., int]) -> None:
        self._descriptor = sock.fileno()
        self._buffers = MsgBuffers(sock.family, call)
        self.lost = 0
        self.has_more = False

    def read(self) -> Sequence[bytes]:
        """The datagrams that are there, at most MAX_BATCH. Raises OSError where the socket is of no use."""
        self._buffers.clear()
        count = self._buffers.fill(self._descriptor)
        self.has_more = count == MAX_BATCH
        if not count:
            return ()
        self.lost = self._buffers.get_drop_count(0) or self.lost
        return self._buffers.copy()

    def sender(self, place: int) -> bytes:
        """The address (no port) of the sender of a datagram of the newest batch."""
        start = place * ADDRESS_BYTES
        return bytes(self._buffers.addresses[start : start + ADDRESS_BYTES][self._buffers.host])


class SingleReader:
    """Reads one datagram a call, where there is no `recvmmsg`, and for Unix sockets."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._senders: list[bytes] = []
        self.lost = 0
        self.has_more = False

    def read(self) -> Sequence[bytes]:
        """The datagrams that are there, at most MAX_BATCH. Raises OSError where the socket is of no use."""
        batch: list[bytes] = []
        self._senders = []
        while len(batch) < MAX_BATCH:
            try:
                data, control, _, address = self._socket.recvmsg(MAX_DATAGRAM_BYTES, CONTROL_BYTES, socket.MSG_DONTWAIT)
            except (BlockingIOError, InterruptedError, ConnectionRefusedError):
                break
            for level, kind, content in control:
                if (level, kind) == (socket.SOL_SOCKET, SO_RXQ_OVFL):
                    self.lost = int.from_bytes(content[:4], sys.byteorder)
            batch.append(data)
            self._senders.append(pack_address(address))
        self.has_more = len(batch) == MAX_BATCH
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


def get_address(buffer: memoryview) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


def view_numbers(messages: ctypes.Array[Mmsghdr], offset: int, kind: str) -> memoryview:
    """The numbers at that place of each message; `kind` is as in the module struct."""
    numbers = memoryview(messages).cast("B").cast(kind)  # type: ignore[call-overload]
    view: memoryview = numbers[offset // numbers.itemsize :: ctypes.sizeof(Mmsghdr) // numbers.itemsize]
    return view


def get_recvmmsg() -> Callable[..., int] | None:
    """The C library's `recvmmsg`, None where there is none."""
    try:
        return ctypes.PyDLL(None, use_errno=True).recvmmsg
    except (AttributeError, OSError):
        return None


def enable_drop_counter(sock: socket.socket) -> None:
    """Let the kernel tell how many datagrams it threw away, with the next one that it keeps."""
    if os.uname().sysname == "Linux":
        sock.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
