"""The ways to be let in, as headers for the next request.

Secrets are read from their files when they are needed and go nowhere else: not into messages, logs or reprs.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import yaml

from exporter import logs
from exporter.reading import ReaderError
from exporter.settings import AirflowSettings
from exporter.sources.airflow.failures import NOBODY, is_bad_token, leads_to_login, read_detail
from exporter.sources.airflow.transport import Form, Reply

Submit = Callable[[Form], Reply]
"""Sends a form and answers whatever the status; raises ReaderError where there is no answer."""

Headers = Mapping[str, str]

PLAIN_LINE = re.compile(r"(?P<name>[\w!#$%&'*+.^`|~-]+)\s*:\s+(?P<value>[^\s|>{\[&*'\"].*)")


class Credentials(Protocol):
    """One way to be let in."""

    def headers(self) -> Headers:
        """What to send with the next request, fetched or renewed first where needed. Raises ReaderError."""

    def renew(self, reply: Reply) -> bool:
        """Whether it is worth to ask once more, with new headers, after this refusal."""

    def __str__(self) -> str:
        """Whose they are, for messages."""


def is_refusal(reply: Reply) -> bool:
    """Whether a reply is about who asks, not about what they may: 401, 403 with a bad token, a login page."""
    if reply.status == 403:
        return is_bad_token(read_detail(reply))
    return reply.status == 401 or leads_to_login(reply)


def check_secret(value: str, what: str) -> str:
    """A value that fits into a header. Raises ReaderError without quoting it, as every library would."""
    if not value.isascii() or not value.isprintable():
        raise ReaderError("unauthorized", f"{what} holds several lines, or characters that no header takes")
    logs.hide(value)
    return value


class WatchedFile:
    """A file that is read anew when it changes."""

    def __init__(self, path: Path, what: str) -> None:
        self.path = path
        self._what = what
        self._stamp: tuple[int, int, int] | None = None
        self._text = ""

    def __repr__(self) -> str:
        return f"WatchedFile({str(self.path)!r})"

    def read(self) -> str:
        """Its text without space around it. Raises ReaderError (unauthorized) where there is none to read."""
        try:
            found = self.path.stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp != self._stamp:
                self._text = self.path.read_text(encoding="utf-8").strip()
                self._stamp = stamp
                logs.hide(self._text)
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise ReaderError("unauthorized", f"{self._what} {self.path} cannot be read: {reason}") from error
        if not self._text:
            raise ReaderError("unauthorized", f"{self._what} {self.path} is empty")
        return self._text


class Nobody:
    """No credentials."""

    def __str__(self) -> str:
        return NOBODY

    def headers(self) -> Headers:
        return {}

    def renew(self, reply: Reply) -> bool:  # noqa: ARG002
        return False


class TokenFile:
    """A bearer token that something else keeps fresh in a file."""

    def __init__(self, path: Path) -> None:
        self._file = WatchedFile(path, "the token file")
        self._sent = ""

    def __str__(self) -> str:
        return f"the token in {self._file.path}"

    def headers(self) -> Headers:
        self._sent = check_secret(self._file.read(), str(self))
        return {"Authorization": f"Bearer {self._sent}"}

    def renew(self, reply: Reply) -> bool:
        return is_refusal(reply) and self._file.read() != self._sent


class Password:
    """A user and where the password is: in a file, read anew when it changes, or in the environment."""

    def __init__(self, settings: AirflowSettings) -> None:
        self.username = settings.username
        self._file = WatchedFile(settings.password_file, "the password file") if settings.password_file else None
        self._environment = settings.password_environment

    def __repr__(self) -> str:
        return f"Password({self.username!r})"

    def __str__(self) -> str:
        return f"the user {self.username!r}"

    def read(self) -> str:
        """The password. Raises ReaderError (unauthorized) where there is none."""
        if self._file:
            return self._file.read()
        password = os.environ.get(self._environment)
        if password is None:
            message = f"there is no password for {self}: set airflow.password_file, or the variable that should hold it"
            raise ReaderError("unauthorized", message)
        logs.hide(password)
        return password


class Basic:
    """User and password with each request: what Airflow 2 takes where the login form does not work."""

    def __init__(self, password: Password) -> None:
        self._password = password

    def __str__(self) -> str:
        return str(self._password)

    def headers(self) -> Headers:
        return basic_headers(self._password.username, self._password.read())

    def renew(self, reply: Reply) -> bool:  # noqa: ARG002
        return False


class ExtraHeaders:
    """Headers from a file, for every request to Airflow."""

    def __init__(self, path: Path) -> None:
        self._file = WatchedFile(path, "the headers file")
        self._text = ""
        self._headers: Headers = {}

    def read(self) -> Headers:
        """The headers. Raises ReaderError (unauthorized) where the file cannot be understood."""
        text = self._file.read()
        if text != self._text:
            self._headers = parse_headers(text, f"the headers file {self._file.path}")
            self._text = text
        return self._headers


def parse_headers(text: str, place: str) -> Headers:
    """Headers from `Name: value` lines, or from YAML where a line is no such line."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    matches = [PLAIN_LINE.fullmatch(line.strip()) for line in lines]
    if all(matches):
        return {match["name"]: check_secret(match["value"], place) for match in matches if match}
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        # The error itself would quote the file.
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ReaderError("unauthorized", f"{place}{where}: neither lines nor YAML") from None
    if not isinstance(content, dict) or any(isinstance(value, dict | list) for value in content.values()):
        raise ReaderError("unauthorized", f"{place} must hold `Name: value` lines")
    return {str(name): check_secret(str(value).strip(), place) for name, value in content.items()}


def basic_headers(username: str, password: str) -> Headers:
    """The header of HTTP basic authentication."""
    pair = base64.b64encode(f"{username}:{password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}
