"""Reads secrets (password, token, client secret) from files, pipes and environment variables.

What tools write around a secret is removed: a byte order mark, `Bearer `, JSON around a token. Anything else that
cannot be a secret is an error that says what to write. No message repeats a secret.
"""

from __future__ import annotations

import codecs
import json
import os
import re
import select
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from exporter.metrics.reading import ReaderError
from exporter.redaction import hide

MAX_SIZE = 1 << 20
"""Bytes that are read of the file of a secret."""
PIPE_TIMEOUT = 10.0
"""Seconds within which the writer of a pipe must close it."""
MAX_LAYERS = 5
"""How many nested layers (quotes, JSON, `Bearer `) are removed from a token."""
TOKEN_KEYS = ("access_token", "accessToken", "token", "id_token", "jwt")
PASSWORD_KEYS = ("password", "Password")
CLIENT_SECRET_KEYS = ("client_secret", "clientSecret", "secret", "password")
BEARER = re.compile(r"(?:authorization\s*[:=]\s*)?bearer\s+(\S.*)", re.IGNORECASE | re.DOTALL)
ASSIGNMENT = re.compile(r"(?:export\s+)?[A-Za-z_][\w.-]*(?:\s*:\s+|\s*=\s*)([^=\s].*)", re.DOTALL)
PASSWORD_ASSIGNMENT = re.compile(r"(?:export\s+)?(?:[A-Z0-9_]*_)?PASS(?:WORD|WD)?=(.+)")
SECRET_ASSIGNMENT = re.compile(r"(?:export\s+)?(?:[A-Z0-9_]*_)?SECRET=(.+)")
WRAPPED = re.compile(r"""(['"]).*\1|(?:export\s+)?[A-Za-z_]\w*=[^=].*""", re.DOTALL)

ExtractSecret = Callable[[str, str], str]
"""Takes a text and the name of its file for messages; returns the secret. Raises ReaderError."""

pipe_contents: dict[tuple[int, int], bytes] = {}
"""Contents of pipes, by device and inode: a pipe can be read only once, but a reload needs it again."""


class Secret(Protocol):
    """A secret and the place where it is kept."""

    def read(self) -> str:
        """The secret. Raises ReaderError (unauthorized) if there is none."""

    def __str__(self) -> str:
        """The file or the variable, for messages."""


class SecretFile:
    """A secret in a file, which is reloaded when it changes; a pipe is read once."""

    def __init__(self, path: Path, what: str, clean: ExtractSecret, mask: Callable[[str], None] = hide) -> None:
        """`what` names the file in messages; `clean` extracts the secret from its text, `mask` keeps it out of logs."""
        self.path = path
        self._what = what
        self._clean = clean
        self._mask = mask
        self._stamp: tuple[int, int, int] | None = None
        self._secret = ""

    def __repr__(self) -> str:
        return f"SecretFile({str(self.path)!r})"

    def __str__(self) -> str:
        return str(self.path)

    def read(self) -> str:
        """The secret in the current content. Raises ReaderError (unauthorized) if there is none."""
        name = f"{self._what} {self.path}"
        try:
            found = self.path.stat()
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp != self._stamp:
                self._secret = self._clean(decode_text(read_bytes(self.path, found), name), name)
                self._stamp = (0, 0, 0) if stat.S_ISFIFO(found.st_mode) else stamp
        except OSError as error:
            self._stamp = None
            raise ReaderError("unauthorized", f"{name} cannot be read: {error.strerror or error}") from error
        self._mask(self._secret)
        return self._secret


class SecretVariable:
    """A secret in an environment variable."""

    def __init__(self, name: str, clean: ExtractSecret, mask: Callable[[str], None] = hide) -> None:
        self._name = name
        self._clean = clean
        self._mask = mask

    def __repr__(self) -> str:
        return f"SecretVariable({self._name!r})"

    def __str__(self) -> str:
        return f"the variable {self._name}"

    def read(self) -> str:
        """The secret. Raises ReaderError (unauthorized) if the variable has none."""
        secret = self._clean(os.environ.get(self._name, ""), str(self))
        self._mask(secret)
        return secret


def read_bytes(path: Path, found: os.stat_result) -> bytes:
    """The content of a file or a pipe. Raises OSError for anything else."""
    if stat.S_ISFIFO(found.st_mode):
        key = (found.st_dev, found.st_ino)
        if key not in pipe_contents:
            pipe_contents[key] = read_pipe(path)
        return pipe_contents[key]
    if not stat.S_ISREG(found.st_mode):
        raise OSError(0, "it is neither a file nor a pipe")
    with path.open("rb") as file:
        return file.read(MAX_SIZE)


def read_pipe(path: Path) -> bytes:
    """The content of a pipe until its writer closes it. Raises OSError if that takes longer than PIPE_TIMEOUT."""
    until = time.monotonic() + PIPE_TIMEOUT
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        content = b""
        while events := poll.poll(max(0.0, until - time.monotonic()) * 1000):
            piece = os.read(descriptor, MAX_SIZE) if events[0][1] & select.POLLIN else b""
            content += piece
            if not piece or len(content) > MAX_SIZE:
                return content[:MAX_SIZE]
    finally:
        os.close(descriptor)
    raise OSError(0, f"it is a pipe that was not closed within {PIPE_TIMEOUT:.0f} s")


def decode_text(data: bytes, what: str) -> str:
    """Decode UTF-8, or UTF-16 with a byte order mark; the mark is removed. Raises ReaderError (unauthorized)."""
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ReaderError("unauthorized", f"{what} cannot be read: it is not UTF-8") from error
    if "\0" in text:
        raise ReaderError("unauthorized", f"{what} contains binary data, not text")
    return text


def clean_token(text: str, what: str) -> str:
    """The bearer token in a text. Raises ReaderError (unauthorized), which says what to write."""
    token = text.strip()
    for _ in range(MAX_LAYERS):
        token = unwrap_token(token, what).strip()
    check_secret(token, what, "token")
    if any(character.isspace() for character in token):
        raise build_error(what, "a space", "token")
    return check_header_value(token, what)


def unwrap_token(token: str, what: str) -> str:
    """Remove one layer around a token: JSON, quotes, `Bearer ` or `NAME=`; none of these is part of a token."""
    if token.startswith("{"):
        return get_json_field(token, what, TOKEN_KEYS)
    if len(token) > 1 and token[0] == token[-1] and token[0] in "'\"":
        return token[1:-1]
    match = BEARER.fullmatch(token) or ASSIGNMENT.fullmatch(token)
    return match[1] if match else token


def clean_password(text: str, what: str) -> str:
    """The password in a text. Little is removed, because most characters may be part of one. Raises ReaderError."""
    return clean_line(text, what, "password", PASSWORD_KEYS, PASSWORD_ASSIGNMENT)


def clean_client_secret(text: str, what: str) -> str:
    """The OAuth2 client secret in a text. Raises ReaderError (unauthorized)."""
    return clean_line(text, what, "client secret", CLIENT_SECRET_KEYS, SECRET_ASSIGNMENT)


def clean_line(text: str, what: str, noun: str, keys: tuple[str, ...], assignment: re.Pattern[str]) -> str:
    """A secret on one line, without JSON or `NAME=` around it. Raises ReaderError (unauthorized)."""
    secret = text.strip()
    if secret.startswith("{") and secret.endswith("}") and is_json_object(secret):
        secret = get_json_field(secret, what, keys)
    match = assignment.fullmatch(secret)
    secret = match[1] if match else secret
    check_secret(secret, what, noun)
    return secret


def clean_headers(text: str, what: str) -> str:
    """The text of a headers file. Raises ReaderError (unauthorized) if it is empty."""
    if not text.strip():
        raise ReaderError("unauthorized", f"{what} is empty")
    return text.strip()


def looks_wrapped(secret: str) -> bool:
    """Whether it is in quotes or begins with `NAME=`, which probably is not part of the secret."""
    return len(secret) > 1 and bool(WRAPPED.fullmatch(secret))


def is_json_object(text: str) -> bool:
    """Whether the text is a JSON object."""
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def get_json_field(text: str, what: str, keys: tuple[str, ...]) -> str:
    """The first of these fields of a JSON object. Raises ReaderError (unauthorized) if it has none."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = {}
    found = [content[key] for key in keys if isinstance(content.get(key), str)]
    if not found:
        names = " or ".join(map(repr, keys[:3]))
        raise ReaderError("unauthorized", f"{what} contains JSON without {names}; write only the value into it")
    return str(found[0])


def check_secret(secret: str, what: str, noun: str) -> None:
    """Raise ReaderError (unauthorized) for a text that cannot be a secret."""
    if not secret:
        raise ReaderError("unauthorized", f"{what} is empty")
    if secret.startswith("<") and secret.endswith(">"):
        raise build_error(what, "a web page", noun)
    if len(secret.splitlines()) > 1:
        raise build_error(what, "several lines", noun)


def build_error(what: str, found: str, noun: str) -> ReaderError:
    """The error for a file that contains something other than the secret."""
    return ReaderError("unauthorized", f"{what} contains {found}; write only the {noun} into it, on one line")


def check_header_value(value: str, what: str) -> str:
    """Return a value that is valid in a header. Raises ReaderError, which does not repeat the value."""
    if not value.isascii() or not value.isprintable():
        raise ReaderError("unauthorized", f"{what} contains several lines, or characters that are invalid in a header")
    return value
