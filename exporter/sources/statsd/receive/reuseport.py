"""Several UDP sockets on one port (SO_REUSEPORT): a large receive buffer without privileges.

The kernel limits the buffer of one socket (net.core.rmem_max). It hands each datagram to one of the sockets at random,
so they fill equally, and stamps it with the time. `ordering.py` sorts the datagrams by that stamp. The last socket gets
few of them: it is for the alarm (alarm.py).
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from contextlib import suppress

from exporter.sources.statsd.receive.alarm import ALARM_SHARE, MIN_ALARM_ROOM
from exporter.sources.statsd.receive.sockets import bind_inet, enlarge

MAX_SOCKETS = 16
"""With the system's default buffer they hold 4,432 small datagrams."""
DEFAULT_BUFFER_BYTES = 4 * 1024 * 1024
"""Buffer of all sockets together if no size is configured."""
SO_ATTACH_REUSEPORT_CBPF = 51
SO_TIMESTAMPNS = 35
LOAD, MODULO, JUMP_IF_EQUAL, RETURN, RETURN_CONSTANT = 0x20, 0x94, 0x15, 0x16, 0x06
"""Instructions of the classic packet filter: BPF_LD, BPF_ALU with BPF_MOD, BPF_JMP with BPF_JEQ, BPF_RET."""
RANDOM = 0xFFFFF000 + 56
"""Operand of LOAD: SKF_AD_RANDOM, a random number."""
INSTRUCTION = struct.Struct("=HBBI")
PROGRAM = struct.Struct("@HP")
"""struct sock_fprog: the number of instructions and their address."""


def bind_port(text: str, size: int, *, shared: bool) -> list[socket.socket]:
    """Bind the UDP address `HOST:PORT` with a receive buffer of `size` bytes (0: the system's default).

    If `shared` is set, as many sockets share the port as are granted that size together, and one more for the alarm
    if it is large. Raises ReaderError.
    """
    # The first socket binds without SO_REUSEPORT: if another process listens on the port, that is an error.
    first = bind_inet(text, socket.SOCK_DGRAM)
    granted = enlarge(first, size)
    count = min(MAX_SOCKETS, -(-(size or DEFAULT_BUFFER_BYTES) // granted))
    if (count == 1 and granted < MIN_ALARM_ROOM) or not shared or sys.platform != "linux" or sys.maxsize < 2**32:
        return [first]
    return bind_shared(first, count + 1, size)


def bind_shared(first: socket.socket, count: int, size: int) -> list[socket.socket]:
    """`count` sockets on the port of `first`; only `first` if the kernel cannot share ports."""
    socks = [first]
    try:
        first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        while len(socks) < count:
            socks.append(bind_sibling(first))
            enlarge(socks[-1], size)
        attach_random_filter(first, count)
        for sock in socks:
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    except OSError:
        for sock in socks[1:]:
            sock.close()
        with suppress(OSError):
            first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
        return [first]
    return socks


def bind_sibling(first: socket.socket) -> socket.socket:
    """One more socket on the port of `first`. Raises OSError."""
    sock = socket.socket(first.family, first.type)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if sock.family == socket.AF_INET6:
            # All sockets of the port must agree on whether they accept IPv4.
            v6_only = first.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6_only)
        sock.bind(first.getsockname())
    except OSError:
        sock.close()
        raise
    return sock


def attach_random_filter(first: socket.socket, count: int) -> None:
    """Let the kernel choose at random among the `count` sockets of a port, the last of them seldom. Raises OSError."""
    last = count - 1
    code = (
        (LOAD, 0, 0, RANDOM),
        (MODULO, 0, 0, ALARM_SHARE),
        (JUMP_IF_EQUAL, 0, 1, 0),
        (RETURN_CONSTANT, 0, 0, last),
        (LOAD, 0, 0, RANDOM),
        (MODULO, 0, 0, last),
        (RETURN, 0, 0, 0),
    )
    text = b"".join(INSTRUCTION.pack(*one) for one in code)
    held = ctypes.create_string_buffer(text, len(text))
    program = PROGRAM.pack(len(code), ctypes.addressof(held))
    first.setsockopt(socket.SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, program)
