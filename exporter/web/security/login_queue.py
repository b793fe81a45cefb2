"""Passwords that wait to be checked: a check takes long by design, and clients that guess must not keep others out.

One check runs at a time, in a thread of its own. Next comes an attempt from the address with the fewest wrong passwords
of late, among these one from which a login succeeded before, among these the one that has waited longest. Attempts with
the same credentials share one check.
"""

from __future__ import annotations

import asyncio
import ipaddress
import itertools
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field

from exporter.web.security.basic_auth import Credentials, Keyring

MAX_WAITING = 512
"""How many checks may wait: as many as clients may be connected by default."""
MAX_ADDRESSES = 1_000
"""How many addresses are known by their logins."""
WRONG_FORGOTTEN_AFTER = 30.0
"""Seconds for which wrong passwords count against an address."""
IPV6_PREFIX = 64
"""Bits of an IPv6 address that one client cannot choose freely."""


@dataclass(slots=True, eq=False)
class Attempt:
    """Credentials that wait for their check, and the addresses that wait for the result."""

    keyring: Keyring
    credentials: Credentials
    addresses: set[str]
    number: int
    """The lower, the longer it has waited."""
    result: asyncio.Future[bool] = field(repr=False)


class LoginQueue:
    """Checks passwords in a fair order. Lives in the event loop; `checks` runs one at a time."""

    def __init__(self, checks: Executor, clock: Callable[[], float] | None = None) -> None:
        self._checks = checks
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._waiting: dict[tuple[int, Credentials], Attempt] = {}
        self._running: Attempt | None = None
        self._task: asyncio.Task[None] | None = None
        self._numbers = itertools.count()
        self._wrong: Counter[str] = Counter()
        self._wrong_since = 0.0
        self._welcome: dict[str, None] = {}

    async def verify(self, keyring: Keyring, credentials: Credentials, client: str) -> bool | None:
        """Whether the credentials are right; None where there is no room for this attempt in the queue."""
        attempt = self._find_same(keyring, credentials) or self._join(keyring, credentials, find_network(client))
        if attempt is None:
            return None
        attempt.addresses.add(find_network(client))
        with suppress(asyncio.CancelledError):
            return await asyncio.shield(attempt.result)
        if attempt.result.cancelled():
            return None
        raise asyncio.CancelledError

    def _find_same(self, keyring: Keyring, credentials: Credentials) -> Attempt | None:
        running = self._running
        if running and running.keyring is keyring and running.credentials == credentials:
            return running
        return self._waiting.get((id(keyring), credentials))

    def _join(self, keyring: Keyring, credentials: Credentials, address: str) -> Attempt | None:
        """Wait for a turn; where there is no room, the one whose turn would come last gives way."""
        attempt = Attempt(
            keyring, credentials, {address}, next(self._numbers), asyncio.get_running_loop().create_future()
        )
        self._waiting[id(keyring), credentials] = attempt
        if len(self._waiting) > MAX_WAITING:
            last = max(self._waiting.values(), key=self._rank)
            self._leave(last).result.cancel()
            if last is attempt:
                return None
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work())
        return attempt

    def _leave(self, attempt: Attempt) -> Attempt:
        return self._waiting.pop((id(attempt.keyring), attempt.credentials))

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            self._running = attempt = self._leave(min(self._waiting.values(), key=self._rank))
            try:
                right = await loop.run_in_executor(self._checks, attempt.keyring.verify, attempt.credentials)
                self._note(attempt, right=right)
                attempt.result.set_result(right)
            finally:
                self._running = None
                attempt.result.cancel()  # does nothing where there is a result

    def _rank(self, attempt: Attempt) -> tuple[int, bool, int]:
        """The lower, the sooner its turn."""
        now = self._clock()
        if now - self._wrong_since > WRONG_FORGOTTEN_AFTER:
            self._wrong.clear()
            self._wrong_since = now
        wrong = min(self._wrong[address] for address in attempt.addresses)
        welcome = any(address in self._welcome for address in attempt.addresses)
        return wrong, not welcome, attempt.number

    def _note(self, attempt: Attempt, *, right: bool) -> None:
        for address in attempt.addresses:
            if not right:
                self._wrong[address] += 1
                continue
            self._welcome.pop(address, None)
            self._welcome[address] = None
            if len(self._welcome) > MAX_ADDRESSES:
                self._welcome.pop(next(iter(self._welcome)))


def find_network(client: str) -> str:
    """What one client is known by: its IPv4 address, or the network of its IPv6 address."""
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return client
    if isinstance(address, ipaddress.IPv4Address):
        return client
    mapped = address.ipv4_mapped
    return str(mapped or ipaddress.ip_network((address, IPV6_PREFIX), strict=False))
