"""Sockets that StatsD arrives on: bound, with the receive buffer that the kernel grants, or a reason why not."""

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
    errno.EADDRINUSE: "another process listens there; stop it, choose another port, or give an empty value",
    errno.EACCES: "it is not allowed; choose a port above 1023 or a folder that this user may write",
    errno.EADDRNOTAVAIL: "this machine does not have that address",
    errno.ENOENT: "its folder does not exist",
}


def bind_inet(text: str, kind: socket.SocketKind) -> socket.socket:
    """Bind `HOST:PORT`. Raises ReaderError, which says what to do."""
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    try:
        found = socket.getaddrinfo(host or "::", int(port), type=kind, flags=socket.AI_PASSIVE)[0]
        sock = socket.socket(found[0], kind)
    except socket.gaierror as error:
        raise fail(text, f"the name cannot be resolved ({error.strerror})") from error
    except OSError as error:
        raise fail(text, error) from error
    try:
        if kind is socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if found[0] == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(bool(host)))
        sock.bind(found[4])
        return prepare(sock, kind)
    except OSError as error:
        sock.close()
        raise fail(text, error) from error


def bind_unix(path: Path, kind: socket.SocketKind, mode: int) -> socket.socket:
    """Bind a path; a socket left there by a process that ended is replaced. Raises ReaderError."""
    sock = socket.socket(socket.AF_UNIX, kind)
    try:
        remove_stale(path, kind)
        sock.bind(str(path))
        path.chmod(mode)
        return prepare(sock, kind)
    except OSError as error:
        sock.close()
        raise fail(str(path), error) from error


def prepare(sock: socket.socket, kind: socket.SocketKind) -> socket.socket:
    sock.setblocking(False)
    if kind is socket.SOCK_STREAM:
        sock.listen(LISTEN_BACKLOG)
    return sock


def remove_stale(path: Path, kind: socket.SocketKind) -> None:
    """Remove a socket on which nobody listens. Raises OSError where it is no socket, or somebody does."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise FileExistsError(errno.EEXIST, "there is a file that is no socket; choose another path")
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
    """Ask for a receive buffer of that many bytes (0: leave it); returns what the kernel grants."""
    if size:
        # The kernel doubles what is asked for, for its own bookkeeping, and tells the double.
        for option in (SO_RCVBUFFORCE, socket.SO_RCVBUF):
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, option, size // 2)
                break
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)


def fail(where: str, reason: OSError | str) -> ReaderError:
    words = reason if isinstance(reason, str) else ADVICE.get(reason.errno or 0, reason.strerror)
    return ReaderError("unreachable", f"cannot listen for StatsD on {where}: {words}")
