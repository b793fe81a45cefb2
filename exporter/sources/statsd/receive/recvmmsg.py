"""Reads many datagrams with one system call (`recvmmsg`), into buffers that are allocated once.

`recvmmsg` is called through ctypes and never blocks. The GIL is kept during the call: to get it back from a thread that
renders a scrape would take longer than the call. On systems without `recvmmsg` datagrams are read one by one. With each
datagram the kernel reports how many it dropped before (SO_RXQ_OVFL).
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
"""Datagrams a call: more than arrive during one sleep with the default buffer (pacing.py)."""
MAX_DATAGRAM_BYTES = 65_536
"""Bytes of the largest datagram. Memory is only used for pages that are written to."""
HEAD_BYTES = 1_536
"""Bytes of each datagram that are stored close together: most datagrams fit, so they do not need a page each."""
STRIDE = HEAD_BYTES + 64
"""Bytes from one head to the next. Not a power of two: all heads would share the same few lines of the CPU cache."""
ADDRESS_BYTES = 32
"""Bytes reserved for the sender's address: struct sockaddr_in6 has 28."""
CONTROL_BYTES = 64
"""Bytes reserved for the control data of a datagram: time stamp and drop counter."""
WORD_BYTES = 4
SO_RXQ_OVFL = 40
TRANSIENT_ERRORS = frozenset({errno.EAGAIN, errno.EINTR, errno.ECONNREFUSED})
"""Errors that mean that no datagram waits."""
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
    """Reads batches of datagrams from the sockets of one address; never blocks."""

    @property
    def lost(self) -> int:
        """Datagrams that the kernel dropped, as far as it reported."""

    @property
    def has_more(self) -> bool:
        """Whether datagrams may have been left behind by the last batch."""

    def read(self) -> Sequence[bytes]:
        """The datagrams that wait. Raises OSError if a socket cannot be used."""

    def sender(self, place: int) -> bytes:
        """The sender's address (without port) of a datagram of the last batch."""

    def find_only_sender(self) -> bytes | None:
        """The address of all datagrams of the last batch; None if they have several."""


class MsgBuffers:
    """Buffers for one batch, filled by one or several calls of `recvmmsg`."""

    def __init__(self, family: int, call: Callable[..., int]) -> None:
        self._call = call
        # Anonymous pages take memory only once they are written to.
        self._heads = mmap.mmap(-1, MAX_BATCH * STRIDE)
        self._tails = mmap.mmap(-1, MAX_BATCH * MAX_DATAGRAM_BYTES)
        self.addresses = memoryview(bytearray(MAX_BATCH * ADDRESS_BYTES))
        self.controls = memoryview(bytearray(MAX_BATCH * CONTROL_BYTES))
        self._vectors = (Iovec * (2 * MAX_BATCH))()
        self._messages = (Mmsghdr * MAX_BATCH)()
        self._starts = range(0, MAX_BATCH * STRIDE, STRIDE)
        self.host = slice(4, 8) if family == socket.AF_INET else slice(8, 24)
        """Position of the host in struct sockaddr_in or sockaddr_in6."""
        self._arrange()
        self._pristine = bytes(self._messages)
        self._places = [ctypes.c_void_p(ctypes.addressof(message)) for message in self._messages]
        self.used = 0
        self._lengths = view_numbers(self._messages, Mmsghdr.length.offset, "I")
        self._control_lengths = view_numbers(self._messages, Msghdr.control_length.offset, "N")

    def _arrange(self) -> None:
        heads, tails = (get_address(memoryview(one)) for one in (self._heads, self._tails))
        addresses, controls = get_address(self.addresses), get_address(self.controls)
        for place, message in enumerate(self._messages):
            head, tail = self._vectors[2 * place : 2 * place + 2]
            head.base, head.length = heads + place * STRIDE, HEAD_BYTES
            tail.base, tail.length = tails + place * MAX_DATAGRAM_BYTES, MAX_DATAGRAM_BYTES - HEAD_BYTES
            header = message.header
            header.name, header.name_length = addresses + place * ADDRESS_BYTES, ADDRESS_BYTES
            header.vectors, header.vector_count = ctypes.addressof(head), 2
            header.control, header.control_length = controls + place * CONTROL_BYTES, CONTROL_BYTES

    def receive(self, descriptor: int) -> int:
        """Receive the datagrams that wait and fit; returns how many. Raises OSError if the socket cannot be used."""
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
        """The datagrams in the buffers."""
        heads, lengths = self._heads, self._lengths[: self.used].tolist()
        if max(lengths, default=0) > HEAD_BYTES:
            return [self._join(place, length) for place, length in enumerate(lengths)]
        return [heads[start : start + length] for start, length in zip(self._starts, lengths, strict=False)]

    def _join(self, place: int, length: int) -> bytes:
        start, end = self._starts[place], place * MAX_DATAGRAM_BYTES
        return (
            self._heads[start : start + min(length, HEAD_BYTES)] + self._tails[end : end + max(0, length - HEAD_BYTES)]
        )

    def clear(self) -> None:
        """Empty the buffers. Their lengths are restored, because the kernel overwrites them."""
        ctypes.memmove(self._messages, self._pristine, self.used * ctypes.sizeof(Mmsghdr))
        self.used = 0

    def get_drop_count(self, start: int) -> int:
        """The kernel's count of drops at offset `start` of the control data; 0 if the last datagram has none."""
        last = self.used - 1
        if self._control_lengths[last] <= start:
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
        """The datagrams that wait, at most MAX_BATCH. Raises OSError if the socket cannot be used."""
        self._buffers.clear()
        count = self._buffers.receive(self._descriptor)
        self.has_more = count == MAX_BATCH
        if not count:
            return ()
        self.lost = self._buffers.get_drop_count(0) or self.lost
        return self._buffers.copy()

    def sender(self, place: int) -> bytes:
        """The sender's address (without port) of a datagram of the last batch."""
        start = place * ADDRESS_BYTES
        return bytes(self._buffers.addresses[start : start + ADDRESS_BYTES][self._buffers.host])

    def find_only_sender(self) -> bytes | None:
        """The address of all datagrams of the last batch; None if they have several."""
        return find_only_host(self._buffers.addresses[: self._buffers.used * ADDRESS_BYTES], self._buffers.host)


class SingleReader:
    """Reads one datagram a call: for Unix sockets, and on systems without `recvmmsg`."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._senders: list[bytes] = []
        self.lost = 0
        self.has_more = False

    def read(self) -> Sequence[bytes]:
        """The datagrams that wait, at most MAX_BATCH. Raises OSError if the socket cannot be used."""
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
        """The sender's address (without port) of a datagram of the last batch."""
        return self._senders[place]

    def find_only_sender(self) -> bytes | None:
        """The address of all datagrams of the last batch; None if they have several."""
        return self._senders[0] if len(set(self._senders)) == 1 else None


def pack_address(address: object) -> bytes:
    """The bytes of an IP address as Python's sockets return it; empty for a Unix socket."""
    if not isinstance(address, tuple):
        return b""
    host = str(address[0]).partition("%")[0]
    return socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)


def find_only_host(addresses: memoryview, host: slice) -> bytes | None:
    """The host of all addresses, which are at that place of each; None if there are several hosts, or no address."""
    first = bytes(addresses[host])
    words = addresses.cast("I")
    many = len(addresses) // ADDRESS_BYTES
    for place in range(0, len(first), WORD_BYTES):
        column = words[(host.start + place) // WORD_BYTES :: ADDRESS_BYTES // WORD_BYTES]
        if column.tobytes() != first[place : place + WORD_BYTES] * many:
            return None
    return first or None


def get_address(buffer: memoryview) -> int:
    """The memory address of a buffer."""
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


def view_numbers(messages: ctypes.Array[Mmsghdr], offset: int, kind: str) -> memoryview:
    """A view of one number of each message, at that offset; `kind` is a format character of the module struct."""
    numbers = memoryview(messages).cast("B").cast(kind)  # type: ignore[call-overload]
    view: memoryview = numbers[offset // numbers.itemsize :: ctypes.sizeof(Mmsghdr) // numbers.itemsize]
    return view


def get_recvmmsg() -> Callable[..., int] | None:
    """The C library's `recvmmsg`; None if it has none."""
    try:
        return ctypes.PyDLL(None, use_errno=True).recvmmsg
    except (AttributeError, OSError):
        return None


def enable_drop_counter(sock: socket.socket) -> None:
    """Ask the kernel to report dropped datagrams with the next one that it delivers (Linux only)."""
    if os.uname().sysname == "Linux":
        sock.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
