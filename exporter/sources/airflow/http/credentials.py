"""Credentials, as headers of the next request: tokens, basic auth, a file of headers.

Secrets are read from their files when they are needed, and appear in no message, log line or repr.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import yaml

from exporter.config.secret_file import (
    Secret,
    SecretFile,
    SecretVariable,
    check_header_value,
    clean_headers,
    clean_password,
    clean_token,
    looks_wrapped,
)
from exporter.config.settings import AirflowSettings
from exporter.metrics.reading import ReaderError
from exporter.redaction import MIN_SECRET_LENGTH, hide
from exporter.sources.airflow.http.errors import WITHOUT_CREDENTIALS, is_bad_token, leads_to_login, read_detail
from exporter.sources.airflow.http.reply import Reply
from exporter.sources.airflow.http.transport import FormRequest

SendForm = Callable[[FormRequest], Reply]
"""Sends a request for a token or a session; returns the reply, whatever its status. Raises ReaderError without one."""

Headers = Mapping[str, str]

PLAIN_LINE = re.compile(r"(?P<name>[\w!#$%&'*+.^`|~-]+)\s*:(?:\s+|(?!/))(?P<value>[^\s|>{\[&*'\"].*)")
SECRET_HEADER = re.compile(r"auth|cookie|key|pass|secret|session|token", re.IGNORECASE)
"""Names of headers of whose values a part is a secret."""


class Credentials(Protocol):
    """One kind of credentials."""

    def headers(self) -> Headers:
        """The headers of the next request. Fetches or renews a token first if needed. Raises ReaderError."""

    def renew(self, reply: Reply) -> bool:
        """Whether to repeat the request with new headers after this refusal."""

    def __str__(self) -> str:
        """Their owner, for messages."""

    @property
    def advice(self) -> str:
        """What to check when they are refused, for messages."""


def is_refusal(reply: Reply) -> bool:
    """Whether a reply refuses the credentials, not only the permission: 401, 403 with a bad token, a login page."""
    if reply.status == 403:
        return is_bad_token(read_detail(reply))
    return reply.status == 401 or leads_to_login(reply)


class Anonymous:
    """No credentials: for Airflows that let everyone read, or where a proxy adds them."""

    advice = "give the exporter a user and a password, a token or OAuth2 client credentials: see docs/permissions.md"

    def __str__(self) -> str:
        return WITHOUT_CREDENTIALS

    def headers(self) -> Headers:
        return {}

    def renew(self, reply: Reply) -> bool:  # noqa: ARG002
        return False


class HeadersOnly(Anonymous):
    """No credentials but those that a file of headers may hold."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def advice(self) -> str:  # type: ignore[override]
        return f"check the headers in {self._path}: they may have expired"

    def __str__(self) -> str:
        return f"a request with the headers in {self._path}"


class ConfiguredToken:
    """A bearer token from a file or variable, which something else renews."""

    def __init__(self, secret: Secret) -> None:
        self._secret = secret
        self._sent = ""

    def __str__(self) -> str:
        return f"the token in {self._secret}"

    @property
    def advice(self) -> str:
        """What to do where it is refused."""
        return f"check {self._secret}: the token may have expired, or be one of another Airflow"

    def headers(self) -> Headers:
        self._sent = self._secret.read()
        return bearer_headers(self._sent)

    def renew(self, reply: Reply) -> bool:
        return is_refusal(reply) and self._secret.read() != self._sent


def find_token(settings: AirflowSettings) -> Secret | None:
    """Where the configured token is; None without one."""
    if settings.token_file:
        return SecretFile(settings.token_file, "the token file", clean_token)
    return SecretVariable(settings.token_environment, clean_token) if settings.token_environment else None


class Password:
    """A user name and where its password is: a file, which is read again when it changes, or the environment."""

    def __init__(self, settings: AirflowSettings) -> None:
        self.username = settings.username
        self._secret: Secret
        if settings.password_file:
            self._secret = SecretFile(settings.password_file, "the password file", clean_password)
        else:
            self._secret = SecretVariable(settings.password_environment, self._clean)

    def __repr__(self) -> str:
        return f"Password({self.username!r})"

    def __str__(self) -> str:
        return f"the user {self.username!r}"

    @property
    def advice(self) -> str:
        """What to do where it is refused."""
        advice = f"check airflow.username, and the password in {self._secret}"
        try:
            wrapped = looks_wrapped(self._secret.read())
        except ReaderError:
            return advice
        return f"{advice}, of which quotes or NAME= are taken as a part: write it alone" if wrapped else advice

    def read(self) -> str:
        """The password. Raises ReaderError (unauthorized) where there is none."""
        return self._secret.read()

    def _clean(self, text: str, what: str) -> str:
        """A password from a variable, without the line break that some secret stores add."""
        password = text.rstrip("\r\n")
        if not password:
            message = f"there is no password for {self}: set airflow.password_file, or {what}"
            raise ReaderError("unauthorized", message)
        return password


class BasicAuth:
    """Basic auth: user and password with each request. For Airflow 2 where the login form does not work."""

    def __init__(self, password: Password) -> None:
        self._password = password

    def __str__(self) -> str:
        return str(self._password)

    @property
    def advice(self) -> str:
        """What to do where it is refused."""
        return f"{self._password.advice}, and `[api] auth_backends` of Airflow"

    def headers(self) -> Headers:
        return basic_headers(self._password.username, self._password.read())

    def renew(self, reply: Reply) -> bool:  # noqa: ARG002
        return False


class ExtraHeaders:
    """Headers from a file, which are sent with every request to Airflow."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = SecretFile(path, "the headers file", clean_headers)
        self._text = ""
        self._headers: Headers = {}

    def read(self) -> Headers:
        """The headers. Raises ReaderError (unauthorized) if the file cannot be parsed."""
        text = self._file.read()
        if text != self._text:
            self._headers = parse_headers(text, f"the headers file {self._file.path}")
            self._text = text
        hide_values(self._headers)
        return self._headers


def parse_headers(text: str, place: str) -> Headers:
    """Headers from `Name: value` lines, or from YAML if a line has another form. Raises ReaderError (unauthorized)."""
    headers = read_headers(text, place)
    hide_values(headers)
    return headers


def read_headers(text: str, place: str) -> Headers:
    """The same, without hiding their values. Raises ReaderError (unauthorized)."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    matches = [PLAIN_LINE.fullmatch(line.strip()) for line in lines]
    if all(matches):
        return {match["name"]: check_header_value(match["value"], place) for match in matches if match}
    try:
        # Every value is a text here. As a date or a number one might be invalid, or look different.
        content = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - it makes no objects
    except (yaml.YAMLError, RecursionError) as error:
        # The error itself would quote the file.
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise ReaderError("unauthorized", f"{place}{where}: neither lines nor YAML") from None
    if not isinstance(content, dict) or any(isinstance(value, dict | list) for value in content.values()):
        raise ReaderError("unauthorized", f"{place} must hold `Name: value` lines")
    return {name: check_header_value(value.strip(), place) for name, value in content.items()}


def basic_headers(username: str, password: str) -> Headers:
    """The header of HTTP basic authentication."""
    pair = base64.b64encode(f"{username}:{password}".encode()).decode()
    hide(pair)
    return {"Authorization": f"Basic {pair}"}


def bearer_headers(token: str) -> Headers:
    """The header of a bearer token."""
    hide(token)
    return {"Authorization": f"Bearer {token}"}


def hide_values(headers: Headers) -> None:
    """Hide these values everywhere, and the parts of those that are likely to be secret."""
    for name, value in headers.items():
        parts = re.split(r"[\s;,=]+", value) if SECRET_HEADER.search(name) else []
        for text in (value, *parts):
            if len(text) >= MIN_SECRET_LENGTH:
                hide(text)
