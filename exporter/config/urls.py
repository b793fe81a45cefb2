"""Types of URL options: parsing, and masking of credentials.

Parsers raise ValueError; its message says what to write instead.
"""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit, urlunsplit

from exporter.config.hosts import is_host
from exporter.config.values import ValueType, parse_text, quote_value

API_SUFFIX = re.compile(r"/api/v[12]/*\Z")


def split_url(raw: object) -> SplitResult:
    """Split an http or https URL and check its host and port. Raises ValueError."""
    text = parse_text(raw).strip()
    try:
        parts = urlsplit(text)
        has_host = parts.scheme in ("http", "https") and parts.hostname and is_host(parts.hostname)
        if has_host and parts.port != 0 and not re.search(r"\s", text):
            return parts
    except ValueError:
        pass
    raise ValueError(f"{quote_value(raw)} is not a URL; write http://HOST:PORT or https://HOST")


def refuse_userinfo(parts: SplitResult) -> None:
    """Raise ValueError for a URL with a user or a password."""
    if "@" in parts.netloc:
        raise ValueError("the URL has a user or a password; use the options for credentials instead")


def parse_base_url(raw: object) -> str:
    """The base URL of Airflow: a base path is kept, a trailing `/api/v1` or `/api/v2` is dropped."""
    parts = split_url(raw)
    refuse_userinfo(parts)
    if parts.query or parts.fragment:
        raise ValueError(f"{quote_value(raw)} has a query or a fragment; remove everything from ? or # on")
    path = parts.path.rstrip("/")
    while shorter := API_SUFFIX.sub("", path).rstrip("/"):
        if shorter == path:
            break
        path = shorter
    return urlunsplit((parts.scheme, parts.netloc, API_SUFFIX.sub("", path).rstrip("/"), "", ""))


def parse_endpoint_url(raw: object) -> str:
    """A URL that is used as it is, without credentials."""
    parts = split_url(raw)
    refuse_userinfo(parts)
    return urlunsplit(parts)


def parse_proxy_url(raw: object) -> str:
    """The URL of a proxy, which may have a user and a password."""
    parts = split_url(raw)
    if "@" in f"{parts.path}{parts.query}{parts.fragment}":
        raise ValueError("encode special characters of the user and the password of the proxy as %XX")
    return urlunsplit(parts)


def parse_public_proxy_url(raw: object) -> str:
    """The URL of a proxy from a flag: without credentials, because every user of the machine can read flags."""
    parts = split_url(raw)
    if "@" in urlunsplit(parts):
        raise ValueError(
            "every user of this machine could read the proxy's password in a flag; set the URL with the "
            "variable AIRFLOW_EXPORTER_AIRFLOW_PROXY_URL or in the file of --config.file"
        )
    return urlunsplit(parts)


def mask_url(url: str) -> str:
    """The URL with user, password and query masked, because they may be secret."""
    parts = urlsplit(url)
    netloc = "***@" + parts.netloc.rpartition("@")[2] if "@" in parts.netloc else parts.netloc
    return urlunsplit((parts.scheme, netloc, parts.path, "***" if parts.query else "", ""))


def parse_url_path(raw: object) -> str:
    """A URL path that the exporter does not use itself."""
    text = parse_text(raw)
    if (
        not re.fullmatch(r"/[A-Za-z0-9/_.~-]*", text)
        or text.startswith(("/-/", "/runbooks/"))
        or text in ("/diagnosis", "/sources", "/config", "/tries", "/failed", "/runbooks")
    ):
        raise ValueError(
            f"{quote_value(raw)} is not a URL path, or is already used by the exporter; write for example /metrics"
        )
    return text


BASE_URL = ValueType("URL", parse_base_url, mask_url)
ENDPOINT_URL = ValueType("URL", parse_endpoint_url, mask_url)
PROXY_URL = ValueType("URL", parse_proxy_url, mask_url)
PUBLIC_PROXY_URL = ValueType("URL", parse_public_proxy_url, mask_url)
URL_PATH = ValueType("PATH", parse_url_path)
