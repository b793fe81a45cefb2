"""Clients that are slow, silent or many: they delay nobody, and nobody waits for them for ever."""

from __future__ import annotations

import gc
import logging
import socket
import ssl
import time
from asyncio.sslproto import SSLProtocol
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

from exporter.store.exposition import Format
from exporter.store.store import Store
from exporter.web.connections import TOO_MANY_CONNECTIONS
from exporter.web.server import Server, Timeouts
from tests.integration.web.certificates import trust, write_certificates
from tests.integration.web.conftest import Serve, make_context, render_forever
from tests.integration.web.wire import ask, connect, read_all, read_until, request, time_scrape, wait_until

HASTE = Timeouts(head=0.4, response=0.4, idle=0.4)
"""Timeouts that a test can wait for."""
UNDELAYED = 2.0
"""Seconds: above what a busy machine takes for a scrape, and well below every timeout in force."""
TLS = "tls_server_config:\n  cert_file: server.crt\n  key_file: server.key\n"


@pytest.fixture
def tls_config(web_config: Callable[[str], Path], tmp_path: Path) -> Path:
    write_certificates(tmp_path)
    return web_config(TLS)


@contextmanager
def crowd(address: str, size: int, sent: bytes = b"") -> Iterator[list[socket.socket]]:
    """Many connections that have sent something, or nothing."""
    with ExitStack() as stack:
        clients = [stack.enter_context(connect(address)) for _ in range(size)]
        for client in clients:
            client.sendall(sent)
        yield clients


def rests(measure: Callable[[], int]) -> bool:
    """Whether a number has stopped growing."""
    before = measure()
    time.sleep(0.1)
    return before == measure()


def send_forever(client: socket.socket) -> None:
    while True:
        client.sendall(b"x" * 100_000)


class TestNobodyIsDelayed:
    """A scrape beside clients that do not go on."""

    def test_by_a_silent_tls_client(self, serve: Serve, tls_config: Path) -> None:
        address = serve(config_file=tls_config).addresses[0]
        with crowd(address, 20):
            assert time_scrape(address, trust()) < UNDELAYED

    def test_by_200_idle_connections(self, serve: Serve) -> None:
        server = serve()
        with crowd(server.addresses[0], 200, request("/-/healthy")) as clients:
            for client in clients:
                read_until(client, b"Healthy.\n")
            assert server.open_connections == 200
            assert time_scrape(server.addresses[0]) < UNDELAYED

    def test_by_half_a_request(self, serve: Serve) -> None:
        address = serve().addresses[0]
        with crowd(address, 20, request()[:-7]):
            assert time_scrape(address) < UNDELAYED

    def test_by_slow_readers(self, serve: Serve) -> None:
        big = make_context(render=lambda *_: iter([b"x" * 65536] * 2000))
        address = serve(big).addresses[0]
        with ExitStack() as stack:
            for _ in range(5):
                client = stack.enter_context(connect(address, receive_buffer=4096))
                client.sendall(request())
                client.recv(100)
            start = time.perf_counter()
            assert ask(address, "/-/healthy").status == 200
            assert time.perf_counter() - start < UNDELAYED


class TestSlowReaders:
    """Bounded in memory and time."""

    def test_stop_the_rendering_instead_of_filling_memory(self, serve: Serve) -> None:
        rendered = 0

        def render(_store: Store, _form: Format, _names: frozenset[str]) -> Iterator[bytes]:
            nonlocal rendered
            while True:
                rendered += 65536
                yield b"x" * 65536

        server = serve(make_context(render=render))
        with connect(server.addresses[0], receive_buffer=4096) as client:
            client.sendall(request())
            client.recv(100)
            wait_until(lambda: rests(lambda: rendered))
            # Nearly all of it is the kernel's; beside that there are a write buffer and one chunk.
            assert rendered < 16 * 1024 * 1024

    def test_are_cut_off(self, serve: Serve) -> None:
        server = serve(make_context(render=render_forever), timeouts=HASTE)
        with connect(server.addresses[0], receive_buffer=4096) as client:
            client.sendall(request())
            wait_until(lambda: server.counts.overdue == 1)
            wait_until(lambda: server.open_connections == 0)

    def test_are_cut_off_over_tls_too(self, serve: Serve, tls_config: Path) -> None:
        server = serve(make_context(render=render_forever), timeouts=HASTE, config_file=tls_config)
        with connect(server.addresses[0], receive_buffer=4096) as bare:
            client = trust().wrap_socket(bare, server_hostname="127.0.0.1")
            client.sendall(request())
            wait_until(lambda: server.counts.overdue == 1)
            wait_until(lambda: server.open_connections == 0)
            client.close()

    def test_whose_answer_is_complete_but_not_taken_are_cut_off(self, serve: Serve) -> None:
        # More than the kernel takes at once, less than makes the rendering pause.
        context = make_context(render=lambda *_: iter([b"x" * 7_000_000]))
        server = serve(context, timeouts=HASTE)
        with connect(server.addresses[0], receive_buffer=4096) as client:
            client.sendall(request())
            wait_until(lambda: server.counts.overdue == 1)
            wait_until(lambda: server.open_connections == 0)


class TestSilentClients:
    """Let go after a while."""

    @pytest.mark.parametrize("sent", [b"", b"GET", request()[:-2], request() + b"GET"])
    def test_that_do_not_finish_a_request(self, serve: Serve, sent: bytes) -> None:
        address = serve(timeouts=HASTE).addresses[0]
        with connect(address) as client:
            client.sendall(sent)
            read_all(client)

    def test_that_finished_one_and_send_no_other(self, serve: Serve) -> None:
        server = serve(timeouts=HASTE)
        with connect(server.addresses[0]) as client:
            client.sendall(request("/-/healthy"))
            assert read_all(client).endswith(b"Healthy.\n")
        assert server.counts.overdue == 0

    def test_that_send_a_body_for_ever(self, serve: Serve) -> None:
        address = serve(timeouts=HASTE).addresses[0]
        with connect(address) as client:
            client.sendall(request("/-/reload", "POST", "Content-Length: 1000000000"))
            with pytest.raises(ConnectionError):
                send_forever(client)

    def test_that_do_not_shake_hands(self, serve: Serve, tls_config: Path) -> None:
        server = serve(timeouts=Timeouts(handshake=0.2), config_file=tls_config)
        with connect(server.addresses[0]) as client:
            assert read_all(client) == b""
        wait_until(lambda: server.counts.failed_handshakes == 1)


class TestKeepingAlive:
    """Well-behaved clients keep their connection."""

    def test_between_requests(self, address: str) -> None:
        with connect(address) as client:
            for _ in range(3):
                client.sendall(request("/-/healthy"))
                read_until(client, b"Healthy.\n")

    def test_with_several_requests_at_once(self, address: str) -> None:
        with connect(address) as client:
            client.sendall(request("/-/healthy") * 2 + request("/-/healthy", "GET", "Connection: close"))
            assert read_all(client).count(b"Healthy.\n") == 3

    def test_longer_than_the_time_that_one_request_may_take(self, serve: Serve) -> None:
        server = serve(timeouts=Timeouts(head=0.2, response=0.2, idle=30.0))
        with connect(server.addresses[0]) as client:
            for pause in (0.5, 0.0):
                client.sendall(request("/-/healthy"))
                read_until(client, b"Healthy.\n")
                time.sleep(pause)


class TestFull:
    """More clients than there is room for."""

    def test_who_is_idle_gives_way(self, serve: Serve) -> None:
        server = serve(max_connections=3)
        with crowd(server.addresses[0], 3) as clients:
            wait_until(lambda: server.open_connections == 3)
            assert ask(server.addresses[0]).status == 200
            assert clients[0].recv(1) == b""
        assert server.counts.refused == 0

    def test_who_does_not_shake_hands_gives_way(self, serve: Serve, tls_config: Path) -> None:
        server = serve(max_connections=3, config_file=tls_config)
        with crowd(server.addresses[0], 10):
            assert ask(server.addresses[0], tls=trust()).status == 200

    def test_who_is_served_does_not(self, serve: Serve) -> None:
        server = serve(make_context(render=render_forever), max_connections=1)
        address = server.addresses[0]
        with connect(address, receive_buffer=4096) as served:
            served.sendall(request())
            served.recv(100)
            with connect(address) as refused:
                assert read_all(refused) == TOO_MANY_CONNECTIONS
            assert served.recv(100)
        assert server.counts.refused == 1

    def test_a_refusal_in_the_middle_of_tls_says_nothing_in_plain(self, serve: Serve, tls_config: Path) -> None:
        server = serve(make_context(render=render_forever), max_connections=1, config_file=tls_config)
        with connect(server.addresses[0], receive_buffer=4096) as bare:
            served = trust().wrap_socket(bare, server_hostname="127.0.0.1")
            served.sendall(request())
            served.recv(100)
            with connect(server.addresses[0]) as refused:
                assert read_all(refused) == b""
            served.close()


class TestLeavings:
    """What a client leaves behind when it goes."""

    @pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO])
    def test_the_buffers_of_tls_go_at_once(
        self, serve: Serve, tls_config: Path, caplog: pytest.LogCaptureFixture, level: int
    ) -> None:
        caplog.set_level(level)  # a log record of the failed handshake that is kept must not keep the buffer
        server = serve(config_file=tls_config)
        gc.collect()
        gc.disable()
        others = list_tls_protocols()  # servers of other tests may still be ending
        try:
            ask(server.addresses[0], tls=trust())
            with connect(server.addresses[0]) as bare:
                client = trust().wrap_socket(bare, server_hostname="127.0.0.1")
                client.sendall(request("/-/healthy"))
                read_until(client, b"Healthy.\n")
                client.close()
            with connect(server.addresses[0]):
                pass
            wait_until(lambda: list_tls_protocols() <= others)
        finally:
            gc.enable()


def list_tls_protocols() -> set[int]:
    """The identities of asyncio's TLS protocols that exist in this process."""
    return {id(found) for found in gc.get_objects() if isinstance(found, SSLProtocol)}


def test_answers_are_not_held_back_until_the_client_acknowledges(serve: Serve) -> None:
    server = serve()
    with connect(server.addresses[0]):
        wait_until(lambda: server.open_connections == 1)
        (connection,) = server._state.connections
        accepted = connection.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_no_file_descriptor_is_left_behind(serve: Serve, tls_config: Path) -> None:
    plain, secure = serve(), serve(config_file=tls_config)
    process = psutil.Process()

    def visit() -> None:
        ask(plain.addresses[0])
        ask(secure.addresses[0], tls=trust())
        with connect(plain.addresses[0]) as client:
            client.sendall(request()[:20])
        with connect(secure.addresses[0]) as client, pytest.raises(ssl.SSLError):
            ssl.create_default_context().wrap_socket(client, server_hostname="127.0.0.1")
        with connect(secure.addresses[0]) as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            read_all(client)

    visit()
    wait_until(lambda: is_quiet(plain) and is_quiet(secure))
    before = process.num_fds()
    for _ in range(5):
        visit()
    wait_until(lambda: is_quiet(plain) and is_quiet(secure))
    wait_until(lambda: process.num_fds() <= before)


def is_quiet(server: Server) -> bool:
    return server.open_connections == 0
