"""A user's session at Airflow 2, from its login form: basic auth would cost the server 200 ms a request."""

from __future__ import annotations

import html
import re
from http.cookies import CookieError, SimpleCookie

from exporter.metrics.reading import ReaderError
from exporter.redaction import MIN_SECRET_LENGTH, hide
from exporter.sources.airflow.http.credentials import BasicAuth, Headers, Password, SendForm
from exporter.sources.airflow.http.reply import Reply
from exporter.sources.airflow.http.transport import FormRequest

CSRF_FIELD = re.compile(r"<input[^>]*name=\"csrf_token\"[^>]*>", re.IGNORECASE)
VALUE = re.compile(r"value=\"([^\"]*)\"", re.IGNORECASE)


class FormUnusableError(Exception):
    """There is no login form that accepts a user and a password."""


class LoginSession:
    """A session cookie, renewed when it expires; basic authentication if the login form does not work."""

    def __init__(self, send_form: SendForm, base: str, password: Password) -> None:
        self._send_form = send_form
        self._login = f"{base}/login/"
        self._password = password
        self._cookies: dict[str, str] = {}
        self._basic: BasicAuth | None = None
        self._fresh = False

    def __str__(self) -> str:
        return str(self._password)

    @property
    def advice(self) -> str:
        """What to do when the user is refused."""
        return self._password.advice

    def __repr__(self) -> str:
        return f"LoginSession({self._password!r})"

    def headers(self) -> Headers:
        if not self._cookies and not self._basic:
            self._log_in()
        return self._basic.headers() if self._basic else cookie_headers(self._cookies)

    def renew(self, reply: Reply) -> bool:
        if self._basic:
            return False
        fresh, self._fresh = self._fresh, False
        if reply.status not in (401, 403) or (reply.status == 403 and self._lives()):
            return False
        if fresh:
            # The login succeeded and the session is refused: auth_backends has none, or the web servers share none.
            self._basic = BasicAuth(self._password)
        self._cookies = {}
        return True

    def _lives(self) -> bool:
        """Whether the session is still valid: Airflow then redirects from its login page."""
        reply = self._send_form(FormRequest("login", "GET", self._login, headers=cookie_headers(self._cookies)))
        return is_elsewhere(reply)

    def _log_in(self) -> None:
        try:
            self._cookies = self._open_session()
            self._fresh = True
        except FormUnusableError:
            self._basic = BasicAuth(self._password)

    def _open_session(self) -> dict[str, str]:
        page = self._send_form(FormRequest("login", "GET", self._login))
        token = find_csrf_token(page)
        cookies = read_cookies(page)
        fields = {"username": self._password.username, "password": self._password.read(), "csrf_token": token}
        headers = {**cookie_headers(cookies), "Referer": self._login}
        answer = self._send_form(FormRequest("login", "POST", self._login, fields=fields, headers=headers))
        if answer.status == 429:
            raise ReaderError("rate_limited", "Airflow limits logins: it was asked too often, try again in a minute")
        if answer.status in (302, 303) and not is_elsewhere(answer):
            message = f"Airflow refused {self._password} or its password: {self._password.advice}"
            raise ReaderError("unauthorized", message)
        cookies |= read_cookies(answer)
        if not is_elsewhere(answer) or not cookies:
            raise FormUnusableError
        return cookies


def find_csrf_token(page: Reply) -> str:
    """The token of a login form that asks for a password. Raises FormUnusableError."""
    text = page.body.decode("utf-8", "replace")
    field = CSRF_FIELD.search(text)
    value = VALUE.search(field.group()) if field else None
    if page.status != 200 or value is None or 'name="password"' not in text:
        raise FormUnusableError
    return html.unescape(value.group(1))


def is_elsewhere(reply: Reply) -> bool:
    """Whether a reply redirects to another page than the login page."""
    location = reply.headers.get("Location", "")
    return reply.status in (302, 303) and "/login" not in location


def read_cookies(reply: Reply) -> dict[str, str]:
    """The cookies that a reply sets."""
    jar: SimpleCookie = SimpleCookie()
    for line in reply.headers.getlist("Set-Cookie"):
        try:
            jar.load(line)
        except CookieError:
            continue
    return {name: morsel.value for name, morsel in jar.items()}


def cookie_headers(cookies: dict[str, str]) -> Headers:
    """The header that sends cookies back."""
    for value in cookies.values():
        if len(value) >= MIN_SECRET_LENGTH:
            hide(value)
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())} if cookies else {}
