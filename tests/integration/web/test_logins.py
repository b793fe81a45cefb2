"""Many clients with wrong passwords: a client with the right one gets in, whether it logged in before or not."""

from __future__ import annotations

import asyncio
import base64
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import bcrypt
import pytest

from exporter.web.security import login_queue
from exporter.web.security.basic_auth import UserCredentials, UserDatabase
from exporter.web.security.login_queue import LoginQueue, get_network
from exporter.web.server import Server
from tests.integration.web.conftest import Serve
from tests.integration.web.wire import PATIENCE, request

HASH = bcrypt.hashpw(b"open sesame", bcrypt.gensalt(4))
USERS = f"basic_auth_users:\n  prometheus: {HASH.decode()}\n"
CHECK = 0.03
"""Seconds that a check takes here."""
CROWD = 50


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The passwords that were checked, in order; each check takes CHECK seconds."""
    done: list[bytes] = []
    check = bcrypt.checkpw

    def slow(password: bytes, hashed: bytes) -> bool:
        done.append(password)
        time.sleep(CHECK)
        return check(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", slow)
    return done


@pytest.fixture
def server(serve: Serve, web_config: Callable[[str], Path]) -> Server:
    return serve(config_file=web_config(USERS))


class Client:
    """A connection from an address of its own, that has asked and not yet read the answer."""

    def __init__(self, server: Server, password: str, source: str) -> None:
        host, port = server.addresses[0].rsplit(":", 1)
        self.socket = socket.create_connection((host, int(port)), PATIENCE, source_address=(source, 0))
        pair = base64.b64encode(f"prometheus:{password}".encode()).decode()
        self.socket.sendall(request("/metrics", "GET", f"Authorization: Basic {pair}", "Connection: close"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def status(self) -> int:
        """The status of the answer, once it is there."""
        return int(self.socket.recv(65536)[9:12])


@pytest.fixture
def crowd(server: Server, checked: list[bytes]) -> Iterator[Callable[[str], list[Client]]]:
    """CROWD clients with a wrong password each, of which at least one is known to be wrong."""
    with ExitStack() as stack:

        def gather(source: str = "127.0.0.1") -> list[Client]:
            clients = [stack.enter_context(Client(server, f"guess {number}", source)) for number in range(CROWD)]
            deadline = time.monotonic() + PATIENCE
            while len(checked) < 2 and time.monotonic() < deadline:
                time.sleep(0.001)
            return clients

        yield gather


@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.2"], ids=["same-address", "other-address"])
def test_who_never_logged_in_gets_in_while_many_guess(
    source: str, server: Server, crowd: Callable[[], list[Client]], checked: list[bytes]
) -> None:
    guessers = crowd()
    with Client(server, "open sesame", source) as client:
        assert client.status() == 200
    position = checked.index(b"open sesame")
    assert {guesser.status() for guesser in guessers} == {401}
    assert server.counts.limited == 0
    assert source == "127.0.0.1" or position < CROWD, "another address should not wait for all of them"


def test_where_there_is_no_more_room_those_who_guess_give_way(
    server: Server, crowd: Callable[[], list[Client]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(login_queue, "MAX_WAITING", 10)
    guessers = crowd()
    with Client(server, "open sesame", "127.0.0.2") as client:
        assert client.status() == 200
    assert {guesser.status() for guesser in guessers} == {401, 503}
    assert server.counts.limited > 0


def test_a_client_that_comes_again_with_a_wrong_password_costs_one_check(server: Server, checked: list[bytes]) -> None:
    for _ in range(5):
        with Client(server, "guess", "127.0.0.1") as client:
            assert client.status() == 401
    assert len(checked) == 1


def test_many_clients_with_the_same_password_share_a_check(server: Server, checked: list[bytes]) -> None:
    with ExitStack() as stack:
        clients = [stack.enter_context(Client(server, "open sesame", f"127.0.0.{number}")) for number in range(1, 20)]
        assert {client.status() for client in clients} == {200}
    assert len(checked) == 1


# ---- the order, without a server ----------------------------------------------------------------


class Checker:
    """Checks one after the other, each when the test lets it, and notes in which order."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.go = threading.Event()

    def __len__(self) -> int:
        return 1

    def verify(self, credentials: UserCredentials) -> bool:
        if not self.order:
            self.go.wait(PATIENCE)
        self.order.append(credentials.password.decode())
        return credentials.password.startswith(b"right")


def run(*attempts: tuple[str, str], before: tuple[str, ...] = ()) -> list[str]:
    """The order in which passwords are checked that came with addresses; `before`: who logged in already."""

    async def work() -> list[str]:
        with ThreadPoolExecutor(1) as checks:
            queue = LoginQueue(checks)
            queue._known_good.update(dict.fromkeys(before))
            checker = Checker()
            users: UserDatabase = checker  # type: ignore[assignment]
            tasks = [
                asyncio.create_task(queue.verify(users, UserCredentials(b"", password.encode()), address))
                for password, address in attempts
            ]
            await asyncio.sleep(0.05)
            checker.go.set()
            found = await asyncio.gather(*tasks)
            assert found == [password.startswith("right") for password, _ in attempts]
            return checker.order

    return asyncio.run(work())


def test_addresses_take_turns() -> None:
    assert run(("a1", "A"), ("a2", "A"), ("a3", "A"), ("b1", "B"), ("b2", "B")) == ["a1", "b1", "a2", "b2", "a3"]


def test_who_has_no_wrong_password_comes_before_who_has() -> None:
    guesses = [(f"a{number}", "A") for number in range(5)]
    assert run(*guesses, ("right 1", "B"), ("right 2", "B"))[:3] == ["a0", "right 1", "right 2"]


def test_who_has_logged_in_before_comes_before_who_has_not() -> None:
    order = run(("a0", "A"), ("b", "B"), ("right", "C"), before=("C",))
    assert order == ["right", "a0", "b"]


def test_a_check_that_fails_does_not_block_the_next() -> None:
    class Broken(Checker):
        def verify(self, credentials: UserCredentials) -> bool:
            if credentials.password == b"bad":
                raise MemoryError
            return True

    async def work() -> list[bool | None]:
        with ThreadPoolExecutor(1) as checks:
            queue = LoginQueue(checks)
            users: UserDatabase = Broken()  # type: ignore[assignment]
            one = asyncio.create_task(queue.verify(users, UserCredentials(b"", b"bad"), "A"))
            found = [await one, await queue.verify(users, UserCredentials(b"", b"right"), "B")]
            assert isinstance(queue._task and queue._task.exception(), MemoryError | None)
            return found

    failed: list[object] = []

    async def watch() -> list[bool | None]:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failed.append(context["exception"]))
        return await work()

    assert asyncio.run(watch()) == [None, True]


@pytest.mark.parametrize(
    ("client", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_what_a_client_is_known_by(client: str, network: str) -> None:
    assert get_network(client) == network
