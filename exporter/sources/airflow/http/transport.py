"""The two ways a request goes out: requests, and the generated client of Airflow 3.

Both answer with the raw bytes, follow no redirect and try once: what to make of an answer, and whether to
ask again, is the client's business. Both raise what urllib3 and requests raise.
"""

from __future__ import annotations

import base64
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

import certifi
import requests
import urllib3
from requests.utils import get_environ_proxies, select_proxy
from urllib3.exceptions import InsecureRequestWarning, SSLError
from urllib3.util import Timeout

from exporter.redaction import hide
from exporter.sources.airflow.http.endpoints import Endpoint
from exporter.sources.airflow.http.generated_client import load_client
from exporter.sources.airflow.http.reply import Reply, TailLimits, read_reply

if TYPE_CHECKING:
    from airflow_client.client import ApiClient

    from exporter.config.settings import AirflowSettings

Value = str | int | float | bool | list[str] | datetime
"""Of a query parameter; a list is repeated."""

CONNECT_TIMEOUT = 10.0


@dataclass(frozen=True, slots=True)
class Call:
    """One read of one endpoint."""

    endpoint: Endpoint
    names: Mapping[str, str | int] = field(default_factory=dict)
    query: Mapping[str, Value] = field(default_factory=dict)
    accept: str = "application/json"
    tail: TailLimits | None = None
    """Read the end of a body that may be very long, instead of all of it."""

    def limit(self, seconds: float) -> float:
        """The time limit of this call, where at most this many seconds are left."""
        return min(seconds, self.tail.seconds) if self.tail else seconds


@dataclass(frozen=True, slots=True)
class FormRequest:
    """A request for a token or a session: to any URL, with fields or JSON."""

    name: str
    method: str
    url: str
    fields: Mapping[str, str] = field(default_factory=dict, repr=False)
    json: Mapping[str, str] | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class PlainTransport:
    """Sends with requests: for tokens, for the version, and for Airflow 2."""

    def __init__(self, settings: AirflowSettings) -> None:
        self._settings = settings
        self._base = base_url(settings)
        self._session = requests.Session()
        # The session would add credentials from .netrc and keep cookies: only ours shall go out.
        self._session.trust_env = False
        self._session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        accept_insecure(settings)

    def send(self, call: Call, headers: Mapping[str, str], timeout: float) -> Reply:
        """Read an endpoint of /api/v1 or /api/v2."""
        names = {name: quote(str(value), safe="") for name, value in call.names.items()}
        url = self._base + call.endpoint.path.format_map(names)
        query = {name: value_text(value) for name, value in call.query.items()}
        return self._request("GET", url, headers, call.limit(timeout), call.tail, params=query)

    def send_form(self, form: FormRequest, timeout: float) -> Reply:
        """Send a request for a token or a session."""
        content: dict[str, Any] = {"json": dict(form.json)} if form.json is not None else {"data": dict(form.fields)}
        return self._request(form.method, form.url, form.headers, timeout, None, **content)

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        timeout: float,
        tail: TailLimits | None,
        **content: Any,  # noqa: ANN401
    ) -> Reply:
        until = time.monotonic() + timeout
        response = self._session.request(
            method,
            url,
            headers=dict(headers),
            timeout=(min(timeout, CONNECT_TIMEOUT), timeout),
            allow_redirects=False,
            stream=True,
            proxies=self._proxies(url),
            **self._trust(url),
            **content,
        )
        with response:
            return read_reply(response.raw, until, tail)

    def _proxies(self, url: str) -> dict[str, str]:
        proxy = proxy_for(self._settings, url)
        return {"http": proxy, "https": proxy} if proxy else {}

    def _trust(self, url: str) -> dict[str, Any]:
        """Certificates: ours and our CA are for Airflow's host only, an identity provider has public ones."""
        if urlsplit(url).netloc != urlsplit(self._base).netloc:
            return {"verify": authorities(None)}
        settings = self._settings
        certificate, key = settings.client_certificate_file, settings.client_key_file
        return {
            "verify": not settings.insecure_skip_verify and authorities(settings),
            "cert": (str(certificate), str(key or certificate)) if certificate else None,
        }


class GeneratedTransport:
    """Sends with apache-airflow-client, for Airflow 3. The first one imports it, which takes 14 MB."""

    def __init__(self, settings: AirflowSettings, user_agent: str) -> None:
        self._generated = load_client()
        self._base = base_url(settings)
        configuration = self._generated.configuration(host=self._base, proxy="")
        self._client: ApiClient = self._generated.api_client(configuration)
        self._client.user_agent = user_agent
        self._client.rest_client.pool_manager = make_pool(settings)
        self._apis: dict[str, Any] = {}
        accept_insecure(settings)

    def send(self, call: Call, headers: Mapping[str, str], timeout: float) -> Reply:
        """Read an endpoint of /api/v2."""
        timeout = call.limit(timeout)
        until = time.monotonic() + timeout
        api_name, _, method = call.endpoint.operation.partition(".")
        api = self._apis.get(api_name) or self._apis.setdefault(api_name, self._make_api(api_name))
        operation = getattr(api, f"{method}_without_preload_content")
        timeouts = (min(timeout, CONNECT_TIMEOUT), timeout)
        try:
            response = operation(**call.names, **call.query, _request_timeout=timeouts, _headers=dict(headers))
        except self._generated.exception as error:
            # The generated client wraps nothing but TLS errors.
            raise SSLError(getattr(error, "reason", "")) from error
        return read_reply(response, until, call.tail)

    def close(self) -> None:
        """Close the connections."""
        self._client.rest_client.pool_manager.clear()

    def _make_api(self, name: str) -> Any:  # noqa: ANN401
        return self._generated.apis[name](self._client)


def value_text(value: Value) -> str | int | float | list[str]:
    """A value as /api/v1 and /api/v2 take it in a query."""
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value).lower() if isinstance(value, bool) else value


def base_url(settings: AirflowSettings) -> str:
    """Where Airflow is, without a slash at the end."""
    return settings.url.rstrip("/")


def proxy_for(settings: AirflowSettings, url: str) -> str:
    """The proxy for a URL: ours, else the environment's (HTTPS_PROXY, NO_PROXY …), else none."""
    proxy = settings.proxy_url or select_proxy(url, get_environ_proxies(url)) or ""
    hide_password(proxy)
    return proxy


def hide_password(url: str) -> None:
    """Hide the password of a URL everywhere, also in the form that the header has."""
    password = urlsplit(url).password
    if password:
        hide(password)
        hide(unquote(password))
        hide(encode_login(url))


def encode_login(url: str) -> str:
    """User and password of a URL as a header of basic authentication has them; empty without a user."""
    parts = urlsplit(url)
    if not parts.username:
        return ""
    return base64.b64encode(f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()).decode()


def authorities(settings: AirflowSettings | None) -> str:
    """The file of certificate authorities to trust: ours, else the environment's, else certifi's."""
    if settings and settings.ca_file:
        return str(settings.ca_file)
    environment = (os.environ.get(name) for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"))
    return next(filter(None, environment), None) or certifi.where()


def accept_insecure(settings: AirflowSettings) -> None:
    """Silence urllib3's warning about each unverified request, where the operator allows them."""
    if settings.insecure_skip_verify:
        urllib3.disable_warnings(InsecureRequestWarning)


def make_pool(settings: AirflowSettings) -> urllib3.PoolManager:
    """A connection pool by the settings, without retries and redirects."""
    options: dict[str, Any] = {
        "retries": False,
        "timeout": Timeout(settings.timeout),
        "cert_reqs": "CERT_NONE" if settings.insecure_skip_verify else "CERT_REQUIRED",
        "ca_certs": None if settings.insecure_skip_verify else authorities(settings),
        "cert_file": settings.client_certificate_file and str(settings.client_certificate_file),
        "key_file": settings.client_key_file and str(settings.client_key_file),
    }
    proxy = proxy_for(settings, base_url(settings))
    if not proxy:
        return urllib3.PoolManager(**options)
    login = encode_login(proxy)
    proxy_headers = {"Proxy-Authorization": f"Basic {login}"} if login else {}
    return urllib3.ProxyManager(proxy, proxy_headers=proxy_headers, **options)
