"""Binds the sockets for StatsD and sets their receive buffers; errors say what to do."""

from __future__ import annotations

import errno
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

from exporter.metrics.reading import ReaderError

SO_RCVBUFFORCE = 33
LISTEN_BACKLOG = 128
ADVICE = {
    errno.EADDRINUSE: "another process listens on it; stop that process, choose another port, or set an empty value",
    errno.EACCES: "permission denied; choose a port above 1023 or a directory that this user can write to",
    errno.EADDRNOTAVAIL: "this machine does not have this address",
    errno.ENOENT: "its directory does not exist",
}


def bind_inet(text: str, kind: socket.SocketKind) -> socket.socket:
    """A socket bound to `HOST:PORT`. Raises ReaderError, which says what to do."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        found = socket.getaddrinfo(host or "::", int(port), type=kind, flags=socket.AI_PASSIVE)[0]
        sock = socket.socket(found[0], kind)
    except socket.gaierror as error:
        raise build_error(text, f"the name cannot be resolved ({error.strerror})") from error
    except OSError as error:
        raise build_error(text, error) from error
    try:
        if kind is socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if found[0] == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(bool(host)))
        sock.bind(found[4])
        return prepare(sock, kind)
    except OSError as error:
        sock.close()
        raise build_error(text, error) from error


def bind_unix(path: Path, kind: socket.SocketKind, mode: int) -> socket.socket:
    """A Unix socket bound to a path; the socket file of a process that ended is replaced. Raises ReaderError."""
    sock = socket.socket(socket.AF_UNIX, kind)
    try:
        remove_stale(path, kind)
        sock.bind(str(path))
        path.chmod(mode)
        return prepare(sock, kind)
    except OSError as error:
        sock.close()
        raise build_error(str(path), error) from error


def prepare(sock: socket.socket, kind: socket.SocketKind) -> socket.socket:
    """Make a bound socket non-blocking; a stream socket starts to listen."""
    sock.setblocking(False)
    if kind is socket.SOCK_STREAM:
        sock.listen(LISTEN_BACKLOG)
    return sock


def remove_stale(path: Path, kind: socket.SocketKind) -> None:
    """Remove a socket file that no process listens on. Raises OSError if a process does, or if it is another file."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(errno.EEXIST, "a file that is not a socket exists there; choose another path")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, kind) as probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def enlarge(sock: socket.socket, size: int) -> int:
    """Ask for a receive buffer of `size` bytes (0: keep the default); returns the bytes that the kernel granted."""
    if size:
        # The kernel doubles the requested size for its bookkeeping, and reports the doubled size.
        for option in (SO_RCVBUFFORCE, socket.SO_RCVBUF):
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, option, size // 2)
                break
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)


def build_error(where: str, reason: OSError | str) -> ReaderError:
    """The error for an address that cannot be bound, with advice for the usual causes."""
    words = reason if isinstance(reason, str) else ADVICE.get(reason.errno or 0, reason.strerror)
    return ReaderError("unreachable", f"cannot listen for StatsD on {where}: {words}")
