"""Basic auth: who is accepted, and that every refusal takes the same time."""

from __future__ import annotations

import bcrypt
import pytest

from exporter.web.security.basic_auth import (
    MAX_ACCEPTED_LOGINS,
    UserCredentials,
    UserDatabase,
    parse_basic_auth,
    parse_cost,
)

USERS = {
    b"cheap": bcrypt.hashpw(b"open sesame", bcrypt.gensalt(4)),
    b"costly": bcrypt.hashpw(b"open sesame", bcrypt.gensalt(7)),
}


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The work of each bcrypt check: 2 to the power of its cost."""
    done: list[int] = []
    check = bcrypt.checkpw

    def count(password: bytes, hashed: bytes) -> bool:
        done.append(2 ** parse_cost(hashed))
        return check(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", count)
    return done


@pytest.mark.parametrize("user", [b"cheap", b"costly"])
def test_the_right_password_is_accepted(user: bytes) -> None:
    users = UserDatabase(USERS)
    assert not users.was_accepted(UserCredentials(user, b"open sesame"))
    assert users.verify(UserCredentials(user, b"open sesame"))
    assert users.was_accepted(UserCredentials(user, b"open sesame"))


@pytest.mark.parametrize("user", [b"cheap", b"costly", b"nobody", b""])
@pytest.mark.parametrize("password", [b"guess", b"", b"open sesame ", b"\0", b"x" * 100])
def test_every_refusal_takes_the_same_work(work: list[int], user: bytes, password: bytes) -> None:
    assert not UserDatabase(USERS).verify(UserCredentials(user, password))
    assert sum(work) == 2**7


def test_a_refusal_is_not_taken_for_a_success() -> None:
    users = UserDatabase(USERS)
    users.verify(UserCredentials(b"cheap", b"guess"))
    assert not users.was_accepted(UserCredentials(b"cheap", b"guess"))


def test_the_cache_of_accepted_logins_is_bounded() -> None:
    users = UserDatabase({str(number).encode(): USERS[b"cheap"] for number in range(MAX_ACCEPTED_LOGINS + 1)})
    for number in range(MAX_ACCEPTED_LOGINS + 1):
        assert users.verify(UserCredentials(str(number).encode(), b"open sesame"))
    assert not users.was_accepted(UserCredentials(b"0", b"open sesame"))
    assert users.was_accepted(UserCredentials(b"1", b"open sesame"))


def test_passwords_are_not_kept() -> None:
    users = UserDatabase(USERS)
    users.verify(UserCredentials(b"cheap", b"open sesame"))
    assert b"open sesame" not in b"".join(users._accepted)


def test_names_and_passwords_are_not_run_together() -> None:
    users = UserDatabase({b"a": USERS[b"cheap"]})
    users.verify(UserCredentials(b"a", b"open sesame"))
    assert not users.was_accepted(UserCredentials(b"ao", b"pen sesame"))


def test_only_72_bytes_of_a_password_count() -> None:
    long = b"x" * 72
    users = UserDatabase({b"a": bcrypt.hashpw(long, bcrypt.gensalt(4))})
    assert users.verify(UserCredentials(b"a", long + b"more"))


@pytest.mark.parametrize(
    ("header", "credentials"),
    [
        ("Basic YTpi", UserCredentials(b"a", b"b")),
        ("basic  YTpiOmM=", UserCredentials(b"a", b"b:c")),
        ("Basic Og==", UserCredentials(b"", b"")),
        ("Basic YQ==", None),
        ("Basic YTpi!", None),
        ("Bearer YTpi", None),
        ("", None),
    ],
)
def test_the_header_has_a_name_and_a_password(header: str, credentials: UserCredentials | None) -> None:
    assert parse_basic_auth(header) == credentials
