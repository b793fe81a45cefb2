"""Basic auth: the users of the web configuration file and their bcrypt hashes.

A refused login takes the same time whether the user or the password is wrong.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
from collections.abc import Mapping
from typing import NamedTuple

MAX_PASSWORD_BYTES = 72
"""bcrypt ignores the bytes after these."""
MAX_ACCEPTED_LOGINS = 100
"""How many accepted logins are cached, so that not every scrape costs a bcrypt check."""
MAX_REFUSED_LOGINS = 1_000
"""How many refused logins are cached, so that a client that repeats a wrong password costs no further check."""
DUMMY_SALT = b"." * 22
DUMMY_HASH = b"." * 31


class UserCredentials(NamedTuple):
    """User name and password as a client sends them."""

    user: bytes
    password: bytes


def parse_basic_auth(authorization: str) -> UserCredentials | None:
    """Decode an `Authorization: Basic` header; None for another scheme or an invalid value."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return UserCredentials(user, password) if colon else None


def parse_cost(hashed: bytes) -> int:
    """The cost of a bcrypt hash: a check takes 2 to the power of it rounds."""
    return int(hashed[4:6])


class UserDatabase:
    """Users with their bcrypt hashes. `verify` is slow by design: run it in a separate thread."""

    def __init__(self, users: Mapping[bytes, bytes]) -> None:
        self._users = dict(users)
        self._max_cost = max(map(parse_cost, self._users.values()), default=0)
        self._secret = os.urandom(32)
        self._accepted: dict[bytes, None] = {}
        self._refused: dict[bytes, None] = {}

    def __len__(self) -> int:
        return len(self._users)

    def was_accepted(self, credentials: UserCredentials) -> bool:
        """Whether `verify` accepted these credentials recently."""
        return self._digest(credentials) in self._accepted

    def was_refused(self, credentials: UserCredentials) -> bool:
        """Whether `verify` refused these credentials recently."""
        return self._digest(credentials) in self._refused

    def verify(self, credentials: UserCredentials) -> bool:
        """Check a password with bcrypt. Called from one thread at a time."""
        password = credentials.password[:MAX_PASSWORD_BYTES]
        hashed = self._users.get(credentials.user)
        if hashed is not None and check_password(password, hashed):
            self._cache(self._accepted, credentials, MAX_ACCEPTED_LOGINS)
            return True
        self._equalize_time(password, hashed)
        self._cache(self._refused, credentials, MAX_REFUSED_LOGINS)
        return False

    def _equalize_time(self, password: bytes, hashed: bytes | None) -> None:
        """Add dummy checks, so that every refusal takes as long as a check of the most expensive hash.

        Otherwise the response time would show whether a user exists. The work doubles with each step
        of the cost, so one check at each cost from that of the hash to the highest adds up exactly.
        """
        costs = [self._max_cost] if hashed is None else range(parse_cost(hashed), self._max_cost)
        for cost in costs:
            check_password(password, b"$2b$%02d$" % cost + DUMMY_SALT + DUMMY_HASH)

    def _cache(self, logins: dict[bytes, None], credentials: UserCredentials, limit: int) -> None:
        while len(logins) >= limit:
            logins.pop(next(iter(logins)))
        logins[self._digest(credentials)] = None

    def _digest(self, credentials: UserCredentials) -> bytes:
        user, password = credentials
        # The length distinguishes user "a" with "bc" from user "ab" with "c".
        message = b"%d:%b%b" % (len(user), user, password)
        return hmac.digest(self._secret, message, hashlib.sha256)


def check_password(password: bytes, hashed: bytes) -> bool:
    """One bcrypt check; False too if bcrypt does not accept the password, for example one with a NUL byte."""
    # Imported here so that an exporter without users does not load it.
    import bcrypt  # noqa: PLC0415

    try:
        return bcrypt.checkpw(password, hashed)
    except ValueError:
        return False
