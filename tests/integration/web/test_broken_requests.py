"""Requests whose body turns out to be invalid: they are refused, and nothing is logged as an error."""

from __future__ import annotations

import logging
import time

import pytest

from tests.integration.web.wire import ask, connect, read_all, read_until, request

POST = request("/metrics", "POST", "Transfer-Encoding: chunked")
GET = request("/metrics", "GET", "Transfer-Encoding: chunked")
HEAD = request("/metrics", "HEAD", "Transfer-Encoding: chunked")


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("head", [POST, GET, HEAD])
def test_a_broken_body_in_the_same_packet_as_its_head(
    address: str, head: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with connect(address) as client:
        client.sendall(head + b"zz\r\n")
        assert read_all(client).startswith(b"HTTP/1.1 400 ")
    assert ask(address).status == 200
    assert errors(caplog) == []


def test_a_broken_body_after_the_response(address: str, caplog: pytest.LogCaptureFixture) -> None:
    with connect(address) as client:
        client.sendall(POST)
        read_until(client, b"\n")
        time.sleep(0.05)
        client.sendall(b"zz\r\n")
        read_all(client)
    assert ask(address).status == 200
    assert errors(caplog) == []
