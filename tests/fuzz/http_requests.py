"""Invented HTTP traffic, from a seed: what clients, scanners and broken proxies may send, and how they send it."""

from __future__ import annotations

import random
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

METHODS = (
    "GET",
    "HEAD",
    "POST",
    "PUT",
    "OPTIONS",
    "DELETE",
    "TRACE",
    "CONNECT",
    "PATCH",
    "get",
    "PRI",
    "G\tT",
    "",
    "X" * 300,
)
PATHS = (
    "/metrics",
    "/",
    "/-/healthy",
    "/-/ready",
    "/diagnosis",
    "/config",
    "/sources",
    "/-/reload",
    "/runbooks/Reasons",
)
BAD_PATHS = (
    "*", "", "//", "/..", "/%2e%2e/etc/passwd", "/%", "/%zz", "/%00", "/\x00", "/metrics/", "//metrics",
    "/metrics%00", "/metrics;a=b", "/\u00e9", "http://other/metrics", "http://[::1/metrics", "other:80", "/ a", "/?",
    "/metrics#x", "/static/../../etc/passwd", "/runbooks/../../etc/passwd", "/runbooks/%2e%2e%2fetc%2fpasswd",
    "/" + "a" * 9_000,
)  # fmt: skip
VERSIONS = ("HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/9.9", "HTTP/1.1 ", "http/1.1", "HTTP/1", "", "ICY")
QUERIES = (
    "name[]=airflow_info", "name[]=", "name[]", "name%5B%5D=airflow_info", "name[]=%ff%fe", "name[]=" + "a" * 5_000,
    "&&&&", "=", "==", "a=1&a=2", "name[]=a" * 300, "%", "format=json", "name[]=\u00e9", ";",
    "name[]=airflow_info&" * 100,
)  # fmt: skip
HEADERS = (
    "Accept: application/openmetrics-text; version=1.0.0", "Accept: text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    "Accept: */*;q=nan", "Accept: ;;;,,,=", "Accept: application/json", "Accept: " + "text/html," * 500,
    "Accept: application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited",
    "Accept: text/plain;q=1e999", "Accept: text/plain;q=-1", "Accept: \u00ff",
    "Accept:", 'Accept: text/plain;version="',
    "Accept-Encoding: gzip", "Accept-Encoding: gzip;q=0", "Accept-Encoding: gzip;q=x", "Accept-Encoding: *;q=0, gzip",
    "Accept-Encoding: br, zstd, identity;q=0", "Accept-Encoding: " + "gzip," * 1_000,
    "Authorization: Basic", "Authorization: Basic !!!!", "Authorization: Basic Og==", "Authorization: Bearer x",
    "Authorization: Basic " + "QUFB" * 2_000, "Content-Length: 5", "Content-Length: -1", "Content-Length: 9" + "9" * 30,
    "Content-Length: 0", "Content-Length: 0x10", "Content-Length: 1, 2", "Content-Length: +3",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: identity", "Transfer-Encoding: chunked, chunked",
    "Transfer-Encoding : chunked", "Connection: close", "Connection: keep-alive", "Connection: upgrade, close",
    "Upgrade: websocket", "Upgrade: h2c", "Sec-WebSocket-Key: x", "Sec-WebSocket-Version: 13", "Expect: 100-continue",
    "Expect: nothing", "Host: a\r\nHost: b", "Host: [::", "Host:", "X-Prometheus-Scrape-Timeout-Seconds: 10",
    "X-Prometheus-Scrape-Timeout-Seconds: nan", "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: \x00", "no colon here",
    ": no name", "Bad Name: 1", "Folded: a\r\n  b", "\x00: \x00", "A\u00e9: 1", "Cookie: " + "a=b;" * 900,
    "Range: bytes=0-1", "If-None-Match: *", "If-Modified-Since: yesterday", "Long: " + "x" * 20_000, "Origin: null",
)  # fmt: skip
BODIES = (
    b"",
    b"hello",
    b"0\r\n\r\n",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"zz\r\n",
    b"-1\r\n\r\n",
    b"FFFFFFFFFFFFFFFF\r\n",
    b"\x00" * 100,
)
MAX_HEADERS = 6
MANY_HEADERS = 3_000
MAX_PIPELINED = 30


class Manner(StrEnum):
    """How bytes are sent, and what the client does then."""

    WHOLE = "whole"
    IN_PIECES = "in pieces"
    SLOW = "slow"
    HALF_OPEN = "half open"
    """Sent in part; the client then neither sends nor closes."""
    RESET = "reset"
    """The connection is reset at once, without reading."""
    SHUT = "shut"
    """The client closes its half and reads on."""


class Attack(NamedTuple):
    """What is sent on one connection."""

    payload: bytes
    manner: Manner


def make_attack(seed: int, number: int) -> Attack:
    """The attack with this number; the same seed and number give the same attack."""
    chance = random.Random(f"{seed} {number}")
    makers: tuple[Callable[[random.Random], bytes], ...] = (_one, _pipelined, _many_headers, _noise, _mutated)
    [make] = chance.choices(makers, (60, 12, 2, 10, 16))
    [manner] = chance.choices(tuple(Manner), (70, 12, 2, 3, 8, 5))
    return Attack(make(chance), manner)


def _one(chance: random.Random) -> bytes:
    """One request, most of whose parts are sound."""
    method = "GET" if chance.random() < 0.6 else chance.choice(METHODS)
    path = chance.choice(PATHS) if chance.random() < 0.6 else chance.choice(BAD_PATHS)
    if chance.random() < 0.4:
        path += "?" + chance.choice(QUERIES)
    version = "HTTP/1.1" if chance.random() < 0.8 else chance.choice(VERSIONS)
    ending = "\r\n" if chance.random() < 0.9 else chance.choice(("\n", "\r", "\r\r\n", "\n\r"))
    headers = ["Host: test"] if chance.random() < 0.9 else []
    headers += chance.choices(HEADERS, k=chance.randrange(MAX_HEADERS))
    text = ending.join([f"{method} {path} {version}", *headers, "", ""])
    encoding = "latin-1" if chance.random() < 0.5 else "utf-8"
    return text.encode(encoding, "replace") + (chance.choice(BODIES) if chance.random() < 0.3 else b"")


def _pipelined(chance: random.Random) -> bytes:
    return b"".join(_one(chance) for _ in range(chance.randrange(2, MAX_PIPELINED)))


def _many_headers(chance: random.Random) -> bytes:
    lines = [f"X-{number}: {chance.randrange(10)}" for number in range(chance.randrange(50, MANY_HEADERS))]
    return "\r\n".join(["GET /metrics HTTP/1.1", "Host: test", *lines, "", ""]).encode()


def _noise(chance: random.Random) -> bytes:
    """Bytes that are no HTTP: of other protocols, or of none."""
    beginnings = (
        b"",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"SSH-2.0-x\r\n",
        b"\r\n\r\n",
    )
    return chance.choice(beginnings) + chance.randbytes(chance.choice((0, 1, 30, 3_000)))


def _mutated(chance: random.Random) -> bytes:
    """A request in which some bytes were changed, removed or repeated."""
    payload = bytearray(_one(chance))
    for _ in range(chance.randrange(1, 8)):
        at = chance.randrange(len(payload) + 1)
        payload[at : at + chance.randrange(3)] = chance.choice(
            (b"", chance.randbytes(1), b"\r\n", b" ", bytes(payload[:20]))
        )
    return bytes(payload)
