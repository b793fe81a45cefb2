"""Listening sockets: from `HOST:PORT` to something that accepts, or a reason why not."""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Iterable
from contextlib import ExitStack
from typing import NamedTuple

BACKLOG = 128
ADDRESS = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^\[\]:/\s]*)):(?P<port>[0-9]{1,5})\Z")
REASONS = {
    errno.EADDRINUSE: "another process listens there; stop it, or choose another port",
    errno.EACCES: "ports below 1024 need a privilege; choose a higher one",
    errno.EADDRNOTAVAIL: "this machine does not have that address",
}


class AddressError(Exception):
    """An address cannot be listened on; the message says which, why, and what to do."""


class Address(NamedTuple):
    """Where to listen; an empty host is every interface, port 0 any free port."""

    host: str
    port: int


def parse_address(text: str) -> Address:
    """Read `HOST:PORT`, `[IPv6]:PORT` or `:PORT`. Raises AddressError."""
    match = ADDRESS.match(text)
    if match is None or int(match["port"]) > 65535:
        raise AddressError(f"{text!r} is no listen address; write HOST:PORT, [IPv6]:PORT or :PORT")
    return Address(match["v6"] or match["host"] or "", int(match["port"]))


def bind_all(texts: Iterable[str]) -> list[socket.socket]:
    """Listen on each address, or on none. Raises AddressError."""
    with ExitStack() as bound:
        listeners = [bound.enter_context(bind(text)) for text in texts]
        bound.pop_all()
    return listeners


def bind(text: str) -> socket.socket:
    """Listen on one address. Raises AddressError."""
    address = parse_address(text)
    try:
        listener = listen(address)
    except socket.gaierror as error:
        raise AddressError(f"cannot listen on {text}: the name cannot be resolved ({error.strerror})") from error
    except OSError as error:
        reason = REASONS.get(error.errno or 0, error.strerror)
        raise AddressError(f"cannot listen on {text}: {reason}") from error
    listener.setblocking(False)
    return listener


def listen(address: Address) -> socket.socket:
    if not address.host:
        return listen_everywhere(address.port)
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # As in Go, a name that has both kinds of address means the IPv4 one.
    family, _, _, _, where = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    return socket.create_server((str(where[0]), int(where[1])), family=family, backlog=BACKLOG)


def listen_everywhere(port: int) -> socket.socket:
    """Listen on every interface, with IPv4 and IPv6 where the machine has both."""
    if socket.has_dualstack_ipv6():
        try:
            return socket.create_server(("", port), family=socket.AF_INET6, backlog=BACKLOG, dualstack_ipv6=True)
        except OSError as error:
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise
    return socket.create_server(("", port), backlog=BACKLOG)


def describe(listener: socket.socket) -> str:
    """The address that was bound, as `HOST:PORT`."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
