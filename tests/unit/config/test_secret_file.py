"""Secrets as people keep them: what is left out, what is refused, and files that can be read only once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter.config import secret_file, values
from exporter.config.secret_file import (
    SecretFile,
    SecretVariable,
    clean_client_secret,
    clean_password,
    clean_token,
    decode_text,
    looks_wrapped,
)
from exporter.metrics.reading import ReaderError

JWT = "eyJhbGciOiJIUzUxMiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
Clean = Callable[[str, str], str]


@pytest.mark.parametrize(
    "text",
    [
        "abc-DEF.1",
        "abc-DEF.1\n",
        "\ufeffabc-DEF.1\r\n",
        "Bearer abc-DEF.1",
        "bearer  abc-DEF.1\n",
        "Authorization: Bearer abc-DEF.1",
        '"abc-DEF.1"',
        "'abc-DEF.1'\n",
        '"Bearer abc-DEF.1"',
        "TOKEN=abc-DEF.1",
        "export AIRFLOW_TOKEN='abc-DEF.1'",
        "token: abc-DEF.1",
        '{"access_token": "abc-DEF.1", "token_type": "Bearer"}',
        '{\n  "token": "abc-DEF.1"\n}\n',
        '{"accessToken": "abc-DEF.1", "expiresOn": "2026-01-01"}',
        'TOKEN={"access_token": "Bearer abc-DEF.1"}',
    ],
)
def test_what_is_unmistakably_around_a_token_is_left_out(text: str) -> None:
    assert clean_token(decode_text(text.encode(), "it"), "it") == "abc-DEF.1"


@pytest.mark.parametrize("token", [JWT, "abc=", "abcd==", "a:b", "abc+/=", "=", "x=="])
def test_what_is_a_token_is_left_as_it_is(token: str) -> None:
    assert clean_token(token, "it") == token


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "the token file is empty"),
        (" \n", "the token file is empty"),
        ("''", "the token file is empty"),
        ("Bearer", None),
        ("abc def", "contains a space; write only the token into it, on one line"),
        ("Basic dXNlcjpwYXNz", "contains a space"),
        ("abc\ndef", "contains several lines; write only the token"),
        ("# my token\nabc", "contains several lines"),
        ("<html><body>Sign in</body></html>", "contains a web page; write only the token"),
        ("<!doctype html>\n<html></html>", "contains a web page"),
        ('{"error": "invalid"}', "contains JSON without 'access_token' or 'accessToken' or 'token'"),
        ("{broken", "contains JSON without"),
        ('{"access_token": ""}', "is empty"),
        ("tökén", "characters that are invalid in a header"),
    ],
)
def test_what_is_no_token_is_refused_with_what_to_write(text: str, says: str | None) -> None:
    if says is None:
        assert clean_token(text, "the token file") == text
        return
    with pytest.raises(ReaderError) as caught:
        clean_token(text, "the token file")
    assert (caught.value.reason, says in str(caught.value)) == ("unauthorized", True), str(caught.value)
    assert "abc" not in str(caught.value)


@pytest.mark.parametrize(
    ("clean", "text", "secret"),
    [
        (clean_password, "p&ss wörd=1\n", "p&ss wörd=1"),
        (clean_password, "\ufeffsecret\r\n", "secret"),
        (clean_password, '"quoted"', '"quoted"'),
        (clean_password, "Bearer abc", "Bearer abc"),
        (clean_password, "a=b", "a=b"),
        (clean_password, "AIRFLOW_PASSWORD=secret", "secret"),
        (clean_password, "export PASSWORD=secret", "secret"),
        (clean_password, '{"username": "u", "password": "secret"}', "secret"),
        (clean_password, "{not json}", "{not json}"),
        (clean_client_secret, "cs~9.Q=", "cs~9.Q="),
        (clean_client_secret, "CLIENT_SECRET=abc", "abc"),
        (clean_client_secret, '{"client_id": "x", "client_secret": "abc"}', "abc"),
    ],
)
def test_a_password_may_hold_nearly_anything(clean: Clean, text: str, secret: str) -> None:
    assert clean(decode_text(text.encode(), "it"), "it") == secret


@pytest.mark.parametrize("clean", [clean_password, clean_client_secret])
@pytest.mark.parametrize("text", ["", "one\ntwo", "<html><title>x</title></html>", '{"user": "u"}'])
def test_what_can_be_no_password_is_refused(clean: Clean, text: str) -> None:
    with pytest.raises(ReaderError, match=r"it (is empty|contains (several lines|a web page|JSON))"):
        clean(text, "it")


@pytest.mark.parametrize(
    ("text", "wrapped"), [('"x"', True), ("'x'", True), ("A=b", True), ("a=", False), ("x", False)]
)
def test_what_was_probably_not_meant_as_a_part_is_noticed(text: str, *, wrapped: bool) -> None:
    assert looks_wrapped(text) is wrapped


def test_utf_16_with_its_mark_is_read_and_other_bytes_are_refused() -> None:
    assert decode_text("abc".encode("utf-16"), "it") == "abc"
    for data, says in ((b"\xff", "not UTF-8"), (b"a\0b", "binary data")):
        with pytest.raises(ReaderError, match=says):
            decode_text(data, "it")


def test_a_variable_is_read_when_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    secret = SecretVariable("A_TOKEN", clean_token)
    with pytest.raises(ReaderError, match="the variable A_TOKEN is empty"):
        secret.read()
    monkeypatch.setenv("A_TOKEN", "Bearer abc\n")
    assert secret.read() == "abc"


# ---- pipes ----------------------------------------------------------------------------------------


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


def make_file(path: Path) -> SecretFile:
    return SecretFile(path, "the password file", clean_password)


def test_a_pipe_is_read_once_and_kept(pipe: Path) -> None:
    writer = threading.Thread(target=pipe.write_text, args=("secret\n",))
    writer.start()
    assert [make_file(pipe).read(), make_file(pipe).read()] == ["secret", "secret"]
    writer.join()


def test_a_pipe_without_a_writer_is_given_up(pipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secret_file, "PIPE_TIMEOUT", 0.05)
    with pytest.raises(ReaderError, match="it is a pipe that was not closed within"):
        make_file(pipe).read()


def test_a_device_and_a_folder_are_named_as_what_they_are(tmp_path: Path) -> None:
    for path in (Path("/dev/null"), tmp_path):
        with pytest.raises(ReaderError, match="it is neither a file nor a pipe"):
            make_file(path).read()
        with pytest.raises(ValueError, match=r"is a (device or socket|folder)"):
            values.parse_secret_file(str(path))


def test_the_output_of_a_command_serves_as_a_password_file(tmp_path: Path) -> None:
    """What a shell makes of <(command): the file /dev/fd/N, which is a pipe."""
    script = (
        "import sys; from pathlib import Path; from exporter.commands.check import list_secrets\n"
        "from exporter.config import loader\n"
        "settings = loader.load({'airflow.username': 'u', 'airflow.password_file': sys.argv[1]}, {}).settings\n"
        "again = loader.load({'airflow.username': 'u', 'airflow.password_file': sys.argv[1]}, {}).settings\n"
        "print([read() for one in (settings, again) for _, read in list_secrets(one)])"
    )
    path = tmp_path / "script.py"
    path.write_text(script)
    command = ["bash", "-c", f"{sys.executable} {path} <(sleep 0.2; echo secret)"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr) == ("['secret', 'secret']\n", "")


def test_a_pipe_that_must_be_read_again_is_refused_with_the_reason(pipe: Path) -> None:
    with pytest.raises(ValueError, match="is a pipe, which can be read only once"):
        values.parse_readable_file(str(pipe))


@pytest.mark.parametrize("written", [JWT, "hunter2", "ab/cd+ef=="])
def test_a_secret_in_place_of_its_file_is_not_repeated(written: str) -> None:
    with pytest.raises(ValueError, match="the file with this name") as caught:
        values.parse_secret_file(written)
    assert written not in str(caught.value)


def test_a_path_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"the file {tmp_path}/token does not exist"):
        values.parse_secret_file(f"{tmp_path}/token")


def test_a_file_that_changes_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(json.dumps({"token": "one"}))
    secret = SecretFile(path, "the token file", clean_token)
    assert secret.read() == "one"
    path.write_text("two")
    os.utime(path, (2_000_000_000, 2_000_000_000))
    assert secret.read() == "two"
