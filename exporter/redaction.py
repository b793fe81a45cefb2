"""Redaction of secrets in log messages, errors and pages.

`redact` is for messages of the exporter: it masks known secrets and what looks like a secret. `redact_foreign` is for
texts of servers and libraries, which may repeat a secret in any encoding and truncated anywhere: it also masks
other encodings and parts, and withholds the whole text if that is not enough.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from urllib.parse import quote, quote_plus, unquote_to_bytes

MASK = "***"
WITHHELD = "(not shown: it repeats a secret)"
MIN_SECRET_LENGTH = 8
"""Characters. Shorter secrets are not masked in messages of the exporter: without every "a", or every "airflow", logs
would be unreadable."""
MIN_REPLACED_LENGTH = 4
"""Characters. A foreign text with a secret shorter than this is withheld: the masks would reveal it."""
MIN_PART_LENGTH = 8
"""Consecutive characters of a secret that are masked in a foreign text, even if the rest is missing."""
MAX_SECRETS = 100
"""Secrets that are searched for; the least recently used one is dropped first."""
MAX_FOREIGN_LENGTH = 4096
"""Characters of a foreign text that are kept; the rest is dropped."""
MAX_DECODINGS = 3
"""Nested encodings that are decoded in search of a secret."""
BASE64_RUN = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}")
PATTERNS = (
    re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"),
    re.compile(r"(?i)(?<=\bbearer )[\w.~+/=-]{16,}"),
    re.compile(r"(?i)(?<=authorization: basic )[\w+/=-]+"),
    re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"),
    re.compile(r"""(?i)(?<=password=)[^\s&,;'"]+"""),
)
"""What looks like a secret wherever it comes from: URL credentials, tokens, encoding fields."""

known_secrets: dict[str, None] = {}
"""The secrets in use, the most recently used last."""


def hide(secret: str) -> None:
    """Mask this text from now on. Call it each time a secret is used, so that it is not dropped."""
    if secret:
        known_secrets.pop(secret, None)
        known_secrets[secret] = None
        while len(known_secrets) > MAX_SECRETS:
            # Another thread may have removed the oldest entry in the meantime.
            known_secrets.pop(next(iter(tuple(known_secrets)), ""), None)


def redact(text: str) -> str:
    """Mask known secrets, and what looks like a secret, in a message of the exporter."""
    for secret in sort_by_length(tuple(known_secrets)):
        if len(secret) >= MIN_SECRET_LENGTH:
            text = text.replace(secret, MASK)
    for pattern in PATTERNS:
        text = pattern.sub(MASK, text)
    return text


def redact_foreign(text: str, limit: int = MAX_FOREIGN_LENGTH) -> str:
    """Mask secrets in any encoding, and parts of them, in a text of a server or a library.

    At most the first `limit` characters are returned. Call it before the text is shortened or put on one line.
    """
    secrets = tuple(known_secrets)
    text = text[:limit]
    encodings = sort_by_length(tuple({encoding for secret in secrets for encoding in list_encodings(secret)}))
    if any(len(encoding) < MIN_REPLACED_LENGTH and contains_alone(encoding, text) for encoding in encodings):
        return WITHHELD
    for encoding in encodings:
        text = text.replace(encoding, MASK) if len(encoding) >= MIN_REPLACED_LENGTH else text
    text = redact(hide_parts(text, encodings))
    long = [secret for secret in secrets if len(secret) >= MIN_REPLACED_LENGTH]
    return WITHHELD if contains_encoded(text, long) else text


def contains_alone(encoding: str, text: str) -> bool:
    """Whether the text has it as a separate word; short secrets are part of nearly every text."""
    return bool(re.search(rf"(?<![A-Za-z0-9]){re.escape(encoding)}(?![A-Za-z0-9])", text))


def sort_by_length(texts: tuple[str, ...]) -> list[str]:
    """The longest first, so that a secret that contains another is masked completely."""
    return sorted(texts, key=len, reverse=True)


@lru_cache(maxsize=MAX_SECRETS)
def list_encodings(secret: str) -> frozenset[str]:
    """A secret as it is, and as it is encoded in URLs, JSON, HTML, Python's repr and other encodings."""
    data = secret.encode("utf-8", "surrogateescape")
    quoted = (quote(data, safe=""), quote(data), quote_plus(data), quote(quote(data, safe=""), safe=""))
    escaped = json.dumps(secret)
    encodings = {
        secret,
        *quoted,
        *(re.sub(r"%[0-9A-F]{2}", lambda match: match.group().lower(), one) for one in quoted),
        escaped[1:-1],
        json.dumps(escaped)[3:-3],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        html.escape(secret),
        repr(secret)[1:-1],
        repr(data)[2:-1],
        data.decode("latin-1"),
        secret.encode("latin-1", "replace").decode("utf-8", "replace"),
        " ".join(secret.split()),
        *list_base64_parts(data),
    }
    return frozenset(encoding for encoding in encodings if encoding)


def list_base64_parts(data: bytes) -> Iterator[str]:
    """Yield its base64 at each offset within a longer text, without the ends that depend on the neighbours."""
    for offset in range(3):
        first, last = -(-8 * offset // 6), 8 * (offset + len(data)) // 6
        if last - first >= MIN_PART_LENGTH:
            for alphabet in (b"+/", b"-_"):
                yield base64.b64encode(bytes(offset) + data, alphabet).decode()[first:last]


def hide_parts(text: str, encodings: list[str]) -> str:
    """Mask every run of MIN_PART_LENGTH or more characters of any of these."""
    grams: dict[str, list[int]] = {}
    for start in range(len(text) - MIN_PART_LENGTH + 1):
        grams.setdefault(text[start : start + MIN_PART_LENGTH], []).append(start)
    hidden = bytearray(len(text))
    for encoding in encodings:
        for start in range(len(encoding) - MIN_PART_LENGTH + 1):
            for place in grams.get(encoding[start : start + MIN_PART_LENGTH], ()):
                hidden[place : place + MIN_PART_LENGTH] = b"\1" * MIN_PART_LENGTH
    if not any(hidden):
        return text
    return re.sub("\0+", MASK, "".join("\0" if hidden[place] else text[place] for place in range(len(text))))


def contains_encoded(text: str, secrets: list[str]) -> bool:
    """Whether a secret is in the text after nested encodings are decoded."""
    for _ in range(MAX_DECODINGS):
        decoded = decode_once(text)
        if any(secret in decoded for secret in secrets):
            return True
        if decoded == text:
            return False
        text = decoded
    return False


def decode_once(text: str) -> str:
    """The text with one layer of encoding decoded, followed by the decoded base64 in it."""
    plain = html.unescape(unquote_to_bytes(text).decode("utf-8", "replace"))
    plain = re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), plain)
    plain = re.sub(r"\\x([0-9a-fA-F]{2})", lambda match: chr(int(match[1], 16)), plain)
    plain = re.sub(r"\\(.)", r"\1", plain)
    inside = [decode_base64(match.group()) for match in BASE64_RUN.finditer(text)]
    return "\n".join([plain, *filter(None, inside)])


def decode_base64(run: str) -> str:
    """The decoded text of a run of base64 characters; empty if it is not text."""
    bare = run.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4)).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return ""
