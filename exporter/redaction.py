"""Secrets in texts: which ones are known, in which forms they may come back, and how they are taken out.

Two measures. `redact` is for our own sentences: it takes out known secrets as they are, and what looks like one.
`redact_foreign` is for what a server answered or a library said, which may repeat what it was sent in any encoding
and cut off anywhere: it also takes out other encodings and parts, and gives up the text where that is not enough.
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

HIDDEN = "***"
WITHHELD = "(not shown: it repeats a secret)"
SHORTEST_SECRET = 8
"""Characters. A shorter secret is not searched for in our own sentences: hiding every "a", or every "airflow", would
leave no log to read."""
SHORTEST_REPLACED = 4
"""Characters. A foreign text with a secret that is still shorter is not shown at all: gaps would spell it out."""
SHORTEST_PART = 8
"""Characters of a secret in a row that are hidden in a foreign text, where the rest of it was cut off."""
MAX_SECRETS = 100
"""How many secrets are searched for; the one that was used least recently is forgotten first."""
MAX_FOREIGN = 4096
"""Characters of a foreign text that are looked at; what follows is cut off."""
MAX_DECODINGS = 3
"""How many encodings around one another are undone in search of a secret."""
BASE64_RUN = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}")
PATTERNS = (
    re.compile(r"(?<=://)[^/\s:@]*:[^/\s@]+(?=@)"),
    re.compile(r"(?i)(?<=\bbearer )[\w.~+/=-]{16,}"),
    re.compile(r"(?i)(?<=authorization: basic )[\w+/=-]+"),
    re.compile(r"\beyJ[\w-]+\.[\w-]+\.[\w-]*"),
    re.compile(r"""(?i)(?<=password=)[^\s&,;'"]+"""),
)
"""What looks like a secret wherever it comes from: URL credentials, tokens, form fields."""

known_secrets: dict[str, None] = {}
"""The secrets that were used, the most recent last."""


def hide(secret: str) -> None:
    """Never show this text from now on. To be called each time a secret is used, so that it is not forgotten."""
    if secret:
        known_secrets.pop(secret, None)
        known_secrets[secret] = None
        while len(known_secrets) > MAX_SECRETS:
            # Any thread may do this: what was the oldest a moment ago may be gone.
            known_secrets.pop(next(iter(tuple(known_secrets)), ""), None)


def redact(text: str) -> str:
    """A sentence of ours without known secrets and without what looks like one."""
    for secret in sort_longest(tuple(known_secrets)):
        if len(secret) >= SHORTEST_SECRET:
            text = text.replace(secret, HIDDEN)
    for pattern in PATTERNS:
        text = pattern.sub(HIDDEN, text)
    return text


def redact_foreign(text: str, limit: int = MAX_FOREIGN) -> str:
    """What a server or a library said, without secrets in any encoding, and without parts of them.

    No more than the first `limit` characters are looked at and returned. To be called before the text is shortened or
    put on one line.
    """
    secrets = tuple(known_secrets)
    text = text[:limit]
    forms = sort_longest(tuple({form for secret in secrets for form in list_forms(secret)}))
    if any(len(form) < SHORTEST_REPLACED and stands_alone(form, text) for form in forms):
        return WITHHELD
    for form in forms:
        text = text.replace(form, HIDDEN) if len(form) >= SHORTEST_REPLACED else text
    text = redact(hide_parts(text, forms))
    long = [secret for secret in secrets if len(secret) >= SHORTEST_REPLACED]
    return WITHHELD if holds_encoded(text, long) else text


def stands_alone(form: str, text: str) -> bool:
    """Whether it is in the text and no letter or digit adjoins it: else nearly every text would hold it."""
    return bool(re.search(rf"(?<![A-Za-z0-9]){re.escape(form)}(?![A-Za-z0-9])", text))


def sort_longest(texts: tuple[str, ...]) -> list[str]:
    """The longest first, so that a secret within another leaves nothing of it."""
    return sorted(texts, key=len, reverse=True)


@lru_cache(maxsize=MAX_SECRETS)
def list_forms(secret: str) -> frozenset[str]:
    """A secret as it is, and as it looks within a URL, JSON, HTML, Python's repr, or another encoding."""
    data = secret.encode("utf-8", "surrogateescape")
    quoted = (quote(data, safe=""), quote(data), quote_plus(data), quote(quote(data, safe=""), safe=""))
    escaped = json.dumps(secret)
    forms = {
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
        *list_base64(data),
    }
    return frozenset(form for form in forms if form)


def list_base64(data: bytes) -> Iterator[str]:
    """What base64 makes of it at each offset within something longer, without the ends that its neighbours decide."""
    for offset in range(3):
        first, last = -(-8 * offset // 6), 8 * (offset + len(data)) // 6
        if last - first >= SHORTEST_PART:
            for alphabet in (b"+/", b"-_"):
                yield base64.b64encode(bytes(offset) + data, alphabet).decode()[first:last]


def hide_parts(text: str, forms: list[str]) -> str:
    """The text without SHORTEST_PART characters, or more, in a row of any of these."""
    grams: dict[str, list[int]] = {}
    for start in range(len(text) - SHORTEST_PART + 1):
        grams.setdefault(text[start : start + SHORTEST_PART], []).append(start)
    hidden = bytearray(len(text))
    for form in forms:
        for start in range(len(form) - SHORTEST_PART + 1):
            for place in grams.get(form[start : start + SHORTEST_PART], ()):
                hidden[place : place + SHORTEST_PART] = b"\1" * SHORTEST_PART
    if not any(hidden):
        return text
    return re.sub("\0+", HIDDEN, "".join("\0" if hidden[place] else text[place] for place in range(len(text))))


def holds_encoded(text: str, secrets: list[str]) -> bool:
    """Whether a secret is in the text once encodings around one another are undone."""
    for _ in range(MAX_DECODINGS):
        decoded = decode_once(text)
        if any(secret in decoded for secret in secrets):
            return True
        if decoded == text:
            return False
        text = decoded
    return False


def decode_once(text: str) -> str:
    """The text with one encoding undone, and behind it what is base64 in it."""
    plain = html.unescape(unquote_to_bytes(text).decode("utf-8", "replace"))
    plain = re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), plain)
    plain = re.sub(r"\\x([0-9a-fA-F]{2})", lambda match: chr(int(match[1], 16)), plain)
    plain = re.sub(r"\\(.)", r"\1", plain)
    inside = [decode_base64(match.group()) for match in BASE64_RUN.finditer(text)]
    return "\n".join([plain, *filter(None, inside)])


def decode_base64(run: str) -> str:
    """What a run of base64 characters holds; empty where that is no text."""
    bare = run.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4)).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return ""
