"""Several sockets on one UDP port: room for a burst where the kernel grants one socket little, without any privilege.

The kernel gives each datagram to one of them at random (SO_REUSEPORT, with a program of three instructions), so that
they fill alike, and stamps it with the time: `arrivals` puts the datagrams in order again.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from contextlib import suppress

from exporter.sources.statsd.receive.sockets import bind_inet, enlarge

MAX_SOCKETS = 16
"""Sockets at most: with the system's own buffer that is 4,432 small datagrams."""
ROOM = 4 * 1024 * 1024
"""Bytes that all of them together should have where no size was asked for."""
SO_ATTACH_REUSEPORT_CBPF = 51
SO_TIMESTAMPNS = 35
LOAD, MODULO, RETURN = 0x20, 0x94, 0x16
"""Instructions of the classic packet filter: BPF_LD, BPF_ALU with BPF_MOD, BPF_RET of the result."""
RANDOM = 0xFFFFF000 + 56
"""What to load: SKF_AD_RANDOM."""
INSTRUCTION = struct.Struct("=HBBI")
PROGRAM = struct.Struct("@HP")
"""struct sock_fprog: how many instructions, and where they are."""


def bind_port(text: str, size: int, *, shared: bool) -> list[socket.socket]:
    """Bind `HOST:PORT` by one socket with a receive buffer of that size (0: the system's own), or by as many as have
    that much together, where the kernel grants one less and they may be `shared`. Raises ReaderError.
    """
    # The first binds as the only one: who else listens there must be told, not joined.
    first = bind_inet(text, socket.SOCK_DGRAM)
    many = min(MAX_SOCKETS, -(-(size or ROOM) // enlarge(first, size)))
    if many == 1 or not shared or sys.platform != "linux" or sys.maxsize < 2**32:
        return [first]
    return share(first, many, size)


def share(first: socket.socket, many: int, size: int) -> list[socket.socket]:
    """So many sockets that share the port of the first; that one alone where the kernel cannot."""
    socks = [first]
    try:
        first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        while len(socks) < many:
            socks.append(join(first))
            enlarge(socks[-1], size)
        spread(first, many)
        for sock in socks:
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    except OSError:
        for sock in socks[1:]:
            sock.close()
        with suppress(OSError):
            first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
        return [first]
    return socks


def join(first: socket.socket) -> socket.socket:
    """One more socket on the same port. Raises OSError."""
    sock = socket.socket(first.family, first.type)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if sock.family == socket.AF_INET6:
            # As the first: what may come by IPv4 as well.
            alone = first.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, alone)
        sock.bind(first.getsockname())
    except OSError:
        sock.close()
        raise
    return sock


def spread(first: socket.socket, many: int) -> None:
    """Let chance choose among so many sockets of a port. Raises OSError."""
    code = ((LOAD, RANDOM), (MODULO, many), (RETURN, 0))
    text = b"".join(INSTRUCTION.pack(number, 0, 0, operand) for number, operand in code)
    held = ctypes.create_string_buffer(text, len(text))
    program = PROGRAM.pack(len(code), ctypes.addressof(held))
    first.setsockopt(socket.SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, program)
