"""Starting and stopping: addresses, answers under way, and what is left behind."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from exporter.store.exposition import Format
from exporter.store.store import Store
from exporter.web.server import AddressError, Server, WebConfigError
from tests.integration.web.conftest import ANYWHERE, Serve, make_context, render_forever
from tests.integration.web.wire import ask, connect, read_all, read_until, request, wait_until


def has_ipv6() -> bool:
    with suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
        return True
    return False


class TestAddresses:
    """Where a server listens."""

    def test_can_be_several(self, serve: Serve) -> None:
        addresses = serve(listen_addresses=("127.0.0.1:0", "localhost:0")).addresses
        assert len(set(addresses)) == 2
        assert {ask(address).status for address in addresses} == {200}

    def test_without_a_host_are_all_interfaces(self, serve: Serve) -> None:
        port = serve(listen_addresses=(":0",)).addresses[0].rpartition(":")[2]
        assert ask(f"127.0.0.1:{port}").status == 200

    @pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
    def test_can_be_ipv6(self, serve: Serve) -> None:
        address = serve(listen_addresses=("[::1]:0",)).addresses[0]
        assert address.startswith("[::1]:")
        with socket.create_connection(("::1", int(address.rpartition(":")[2]))) as client:
            client.sendall(request("/-/healthy"))
            read_until(client, b"Healthy.\n")


class TestStarting:
    """A server that cannot do what it is told does not start."""

    def test_without_its_web_configuration(self, serve: Serve, tmp_path: Path) -> None:
        with pytest.raises(WebConfigError, match="cannot be read"):
            serve(config_file=tmp_path / "absent.yml")

    def test_with_a_wrong_one_it_does_not_even_listen(self, serve: Serve, web_config: Callable[[str], Path]) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(WebConfigError, match="unknown section"):
                serve(config_file=web_config("users: {}"), listen_addresses=(f"127.0.0.1:{port}",))

    def test_where_another_process_listens(self, serve: Serve) -> None:
        other: Server = serve()
        taken = other.addresses[0]
        with pytest.raises(AddressError, match=f"cannot listen on {taken}: the port is in use"):
            serve(listen_addresses=(ANYWHERE, taken))


class TestStopping:
    """What becomes of clients."""

    def test_a_scrape_under_way_is_finished(self, serve: Serve) -> None:
        halfway, go_on = threading.Event(), threading.Event()

        def render(_store: Store, _form: Format, _names: frozenset[str]) -> Iterator[bytes]:
            yield b"begin\n"
            halfway.set()
            # Time passes chunk by chunk, as it does while a large store is rendered.
            while not go_on.wait(0.01):
                yield b"more\n"
            yield b"end\n"

        server = serve(make_context(render=render))
        with connect(server.addresses[0]) as client:
            client.sendall(request())
            assert halfway.wait(10)
            stopping = threading.Thread(target=server.stop, args=(30,))
            stopping.start()
            wait_until(lambda: refuses(server.addresses[0]))
            go_on.set()
            assert read_all(client).endswith(b"4\r\nend\n\r\n0\r\n\r\n")
        stopping.join()
        assert not server.alive

    def test_idle_clients_are_not_waited_for(self, serve: Serve) -> None:
        server = serve()
        with connect(server.addresses[0]) as idle, connect(server.addresses[0]) as silent:
            idle.sendall(request("/-/healthy"))
            read_until(idle, b"Healthy.\n")
            start = time.monotonic()
            server.stop(30)
            assert time.monotonic() - start < 10
            assert (idle.recv(1), silent.recv(1)) == (b"", b"")

    def test_who_takes_too_long_is_cut_off(self, serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
        server = serve(make_context(render=render_forever))
        with connect(server.addresses[0], receive_buffer=4096) as client:
            client.sendall(request())
            client.recv(100)
            server.stop(0.1)
        assert not server.alive
        assert "aborted 1 connections" in caplog.text

    def test_the_address_is_free_again(self, serve: Serve) -> None:
        first = serve()
        ask(first.addresses[0])
        first.stop()
        assert ask(serve(listen_addresses=first.addresses).addresses[0]).status == 200

    def test_twice_or_before_the_start_does_no_harm(self, serve: Serve) -> None:
        server = serve()
        server.stop()
        server.stop()


def refuses(address: str) -> bool:
    try:
        with connect(address):
            return False
    # A socket that is closed while it accepts resets the connection.
    except (ConnectionRefusedError, ConnectionResetError):
        return True
