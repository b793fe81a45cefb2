"""Errors: turns exceptions and replies into a ReaderError whose message says what to do."""

from __future__ import annotations

import http.client
import json
import re
from typing import NamedTuple
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import (
    DecodeError,
    HTTPError,
    InvalidChunkLength,
    MaxRetryError,
    NameResolutionError,
    ProtocolError,
    ProxyError,
    SSLError,
)
from urllib3.exceptions import TimeoutError as Urllib3TimeoutError

from exporter.metrics.reading import ReaderError
from exporter.redaction import redact_foreign
from exporter.sources.airflow.http.endpoints import Endpoint
from exporter.sources.airflow.http.reply import BodyTooLargeError, Reply

EXCERPT = 200
CHUNK = 1 << 16
WITHOUT_CREDENTIALS = "a request without credentials"
LOGIN_WORDS = re.compile(r"log[ -]?in|sign[ -]?in|sso|oauth|saml|auth", re.IGNORECASE)
REQUEST_ERRORS = (requests.RequestException, HTTPError, OSError, BodyTooLargeError)
"""Everything that the transports raise."""


class Identity(NamedTuple):
    """Whose credentials a request had, and what to check when they are refused."""

    name: str
    advice: str = "check the credentials"


class AnswerError(ReaderError):
    """Airflow, or a proxy before it, answered with an error."""

    def __init__(self, reason: str, message: str, status: int, detail: str = "") -> None:
        super().__init__(reason, message)
        self.status = status
        self.detail = detail
        """What the answer itself says, shortened."""


def explain(error: Exception, url: str) -> ReaderError:
    """Turn what a transport raised into a ReaderError."""
    cause = find_cause(error)
    host = redact_url(url)
    if isinstance(cause, SSLError | requests.exceptions.SSLError):
        return ReaderError("tls", f"TLS with {host} failed: {one_line(cause)}. {advise_tls(cause)}")
    if isinstance(cause, ProxyError | requests.exceptions.ProxyError):
        return ReaderError("unreachable", f"the proxy could not reach {host}: {one_line(cause)}")
    if isinstance(cause, NameResolutionError):
        return ReaderError("unreachable", f"cannot resolve {host}: check airflow.url and DNS")
    if isinstance(cause, Urllib3TimeoutError | requests.Timeout) and "Connection refused" not in str(cause):
        return ReaderError("timeout", f"{host} did not answer in time; raise airflow.timeout if it is only slow")
    if is_cut_off(cause):
        return ReaderError("bad_reply", f"the reply of {host} was cut off: {one_line(cause)}")
    if isinstance(cause, DecodeError | BodyTooLargeError):
        return ReaderError("bad_reply", f"the reply of {host} could not be decompressed: {one_line(cause)}")
    if isinstance(cause, ValueError):
        return ReaderError("bad_request", f"{host} is not a valid URL: {one_line(cause)}")
    if is_about_files(cause):
        return ReaderError("tls", f"certificates: {one_line(cause)}")
    return ReaderError("unreachable", f"{host} cannot be reached: {one_line(cause)}")


def find_cause(error: BaseException) -> BaseException:
    """The innermost error that requests and urllib3 wrapped."""
    inner = getattr(error, "reason", None) if isinstance(error, MaxRetryError) else next(iter(error.args), None)
    if isinstance(error, requests.ConnectionError | MaxRetryError) and isinstance(inner, BaseException):
        return find_cause(inner)
    return error


def is_broken_off(error: ReaderError) -> bool:
    """Whether the connection broke under a request: kept open too long, or the reply was cut off."""
    return error.__cause__ is not None and isinstance(find_cause(error.__cause__), ProtocolError)


def is_cut_off(cause: BaseException) -> bool:
    """Whether a reply began and did not end."""
    return any(isinstance(one, http.client.IncompleteRead | InvalidChunkLength) for one in (cause, *cause.args))


def is_about_files(cause: BaseException) -> bool:
    """Whether a file of certificates or keys is not there."""
    return "TLS" in str(cause) or any(isinstance(one, FileNotFoundError) for one in (cause, *cause.args))


def advise_tls(cause: BaseException) -> str:
    """What to set when TLS fails for this cause."""
    text = str(cause)
    if "CERTIFICATE_VERIFY_FAILED" in text and "match" not in text:
        return "Set airflow.ca_file to the authority that signed its certificate"
    if "WRONG_VERSION_NUMBER" in text or "record layer" in text:
        return "If that port serves plain HTTP, airflow.url must begin with http://"
    return "Check the host name in airflow.url and the certificates"


def one_line(error: BaseException) -> str:
    """An error's text without addresses of objects, on one line, shortened."""
    text = re.sub(
        r"<[^>]* object at 0x[0-9a-f]+>:? ?|\w+Connection(Pool)?\([^)]*\): ", "", str(error) or type(error).__name__
    )
    return redact_excerpt(text)


def redact_excerpt(text: str, limit: int = EXCERPT) -> str:
    """Text of a server or a library on one line, without secrets, cut to `limit` characters."""
    return " ".join(redact_foreign(text).split())[:limit]


def redact_url(url: str) -> str:
    """A URL that may be logged: without credentials, path and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def check_reply(endpoint: Endpoint, reply: Reply, who: Identity) -> bytes:
    """The body of a reply that is JSON and says 200.

    Raises ReaderError otherwise, with the reason that the status stands for.
    """
    status = reply.status
    if 200 <= status < 300:
        return expect_json(endpoint, reply)
    if 300 <= status < 400:
        raise explain_redirect(endpoint, reply)
    detail = read_detail(reply)
    said = f" ({detail})" if detail else ""
    reason, advice = EXPLANATIONS.get(status, ("bad_request", "the exporter does not expect this status"))
    if status >= 500:
        reason, advice = "server_error", "see the log of Airflow's API server, or of the proxy before it"
    if status == 403:
        reason, advice = explain_403(endpoint, detail, who)
    if status == 401:
        advice = explain_401(who)
    raise AnswerError(reason, f"{endpoint.name}: HTTP {status}{said}: {advice}", status, detail)


EXPLANATIONS = {
    400: ("bad_request", "this Airflow does not know a parameter that was asked for"),
    401: ("unauthorized", "check the credentials"),
    404: ("not_found", "check that airflow.url is the base URL of Airflow; it may also just have been upgraded"),
    407: ("unauthorized", "the proxy needs credentials: put them into its URL, in the variable or the file"),
    414: ("bad_request", "a proxy before Airflow allows only shorter URLs"),
    422: ("bad_request", "this Airflow does not know a parameter that was asked for"),
    429: ("rate_limited", "too many requests: raise airflow.interval"),
}


def explain_403(endpoint: Endpoint, detail: str, who: Identity) -> tuple[str, str]:
    """The reason and advice for a 403: a bad token or a missing permission."""
    if is_bad_token(detail):
        return "unauthorized", explain_401(who)
    if not endpoint.permission:
        return "forbidden", "a proxy before Airflow does not allow this request"
    if who.name == WITHOUT_CREDENTIALS:
        return "unauthorized", explain_401(who)
    wanted = " and ".join(f"“can read on {one}”" for one in endpoint.permission.split(" and "))
    advice = f"{who.name} may not read this: its role needs {wanted}"
    if endpoint.path.startswith("/api/v1"):
        return "forbidden", f"{advice}. Airflow 2 says the same when it does not know the user or the password"
    return "forbidden", f"{advice} (simple auth manager: role viewer)"


def explain_401(who: Identity) -> str:
    """What to do when credentials, or their absence, are refused."""
    return f"{who.name} was not accepted: {who.advice}"


def is_bad_token(detail: str) -> bool:
    """Whether a 403 is about the token, not about a permission."""
    return "invalid jwt" in detail.lower()


def expect_json(endpoint: Endpoint, reply: Reply) -> bytes:
    """The body if it can be JSON. Raises ReaderError that describes it otherwise."""
    if looks_like_json(reply):
        return reply.body
    reason = "unauthorized" if is_login_page(reply) else "bad_reply"
    raise AnswerError(reason, f"{endpoint.name}: {describe_page(reply)}", reply.status)


def looks_like_json(reply: Reply) -> bool:
    """Whether a body can be JSON at all."""
    return reply.body[:100].lstrip()[:1] in (b"{", b"[")


def is_login_page(reply: Reply) -> bool:
    """Whether a reply with status 200 is a login page."""
    text = reply.body[:CHUNK].decode("utf-8", "replace")
    title = find_title(text)
    return "html" in text[:1000].lower() and bool('type="password"' in text or LOGIN_WORDS.search(title))


def describe_page(reply: Reply) -> str:
    """What a reply is that should be JSON, for a message."""
    if not reply.body:
        return f"HTTP {reply.status} with an empty reply instead of JSON"
    text = reply.body[:CHUNK].decode("utf-8", "replace")
    if "<" not in text[:100]:
        return f"HTTP {reply.status} with {redact_excerpt(text, 60)!r} instead of JSON"
    page = f"an HTML page titled {find_title(text)!r}"
    if is_login_page(reply):
        return f"{page}, a login page, instead of JSON: credentials are missing or not accepted before Airflow"
    return f"{page} instead of JSON: airflow.url leads to something else, or a proxy stands before Airflow"


def find_title(text: str) -> str:
    """The title of an HTML page."""
    found = re.search(r"<title[^>]*>(.*?)</title>", text, re.IGNORECASE | re.DOTALL)
    return redact_excerpt(found.group(1), 80) if found else ""


def explain_redirect(endpoint: Endpoint, reply: Reply) -> ReaderError:
    """Where a redirect leads: to a login page, or to the URL that should be configured."""
    target = urlsplit(reply.headers.get("Location", ""))
    where = redact_excerpt(redact_url(target.geturl()) + target.path if target.netloc else target.path)
    if leads_to_login(reply):
        message = f"{endpoint.name}: redirected to a login page ({where}): credentials are missing or not accepted"
        return AnswerError("unauthorized", message, reply.status)
    message = f"{endpoint.name}: redirected to {where}: set airflow.url to where Airflow really is"
    return AnswerError("bad_reply", message, reply.status)


def leads_to_login(reply: Reply) -> bool:
    """Whether a reply is a login page for browsers, or redirects to one."""
    if 300 <= reply.status < 400:
        target = urlsplit(reply.headers.get("Location", ""))
        return bool(LOGIN_WORDS.search(target.netloc + target.path))
    return reply.status == 200 and not looks_like_json(reply) and is_login_page(reply)


def read_detail(reply: Reply) -> str:
    """What an error's JSON says (`detail`, else `title` or `error`), or the title of an HTML page; shortened."""
    text = reply.body[:CHUNK].decode("utf-8", "replace")
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return find_title(text)
    if not isinstance(content, dict):
        return ""
    detail = content.get("detail") or content.get("title") or content.get("error") or ""
    return redact_excerpt(detail if isinstance(detail, str) else json.dumps(detail))
