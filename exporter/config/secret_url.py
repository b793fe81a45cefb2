"""URLs that contain a password: of Celery's broker, and of the metadata database. No message repeats it."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote, urlsplit

from exporter.config.secret_file import ASSIGNMENT, MAX_LAYERS
from exporter.metrics.reading import ReaderError
from exporter.redaction import hide

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S*")
SECRET_PARAMETER = re.compile(r"passw|secret", re.IGNORECASE)
"""What the name of a parameter contains whose value is a secret."""


def clean_url(text: str, what: str, example: str) -> str:
    """The URL in a text, without quotes or `NAME=` around it. Raises ReaderError (unauthorized).

    `what` names the place of the text in messages, which say to write something like `example`.
    """
    url = text.strip()
    for _ in range(MAX_LAYERS):
        url = unwrap(url).strip()
    if not url:
        raise ReaderError("unauthorized", f"{what} is empty")
    if not URL.fullmatch(url):
        raise ReaderError(
            "unauthorized",
            f"{what} contains no URL, or something beside it; write only the URL into it, "
            f"such as {example}, with user:password@ before the host",
        )
    return url


def unwrap(text: str) -> str:
    """Remove one layer around a URL: quotes, or `NAME=`."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        return text[1:-1]
    match = ASSIGNMENT.fullmatch(text)
    return match[1] if match else text


def hide_url(url: str) -> None:
    """Mask the passwords of a URL from now on, as they are written and decoded; `;` separates several URLs."""
    parts = url.split(";")
    for part in parts if all("://" in part for part in parts) else [url]:
        rest = part.partition("://")[2]
        hide_both(rest.rpartition("@")[0].partition(":")[2])
        for name, value in parse_qsl(rest.partition("?")[2]):
            if SECRET_PARAMETER.search(name):
                hide_both(value)


def hide_both(secret: str) -> None:
    """Mask a secret as it is written, and with its `%XX` decoded."""
    hide(secret)
    hide(unquote(secret))


def is_malformed(url: str) -> bool:
    """Whether a special character of the user or the password is probably not encoded as `%XX`.

    Then a part of the password would be taken for the host, the port or the path.
    """
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return True
    return bool(parts.netloc) and "@" in f"{parts.path}{parts.query}{parts.fragment}"
