"""Secrets in texts: which are taken out, in which forms."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter import redaction
from exporter.redaction import MASK, MAX_FOREIGN_LENGTH, MAX_SECRETS, WITHHELD, hide, redact_foreign


def test_a_secret_that_is_used_again_is_not_forgotten() -> None:
    for number in range(3 * MAX_SECRETS):
        hide("the password of always")
        hide(f"token number {number:06}")
    assert redact_foreign("the password of always!") == f"{MASK}!"
    assert len(redaction.known_secrets) == MAX_SECRETS


@given(st.text(min_size=8, max_size=60), st.text(max_size=40), st.integers(0, 2))
def test_no_form_of_a_secret_is_left(secret: str, around: str, offset: int) -> None:
    redaction.known_secrets.clear()
    hide(secret)
    inner = secret.encode("utf-8", "replace")
    for text in (secret, quote(inner), base64.b64encode(b"x" * offset + inner + b"yz").decode(), repr(secret)):
        left = redact_foreign(f"{around}{text}{around}")
        assert secret in around + around or secret not in left
    redaction.known_secrets.clear()


def test_the_parts_on_both_sides_of_a_cut_are_hidden() -> None:
    hide("abcdefghijklmnopqrstuvwxyz")
    assert redact_foreign("token abcdefghij...qrstuvwxyz is bad") == f"token {MASK}...{MASK} is bad"


def test_what_cannot_be_taken_out_is_not_shown() -> None:
    hide("hunter2")
    deep = quote("".join(f"%{byte:02x}" for byte in b"hunter2"))
    assert redact_foreign(f"it was {deep}") == WITHHELD


def test_a_text_without_end_is_cut() -> None:
    assert len(redact_foreign("x" * 10 * MAX_FOREIGN_LENGTH)) == MAX_FOREIGN_LENGTH


@pytest.mark.parametrize("text", ["HTTP 500 (Internal Server Error)", "Invalid JWT token", "Not Found", "%7B%zz \\"])
def test_what_holds_no_secret_is_left_as_it_is(text: str) -> None:
    hide("a-secret-that-is-elsewhere")
    assert redact_foreign(text) == text
