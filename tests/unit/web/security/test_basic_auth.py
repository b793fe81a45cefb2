"""Users of the web server: who gets in, and that refusals take the same work."""

from __future__ import annotations

import bcrypt
import pytest

from exporter.web.security.basic_auth import REMEMBERED, Credentials, Keyring, read_cost, read_credentials

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
        done.append(2 ** read_cost(hashed))
        return check(password, hashed)

    monkeypatch.setattr(bcrypt, "checkpw", count)
    return done


@pytest.mark.parametrize("user", [b"cheap", b"costly"])
def test_the_right_password_opens(user: bytes) -> None:
    keyring = Keyring(USERS)
    assert not keyring.recall(Credentials(user, b"open sesame"))
    assert keyring.verify(Credentials(user, b"open sesame"))
    assert keyring.recall(Credentials(user, b"open sesame"))


@pytest.mark.parametrize("user", [b"cheap", b"costly", b"nobody", b""])
@pytest.mark.parametrize("password", [b"guess", b"", b"open sesame ", b"\0", b"x" * 100])
def test_every_refusal_takes_the_same_work(work: list[int], user: bytes, password: bytes) -> None:
    assert not Keyring(USERS).verify(Credentials(user, password))
    assert sum(work) == 2**7


def test_a_refusal_is_not_remembered() -> None:
    keyring = Keyring(USERS)
    keyring.verify(Credentials(b"cheap", b"guess"))
    assert not keyring.recall(Credentials(b"cheap", b"guess"))


def test_what_is_remembered_is_bounded() -> None:
    keyring = Keyring({str(number).encode(): USERS[b"cheap"] for number in range(REMEMBERED + 1)})
    for number in range(REMEMBERED + 1):
        assert keyring.verify(Credentials(str(number).encode(), b"open sesame"))
    assert not keyring.recall(Credentials(b"0", b"open sesame"))
    assert keyring.recall(Credentials(b"1", b"open sesame"))


def test_passwords_are_not_kept() -> None:
    keyring = Keyring(USERS)
    keyring.verify(Credentials(b"cheap", b"open sesame"))
    assert b"open sesame" not in b"".join(keyring._known)


def test_names_and_passwords_are_not_run_together() -> None:
    keyring = Keyring({b"a": USERS[b"cheap"]})
    keyring.verify(Credentials(b"a", b"open sesame"))
    assert not keyring.recall(Credentials(b"ao", b"pen sesame"))


def test_only_72_bytes_of_a_password_count() -> None:
    long = b"x" * 72
    keyring = Keyring({b"a": bcrypt.hashpw(long, bcrypt.gensalt(4))})
    assert keyring.verify(Credentials(b"a", long + b"more"))


@pytest.mark.parametrize(
    ("header", "credentials"),
    [
        ("Basic YTpi", Credentials(b"a", b"b")),
        ("basic  YTpiOmM=", Credentials(b"a", b"b:c")),
        ("Basic Og==", Credentials(b"", b"")),
        ("Basic YQ==", None),
        ("Basic YTpi!", None),
        ("Bearer YTpi", None),
        ("", None),
    ],
)
def test_the_header_has_a_name_and_a_password(header: str, credentials: Credentials | None) -> None:
    assert read_credentials(header) == credentials
