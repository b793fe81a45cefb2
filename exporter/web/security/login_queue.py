"""Queue of bcrypt checks for basic auth: clients that guess passwords must not lock out clients with the right one.

One check runs at a time, in a separate thread. The next attempt is chosen by, in this order: the fewest recent wrong
passwords from its address, an earlier successful login from its address, the longest wait. Attempts with the same
credentials share one check.
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

from exporter.web.security.basic_auth import UserCredentials, UserDatabase

MAX_WAITING = 512
"""Checks that may wait; the default of --web.max-connections."""
MAX_ADDRESSES = 1_000
"""Addresses with a successful login that are remembered."""
FAILURE_WINDOW = 30.0
"""Seconds for which a wrong password counts against an address."""
IPV6_PREFIX = 64
"""Bits of an IPv6 address that identify a client: it can choose the others freely."""


@dataclass(slots=True, eq=False)
class LoginAttempt:
    """Credentials waiting for a bcrypt check, and the client addresses waiting for its result."""

    users: UserDatabase
    credentials: UserCredentials
    addresses: set[str]
    number: int
    """Ascending in the order of arrival."""
    result: asyncio.Future[bool] = field(repr=False)


class LoginQueue:
    """Runs bcrypt checks in a fair order. Belongs to the event loop; the executor `checks` has one thread."""

    def __init__(self, checks: Executor, clock: Callable[[], float] | None = None) -> None:
        self._checks = checks
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._waiting: dict[tuple[int, UserCredentials], LoginAttempt] = {}
        self._running: LoginAttempt | None = None
        self._task: asyncio.Task[None] | None = None
        self._numbers = itertools.count()
        self._failures: Counter[str] = Counter()
        self._window_start = 0.0
        self._known_good: dict[str, None] = {}

    async def verify(self, users: UserDatabase, credentials: UserCredentials, client: str) -> bool | None:
        """Whether the credentials are right; None if the queue is full and has no room for this attempt."""
        attempt = self._get_same(users, credentials) or self._enqueue(users, credentials, get_network(client))
        if attempt is None:
            return None
        attempt.addresses.add(get_network(client))
        with suppress(asyncio.CancelledError):
            return await asyncio.shield(attempt.result)
        if attempt.result.cancelled():
            return None
        raise asyncio.CancelledError

    def _get_same(self, users: UserDatabase, credentials: UserCredentials) -> LoginAttempt | None:
        running = self._running
        if running and running.users is users and running.credentials == credentials:
            return running
        return self._waiting.get((id(users), credentials))

    def _enqueue(self, users: UserDatabase, credentials: UserCredentials, address: str) -> LoginAttempt | None:
        """Add an attempt; if the queue is full, the attempt with the lowest priority is dropped."""
        attempt = LoginAttempt(
            users, credentials, {address}, next(self._numbers), asyncio.get_running_loop().create_future()
        )
        self._waiting[id(users), credentials] = attempt
        if len(self._waiting) > MAX_WAITING:
            last = max(self._waiting.values(), key=self._get_priority)
            self._dequeue(last).result.cancel()
            if last is attempt:
                return None
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run_checks())
        return attempt

    def _dequeue(self, attempt: LoginAttempt) -> LoginAttempt:
        return self._waiting.pop((id(attempt.users), attempt.credentials))

    async def _run_checks(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            self._running = attempt = self._dequeue(min(self._waiting.values(), key=self._get_priority))
            try:
                right = await loop.run_in_executor(self._checks, attempt.users.verify, attempt.credentials)
                self._record_result(attempt, right=right)
                attempt.result.set_result(right)
            finally:
                self._running = None
                attempt.result.cancel()  # no effect if there is a result

    def _get_priority(self, attempt: LoginAttempt) -> tuple[int, bool, int]:
        """Sort key: the lowest is checked next."""
        now = self._clock()
        if now - self._window_start > FAILURE_WINDOW:
            self._failures.clear()
            self._window_start = now
        failures = min(self._failures[address] for address in attempt.addresses)
        known_good = any(address in self._known_good for address in attempt.addresses)
        return failures, not known_good, attempt.number

    def _record_result(self, attempt: LoginAttempt, *, right: bool) -> None:
        for address in attempt.addresses:
            if not right:
                self._failures[address] += 1
                continue
            self._known_good.pop(address, None)
            self._known_good[address] = None
            if len(self._known_good) > MAX_ADDRESSES:
                self._known_good.pop(next(iter(self._known_good)))


def get_network(client: str) -> str:
    """What identifies a client: its IPv4 address, or the /64 network of its IPv6 address."""
    try:
        address = ipaddress.ip_address(client.partition("%")[0])
    except ValueError:
        return client
    if isinstance(address, ipaddress.IPv4Address):
        return client
    mapped = address.ipv4_mapped
    return str(mapped or ipaddress.ip_network((address, IPV6_PREFIX), strict=False))
