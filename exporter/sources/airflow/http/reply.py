"""A reply as it is read: the whole body, or the end of one that may be very long."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

import urllib3
from urllib3 import HTTPHeaderDict
from urllib3.exceptions import ReadTimeoutError

BODY_LIMIT = 64 << 20
CHUNK = 1 << 16


class Reply(NamedTuple):
    """An answer, whatever its status."""

    status: int
    headers: HTTPHeaderDict
    body: bytes
    url: str = ""
    is_complete: bool = True
    """Whether the end of the body was read."""

    def __repr__(self) -> str:
        return f"Reply({self.status}, {len(self.body)} bytes)"


class TailLimits(NamedTuple):
    """How much of a long body is read as a stream, and how much of its end is kept."""

    read: int
    """Bytes after which reading stops."""
    kept: int
    """Bytes."""
    seconds: float
    """Time limit of the request, if less than usual is not left."""


class BodyTooLargeError(Exception):
    """A body went over BODY_LIMIT."""


def read_reply(response: urllib3.BaseHTTPResponse, until: float, tail: TailLimits | None = None) -> Reply:
    """Read the whole body, or its end, however slowly it drips, by `until` (monotonic seconds) at the latest."""
    try:
        chunks = read_chunks(response, until)
        body, is_complete = (b"".join(chunks), True) if tail is None else read_tail(chunks, tail)
    except BaseException:
        response.close()
        raise
    if is_complete:
        response.release_conn()
    else:
        response.close()
    return Reply(response.status, response.headers, body, response.url or "", is_complete)


def read_tail(chunks: Iterator[bytes], limits: TailLimits) -> tuple[bytes, bool]:
    """The end of what was read, and whether all of it was read."""
    size = 0
    kept = b""
    for chunk in chunks:
        size += len(chunk)
        kept = (kept + chunk)[-limits.kept :]
        if size >= limits.read:
            return kept, False
    return kept, True


def read_chunks(response: urllib3.BaseHTTPResponse, until: float) -> Iterator[bytes]:
    """The body as it comes. Raises BodyTooLargeError, and ReadTimeoutError after `until`."""
    size = 0
    while chunk := response.read1(CHUNK, decode_content=True):
        yield chunk
        size += len(chunk)
        if size > BODY_LIMIT:
            raise BodyTooLargeError(f"more than {BODY_LIMIT >> 20} MiB")
        if time.monotonic() > until:
            raise ReadTimeoutError(None, response.url, "the body took too long")  # type: ignore[arg-type]
