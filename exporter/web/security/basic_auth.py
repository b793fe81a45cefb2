"""The users of the web server: bcrypt checks that take the same work whoever asks."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Mapping
from typing import NamedTuple

LONGEST = 72
"""Bytes of a password that bcrypt looks at."""
REMEMBERED = 100
"""How many successful logins are kept, so that not every scrape costs a bcrypt check."""
REFUSALS_REMEMBERED = 1_000
"""How many refused credentials are kept, so that a client that comes again with them costs no check."""
FILLER = b"." * 22


class Credentials(NamedTuple):
    """What a client says it is."""

    user: bytes
    password: bytes


def read_credentials(authorization: str) -> Credentials | None:
    """Decode a basic `Authorization` header; None if it is anything else."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return Credentials(user, password) if colon else None


def read_cost(hashed: bytes) -> int:
    """The cost of a bcrypt hash: the work is 2 to its power."""
    return int(hashed[4:6])


class Keyring:
    """Users and their bcrypt hashes. `verify` is slow by design and belongs in a thread of its own."""

    def __init__(self, users: Mapping[bytes, bytes]) -> None:
        self._users = dict(users)
        self._highest = max(map(read_cost, self._users.values()), default=0)
        self._secret = os.urandom(32)
        self._known: dict[bytes, None] = {}
        self._refused: dict[bytes, None] = {}

    def __len__(self) -> int:
        return len(self._users)

    def recall(self, credentials: Credentials) -> bool:
        """Whether `verify` has accepted exactly these credentials not long ago."""
        return self._digest(credentials) in self._known

    def recall_wrong(self, credentials: Credentials) -> bool:
        """Whether `verify` has refused exactly these credentials: a client with a wrong password comes again."""
        return self._digest(credentials) in self._refused

    def verify(self, credentials: Credentials) -> bool:
        """Check a password. Called by one thread at a time."""
        password = credentials.password[:LONGEST]
        hashed = self._users.get(credentials.user)
        if hashed is not None and matches(password, hashed):
            self._remember(self._known, credentials, REMEMBERED)
            return True
        self._waste(password, hashed)
        self._remember(self._refused, credentials, REFUSALS_REMEMBERED)
        return False

    def _waste(self, password: bytes, hashed: bytes | None) -> None:
        """Add the work that brings every refusal to that of the most expensive hash.

        Otherwise the time would tell an unknown user from a wrong password: work doubles with each
        step of the cost, so one check at each cost that is left out adds up to it exactly.
        """
        costs = [self._highest] if hashed is None else range(read_cost(hashed), self._highest)
        for cost in costs:
            matches(password, b"$2b$%02d$" % cost + FILLER + b"." * 31)

    def _remember(self, found: dict[bytes, None], credentials: Credentials, limit: int) -> None:
        while len(found) >= limit:
            found.pop(next(iter(found)))
        found[self._digest(credentials)] = None

    def _digest(self, credentials: Credentials) -> bytes:
        user, password = credentials
        # The length keeps "a" + "bc" and "ab" + "c" apart.
        message = b"%d:%b%b" % (len(user), user, password)
        return hmac.digest(self._secret, message, hashlib.sha256)


def matches(password: bytes, hashed: bytes) -> bool:
    """One bcrypt check; False too where the password cannot be one."""
    # An exporter without users must not pay for it.
    import bcrypt  # noqa: PLC0415

    try:
        return bcrypt.checkpw(password, hashed)
    except ValueError:
        return False
