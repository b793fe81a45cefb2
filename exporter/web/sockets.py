"""Listening sockets of the web server, from `HOST:PORT` addresses."""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Iterable
from contextlib import ExitStack
from typing import NamedTuple

BACKLOG = 128
ADDRESS_PATTERN = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^\[\]:/\s]*)):(?P<port>[0-9]{1,5})\Z")
REASONS = {
    errno.EADDRINUSE: "the port is in use by another process; stop it, or choose another port",
    errno.EACCES: "ports below 1024 need privileges; choose a higher port",
    errno.EADDRNOTAVAIL: "this machine does not have this address",
}


class AddressError(Exception):
    """The server cannot listen on an address; the message says which, why, and what to do."""


class ListenAddress(NamedTuple):
    """A listen address; an empty host is every interface, port 0 any free port."""

    host: str
    port: int


def parse_address(text: str) -> ListenAddress:
    """Read `HOST:PORT`, `[IPv6]:PORT` or `:PORT`. Raises AddressError."""
    match = ADDRESS_PATTERN.match(text)
    if match is None or int(match["port"]) > 65535:
        raise AddressError(f"{text!r} is not a listen address; write HOST:PORT, [IPv6]:PORT or :PORT")
    return ListenAddress(match["v6"] or match["host"] or "", int(match["port"]))


def bind_all(texts: Iterable[str]) -> list[socket.socket]:
    """Listen on all addresses, or on none if one fails. Raises AddressError."""
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
        raise AddressError(f"cannot listen on {text}: the host name cannot be resolved ({error.strerror})") from error
    except OSError as error:
        reason = REASONS.get(error.errno or 0, error.strerror)
        raise AddressError(f"cannot listen on {text}: {reason}") from error
    listener.setblocking(False)
    return listener


def listen(address: ListenAddress) -> socket.socket:
    """Listen on a host name or IP address, or on every interface. Raises OSError."""
    if not address.host:
        return listen_everywhere(address.port)
    found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # As in Go, IPv4 is preferred for a name with both kinds of address.
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


def format_address(listener: socket.socket) -> str:
    """The bound address as `HOST:PORT` or `[IPv6]:PORT`."""
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
