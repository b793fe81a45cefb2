"""The health check finds a server that lives, whatever it asks of its clients."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import trustme

from exporter.commands import probe

Serve = Callable[[ssl.SSLContext | None, bytes], str]
HEALTHY = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a server that answers every connection alike; returns its address."""
    listeners: list[socket.socket] = []
    threads: list[threading.Thread] = []

    def answer(listener: socket.socket, context: ssl.SSLContext | None, reply: bytes) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                wrapped = context.wrap_socket(connection, server_side=True) if context else connection
                with wrapped:
                    wrapped.recv(4096)
                    wrapped.sendall(reply)

    def start(context: ssl.SSLContext | None, reply: bytes) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        thread = threading.Thread(target=answer, args=(listener, context, reply), daemon=True)
        thread.start()
        listeners.append(listener)
        threads.append(thread)
        return f"127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for listener in listeners:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
    for thread in threads:
        thread.join(5)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def context(authority: trustme.CA) -> ssl.SSLContext:
    """TLS with a certificate for another name, which does not matter here."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("exporter.example").configure_cert(context)
    return context


def test_plain_http_is_asked_first(serve: Serve) -> None:
    assert probe.get_problem(serve(None, HEALTHY)) is None


def test_a_server_with_tls_is_found(serve: Serve, context: ssl.SSLContext) -> None:
    assert probe.get_problem(serve(context, HEALTHY)) is None


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_server_that_wants_a_client_certificate_is_alive(
    serve: Serve, context: ssl.SSLContext, authority: trustme.CA, version: ssl.TLSVersion
) -> None:
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = version
    assert probe.get_problem(serve(context, HEALTHY)) is None


def test_a_server_that_wants_a_password_is_alive(serve: Serve) -> None:
    assert probe.get_problem(serve(None, HEALTHY.replace(b"200 OK", b"401 Unauthorized"))) is None


def test_another_answer_is_a_problem(serve: Serve) -> None:
    assert (
        probe.get_problem(serve(None, HEALTHY.replace(b"200 OK", b"503 Busy"))) == "/-/healthy answered with status 503"
    )


def test_a_server_that_says_nothing_is_a_problem() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        assert probe.get_problem(address, timeout=0.2) == f"{address}: no answer within 0.2 s"


@pytest.mark.parametrize(
    ("address", "target"),
    [
        (":10112", ("127.0.0.1", 10112)),
        ("0.0.0.0:10112", ("127.0.0.1", 10112)),
        ("[::]:10112", ("::1", 10112)),
        ("[2001:db8::1]:1", ("2001:db8::1", 1)),
        ("exporter:80", ("exporter", 80)),
    ],
)
def test_an_address_to_listen_on_becomes_one_to_connect_to(address: str, target: tuple[str, int]) -> None:
    assert probe.get_target(address) == target
