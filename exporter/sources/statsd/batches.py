"""Datagrams by the batch: one call of the system for many, into buffers that are made once.

`recvmmsg` is called by ctypes, which lets other threads run meanwhile; where it is missing, datagrams are read one by
one until there are none. The kernel tells with each datagram how many it threw away before (SO_RXQ_OVFL).
"""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Callable, Sequence
from typing import Protocol

BATCH = 128
"""Datagrams a call."""
SIZE = 65_536
"""Bytes of the largest datagram; memory is used for what is really sent."""
ADDRESS = 128
CONTROL = 64
SO_RXQ_OVFL = 40
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
        self._data = memoryview(bytearray(BATCH * SIZE))
        self._addresses = ctypes.create_string_buffer(BATCH * ADDRESS)
        self._controls = ctypes.create_string_buffer(BATCH * CONTROL)
        self._vectors = (Vector * BATCH)()
        self._messages = (Message * BATCH)()
        self._views = [self._data[place * SIZE : (place + 1) * SIZE] for place in range(BATCH)]
        self.lost = 0
        self._arrange()

    def _arrange(self) -> None:
        base = ctypes.addressof(ctypes.c_char.from_buffer(self._data))
        for place, (vector, message) in enumerate(zip(self._vectors, self._messages, strict=True)):
            vector.base, vector.length = base + place * SIZE, SIZE
            header = message.header
            header.name = ctypes.addressof(self._addresses) + place * ADDRESS
            header.name_length = ADDRESS
            header.vectors, header.vector_count = ctypes.addressof(vector), 1
            header.control = ctypes.addressof(self._controls) + place * CONTROL
            header.control_length = CONTROL

    def read(self) -> Sequence[bytes]:
        """The datagrams that are there, at most BATCH. Raises OSError where the socket is of no use."""
        count = self._call(self._descriptor, self._messages, BATCH, socket.MSG_DONTWAIT, None)
        if count <= 0:
            if count < 0 and (number := ctypes.get_errno()) not in (11, 4, 111):
                raise OSError(number, os.strerror(number))
            return ()
        messages, views = self._messages, self._views
        batch = [bytes(views[place][: messages[place].length]) for place in range(count)]
        self._note_losses(count)
        return batch

    def _note_losses(self, count: int) -> None:
        """The counter of the newest message; lengths are set anew where the kernel shortened them."""
        header = self._messages[count - 1].header
        if header.control_length > 2 * WORD:
            start = (count - 1) * CONTROL
            raw = self._controls.raw[start + 2 * WORD : start + 2 * WORD + 4]
            self.lost = max(self.lost, int.from_bytes(raw, "little" if self._little() else "big"))
            for place in range(count):
                self._messages[place].header.control_length = CONTROL
        for place in range(count):
            self._messages[place].header.name_length = ADDRESS

    @staticmethod
    def _little() -> bool:
        return ctypes.c_uint16(1).value.to_bytes(2, "little") == bytes(ctypes.c_uint16(1))

    def sender(self, place: int) -> bytes:
        """The address (no port) of the sender of a datagram of the newest batch."""
        start = place * ADDRESS
        raw = self._addresses.raw[start : start + 32]
        family = int.from_bytes(raw[:2], "little" if self._little() else "big")
        if family == socket.AF_INET:
            return raw[4:8]
        return raw[8:24] if family == socket.AF_INET6 else b""


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
                    self.lost = max(self.lost, int.from_bytes(content[:4], "little"))
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


def find_call() -> Callable[..., int] | None:
    """The C library's `recvmmsg`, None where there is none."""
    try:
        return ctypes.CDLL(None, use_errno=True).recvmmsg  # type: ignore[no-any-return]
    except (AttributeError, OSError):
        return None


def make_reader(sock: socket.socket) -> Reader:
    """The best way to read datagrams from a socket."""
    if os.uname().sysname == "Linux":
        sock.setsockopt(socket.SOL_SOCKET, SO_RXQ_OVFL, 1)
    call = find_call() if sock.family != socket.AF_UNIX else None
    return Batches(sock, call) if call else Singles(sock)
