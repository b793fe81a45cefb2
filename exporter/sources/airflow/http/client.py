"""The HTTP client of one Airflow: timeouts, retries, credentials, request metrics, the server's clock.

Every failure becomes a ReaderError whose message says what to do.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from email.utils import parsedate_to_datetime
from functools import partial

from urllib3.exceptions import InvalidHeader
from urllib3.util import Retry

from exporter import __version__
from exporter.config.settings import AirflowSettings
from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.http import login_session, tokens
from exporter.sources.airflow.http.clock import ServerClock
from exporter.sources.airflow.http.credentials import (
    Anonymous,
    ConfiguredToken,
    Credentials,
    ExtraHeaders,
    Headers,
    HeadersOnly,
    Password,
    find_token,
)
from exporter.sources.airflow.http.endpoints import Endpoint
from exporter.sources.airflow.http.errors import REQUEST_ERRORS, Identity, check_reply, explain, is_broken_off
from exporter.sources.airflow.http.reply import Reply
from exporter.sources.airflow.http.transport import (
    Call,
    FormRequest,
    GeneratedTransport,
    PlainTransport,
    base_url,
)

OnRequest = Callable[[str, str, float], None]
"""Called after each request with the endpoint's name, the HTTP status or "error", and the duration in seconds."""

USER_AGENT = f"airflow-metrics-exporter/{__version__}"
COMMON_HEADERS = {"User-Agent": USER_AGENT, "Accept": "application/json", "Accept-Encoding": "gzip"}
BACKOFF = (0.5, 2.0)
"""Seconds before the second and the third attempt after a 5xx or 429."""
RETRYABLE = (429, 500, 502, 503, 504)
"""Statuses after which another attempt may succeed."""
SCHEMA_FAILURE = b"Failed validating"
"""What Airflow 2 answers where a row does not fit its schema. Another attempt fails in the same way."""


def ignore(endpoint: str, code: str, seconds: float) -> None:
    """No request metrics."""


class Client:
    """Sends requests to one Airflow. Not thread-safe."""

    def __init__(self, settings: AirflowSettings, on_request: OnRequest = ignore) -> None:
        self.url = base_url(settings)
        self.refused = False
        """Whether the newest request that needed credentials was refused because of them."""
        self._clock = ServerClock()
        self._settings = settings
        self._on_request = on_request
        self._deadline: float | None = None
        self._plain = PlainTransport(settings)
        self._generated: GeneratedTransport | None = None
        self._extra = ExtraHeaders(settings.headers_file) if settings.headers_file else None
        self._major = 0
        self._credentials = self._choose_credentials(0)
        self._chosen = {0: self._credentials}

    @property
    def skew(self) -> float | None:
        """How far the server's clock is ahead of ours, in seconds, to half a second; None before the first answer."""
        return self._clock.skew

    def begin(self, deadline: float) -> None:
        """Set the deadline (monotonic seconds) of all requests that follow."""
        self._deadline = deadline

    def close(self) -> None:
        """Close the connections."""
        self._plain.close()
        if self._generated:
            self._generated.close()

    def use_api(self, major: int) -> None:
        """Use the transport and the credentials of this major version of Airflow from now on; 0: not known yet."""
        if major >= 3 and self._generated is None:
            self._generated = GeneratedTransport(self._settings, USER_AGENT)
        if major not in self._chosen:
            independent = not isinstance(self._chosen[0], Anonymous)
            self._chosen[major] = self._chosen[0] if independent else self._choose_credentials(major)
        self._major = major
        self._credentials = self._chosen[major]

    def get(self, call: Call, *, patient: bool = True) -> bytes:
        """The reply of an endpoint as JSON that is not decoded yet. Raises ReaderError.

        If `patient`, a request with a temporary failure is repeated.
        """
        try:
            body = check_reply(call.endpoint, self.ask(call, patient=patient), self._identify())
        except ReaderError as error:
            self.refused = error.reason == "unauthorized" or self.refused
            raise
        self.refused = self.refused and not call.endpoint.permission
        return body

    def ask(self, call: Call, *, patient: bool = True) -> Reply:
        """The reply of an endpoint, whatever its status. Raises ReaderError if there is none."""
        reply = self._ask_once(call, patient=patient)
        if self._credentials.renew(reply):
            reply = self._ask_once(call, patient=patient)
        return reply

    def server_time(self, endpoint: Endpoint) -> float:
        """The server's clock in Unix seconds, rounded down, from the Date headers of this and earlier replies.

        Where a proxy removes the header, our own clock. Raises ReaderError.
        """
        reply = self._send_with_retries(endpoint.name, partial(self._plain.send, Call(endpoint), self._headers()))
        check_reply(endpoint, reply, self._identify())
        return self._clock.read(time.time())

    def _identify(self) -> Identity:
        return Identity(str(self._credentials), self._credentials.advice)

    def _ask_once(self, call: Call, *, patient: bool) -> Reply:
        headers = self._headers(call.accept)
        transport = self._generated if self._generated and self._major >= 3 else self._plain
        return self._send_with_retries(call.endpoint.name, partial(transport.send, call, headers), patient=patient)

    def _headers(self, accept: str = "application/json") -> Headers:
        extra = self._extra.read() if self._extra else {}
        return {**COMMON_HEADERS, "Accept": accept, **self._credentials.headers(), **extra}

    def _send_form(self, form: FormRequest) -> Reply:
        """Send a request for a token or a session; the extra headers go to Airflow only."""
        headers = {**COMMON_HEADERS, "Accept": "*/*", **form.headers}
        if self._extra and form.url.startswith(f"{self.url}/"):
            headers |= self._extra.read()
        complete = FormRequest(form.name, form.method, form.url, form.fields, form.json, headers)
        if form.method == "GET":
            return self._send_with_retries(form.name, partial(self._plain.send_form, complete))
        return self._send_once(form.name, partial(self._plain.send_form, complete))

    def _send_with_retries(self, name: str, send: Callable[[float], Reply], *, patient: bool = True) -> Reply:
        """Send, and repeat after a temporary failure if the deadline leaves time; if not `patient`, never."""
        for attempt, pause in enumerate(BACKOFF):
            try:
                reply = self._send_once(name, send)
            except ReaderError as error:
                if attempt or not is_broken_off(error):
                    raise
                continue
            if not patient or reply.status not in RETRYABLE or SCHEMA_FAILURE in reply.body:
                return reply
            wait = read_retry_after(reply, pause)
            if wait >= self._seconds_left():
                return reply
            time.sleep(wait)
        return self._send_once(name, send)

    def _send_once(self, name: str, send: Callable[[float], Reply]) -> Reply:
        """Send once, within the time that is left until the deadline. Raises ReaderError."""
        timeout = self._seconds_left()
        if timeout <= 0:
            raise ReaderError("deadline", f"{name}: this poll has no time left for it; raise airflow.interval")
        began, began_at = time.monotonic(), time.time()
        try:
            reply = send(timeout)
        except REQUEST_ERRORS as error:
            self._on_request(name, "error", time.monotonic() - began)
            raise self._explain(name, error, timeout) from error
        self._on_request(name, str(reply.status), time.monotonic() - began)
        self._compare_clocks(reply, began_at)
        return reply

    def _explain(self, name: str, error: Exception, timeout: float) -> ReaderError:
        found = explain(error, self.url)
        if found.reason == "timeout" and timeout < self._settings.timeout:
            return ReaderError("deadline", f"{name}: no reply within the {timeout:.1f} s that were left of this poll")
        return ReaderError(found.reason, f"{name}: {found}")

    def _seconds_left(self) -> float:
        """The timeout of a request that is sent now, in seconds."""
        if self._deadline is None:
            return self._settings.timeout
        return min(self._settings.timeout, self._deadline - time.monotonic())

    def _compare_clocks(self, reply: Reply, began: float) -> None:
        date = read_date(reply)
        if date is not None:
            self._clock.record(date, began, time.time())

    def _choose_credentials(self, major: int) -> Credentials:
        """The configured credentials in the form that this major version of Airflow accepts (0: not known yet)."""
        settings = self._settings
        if token := find_token(settings):
            return ConfiguredToken(token)
        if settings.oauth2:
            oauth2, secret = settings.oauth2, tokens.find_client_secret(settings.oauth2)
            return tokens.BearerAuth(
                lambda: tokens.ask_identity_provider(self._send_form, oauth2, secret),
                f"the token of client {oauth2.client_id!r}",
                lambda: "check airflow.oauth2, and that Airflow takes tokens of this provider and audience",
            )
        without = HeadersOnly(self._extra.path) if self._extra else Anonymous()
        if major == 0:
            return without
        if settings.username:
            password = Password(settings)
            if major < 3:
                return login_session.LoginSession(self._send_form, self.url, password)
            return tokens.BearerAuth(
                lambda: tokens.ask_with_password(self._send_form, self.url, password),
                f"the token of {password}",
                lambda: password.advice,
            )
        if major < 3 or self._extra:
            return without
        ask = partial(tokens.ask_without_password, self._send_form, self.url)
        return tokens.BearerAuth(ask, str(without), lambda: without.advice)


def read_date(reply: Reply) -> float | None:
    """The Date header in Unix seconds, plus the age of a cached reply; None without a valid one."""
    with suppress(ValueError, OverflowError):
        date = parsedate_to_datetime(reply.headers.get("Date", "")).timestamp()
        age = reply.headers.get("Age", "")
        return date + (int(age) if age.isascii() and age.isdecimal() and len(age) < 10 else 0)
    return None


def read_retry_after(reply: Reply, default: float) -> float:
    """Seconds to wait by the Retry-After header, which holds seconds or a date."""
    with suppress(InvalidHeader):
        return Retry().parse_retry_after(reply.headers.get("Retry-After", ""))
    return default
