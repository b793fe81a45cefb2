"""How URLs are written, and what of them may be shown.

Parsing raises ValueError, whose message says what to write instead.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit, urlunsplit

from exporter.config.values import Form, parse_text, quote

API_SUFFIX = re.compile(r"/api/v[12]/*\Z")


def split_url(raw: object) -> SplitResult:
    """Take an http or https URL apart, having checked its host and port."""
    text = parse_text(raw).strip()
    try:
        parts = urlsplit(text)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not re.search(r"\s", text):
            return parts
    except ValueError:
        pass
    raise ValueError(f"{quote(raw)} is not a URL; write http://HOST:PORT or https://HOST")


def refuse_userinfo(parts: SplitResult) -> None:
    if "@" in parts.netloc:
        raise ValueError("a URL with a user or a password in it is refused; give credentials by their own options")


def parse_base_url(raw: object) -> str:
    """The URL under which `/api/v1` or `/api/v2` is found: a base path is kept, the API's own suffix is not."""
    parts = split_url(raw)
    refuse_userinfo(parts)
    if parts.query or parts.fragment:
        raise ValueError(f"{quote(raw)} has a query or a fragment; give only what stands before ? and #")
    path = parts.path.rstrip("/")
    while shorter := API_SUFFIX.sub("", path).rstrip("/"):
        if shorter == path:
            break
        path = shorter
    return urlunsplit((parts.scheme, parts.netloc, API_SUFFIX.sub("", path).rstrip("/"), "", ""))


def parse_endpoint_url(raw: object) -> str:
    parts = split_url(raw)
    refuse_userinfo(parts)
    return urlunsplit(parts)


def parse_proxy_url(raw: object) -> str:
    return urlunsplit(split_url(raw))


def parse_public_proxy_url(raw: object) -> str:
    """A proxy as a flag may give it: every user of the machine can read flags."""
    parts = split_url(raw)
    if "@" in parts.netloc:
        raise ValueError(
            "a proxy's user and password in a flag can be read by every user of the machine; give the URL by the "
            "variable AIRFLOW_EXPORTER_AIRFLOW_PROXY_URL or the file of --config.file"
        )
    return urlunsplit(parts)


def mask_url(url: str) -> str:
    """The URL without what may be secret in it: user, password and query."""
    parts = urlsplit(url)
    netloc = "***@" + parts.netloc.rpartition("@")[2] if "@" in parts.netloc else parts.netloc
    return urlunsplit((parts.scheme, netloc, parts.path, "***" if parts.query else "", ""))


BASE_URL = Form("URL", parse_base_url, mask_url)
ENDPOINT_URL = Form("URL", parse_endpoint_url, mask_url)
PROXY_URL = Form("URL", parse_proxy_url, mask_url)
PUBLIC_PROXY_URL = Form("URL", parse_public_proxy_url, mask_url)
