"""Token refresh: bearer tokens of Airflow 3 and of OAuth2, fetched and renewed before they expire."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import NamedTuple

from exporter.config.secret_file import Secret, SecretFile, SecretVariable, check_header_value, clean_client_secret
from exporter.config.settings import OAuth2Settings
from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.http.credentials import (
    Headers,
    Password,
    SendForm,
    basic_headers,
    bearer_headers,
    is_refusal,
)
from exporter.sources.airflow.http.errors import read_detail, redact_excerpt, redact_url
from exporter.sources.airflow.http.reply import Reply
from exporter.sources.airflow.http.transport import FormRequest

RENEW_AT = 0.8
"""The share of a token's life after which it is renewed: early enough to outlast an outage of its issuer."""
MIN_TOKEN_AGE = 10.0
"""Seconds for which a new token is not replaced when it is refused: another would be refused as well."""
RETRY_INTERVAL = 30.0
"""Seconds until the next attempt to renew a token while the old one is still valid."""


class Token(NamedTuple):
    """A token and its life in seconds; None if unknown."""

    value: str
    life: float | None = None

    def __repr__(self) -> str:
        return f"Token(life={self.life})"


class BearerAuth:
    """A token from `fetch`, used until most of its life is over or Airflow refuses it."""

    def __init__(
        self,
        fetch: Callable[[], Token | None],
        whose: str,
        advise: Callable[[], str],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """`whose` token it is, and what to do when it is refused, for messages."""
        self._fetch = fetch
        self._whose = whose
        self._advise = advise
        self._now = now
        self._token: Token | None = None
        self._fetched = 0.0
        self._renewal = 0.0

    def __str__(self) -> str:
        return self._whose

    @property
    def advice(self) -> str:
        """What to do when the token is refused."""
        return self._advise()

    def headers(self) -> Headers:
        if self._now() >= self._renewal:
            self._replace()
        return bearer_headers(self._token.value) if self._token else {}

    def renew(self, reply: Reply) -> bool:
        if not is_refusal(reply) or self._now() - self._fetched < MIN_TOKEN_AGE:
            return False
        self._token = None
        self._renewal = 0.0
        return True

    def _replace(self) -> None:
        try:
            token = self._fetch()
        except ReaderError:
            if not self._still_lives():
                raise
            self._renewal = self._now() + RETRY_INTERVAL
            return
        self._token = token
        self._fetched = self._now()
        life = token.life if token and token.life is not None else float("inf")
        self._renewal = self._fetched + life * RENEW_AT

    def _still_lives(self) -> bool:
        return self._token is not None and self._now() < self._fetched + (self._token.life or 0.0)


def ask_with_password(send_form: SendForm, base: str, password: Password) -> Token:
    """Ask Airflow 3 for a token: POST /auth/token. Raises ReaderError."""
    content = {"username": password.username, "password": password.read()}
    reply = send_form(FormRequest("token", "POST", f"{base}/auth/token", json=content))
    if reply.status in (400, 401, 403, 422):
        said = f"HTTP {reply.status}: {read_detail(reply)}"
        message = f"Airflow refused {password} or its password ({said}): {password.advice}"
        raise ReaderError("unauthorized", message)
    return parse_airflow_token(reply, base)


def ask_without_password(send_form: SendForm, base: str) -> Token | None:
    """The token that SimpleAuthManager gives without credentials (simple_auth_manager_all_admins); None without."""
    reply = send_form(FormRequest("token", "GET", f"{base}/auth/token"))
    return parse_airflow_token(reply, base) if reply.status in (200, 201) else None


def parse_airflow_token(reply: Reply, base: str) -> Token:
    """The token in a reply of /auth/token, with the life from its JWT. Raises ReaderError."""
    if reply.status not in (200, 201):
        hint = (
            "its auth manager has no /auth/token: use airflow.token_file"
            if reply.status in (404, 405)
            else "see its log"
        )
        message = f"{redact_url(base)} gave no token (HTTP {reply.status}: {read_detail(reply)}): {hint}"
        raise ReaderError("server_error" if reply.status >= 500 else "unauthorized", message)
    value = read_field(reply, "access_token")
    return Token(value, jwt_life(value))


def read_field(reply: Reply, name: str) -> str:
    """A text field of a JSON reply. Raises ReaderError (bad_reply) without quoting the reply."""
    try:
        value = json.loads(reply.body)[name]
    except (ValueError, KeyError, TypeError, RecursionError):
        value = None
    if not isinstance(value, str) or not value:
        raise ReaderError("bad_reply", f"the reply of {redact_url(reply.url)} to a request for a token has no {name!r}")
    return check_header_value(value, f"the token of {redact_url(reply.url)}")


def jwt_life(token: str) -> float | None:
    """The life of a JWT in seconds (`exp` - `iat`), not verified; None if it has none."""
    payload = token.split(".")[1:2]
    try:
        content = json.loads(base64.urlsafe_b64decode(payload[0] + "=" * (-len(payload[0]) % 4)))
        return check_life(float(content["exp"]) - float(content["iat"]))
    except (ValueError, KeyError, TypeError, IndexError, RecursionError, OverflowError):
        return None


def check_life(seconds: float) -> float | None:
    """The life of a token that was stated; None for a number that cannot be one: the token then serves until refused.

    A life of 0 would fetch a new token for each request.
    """
    return seconds if 0 < seconds < float("inf") else None


def ask_identity_provider(send_form: SendForm, settings: OAuth2Settings, secret: Secret) -> Token:
    """Ask for a token by the client credentials grant. Raises ReaderError."""
    reply = send_form(oauth2_form(settings, secret.read(), in_header=False))
    if reply.status in (400, 401):
        # RFC 6749 lets the provider choose whether the secret is in the form or in a header.
        reply = send_form(oauth2_form(settings, secret.read(), in_header=True))
    where = redact_url(settings.token_url)
    if reply.status != 200:
        said = oauth2_error(reply)
        reason = "server_error" if reply.status >= 500 else "unauthorized"
        message = f"{where} gave no token (HTTP {reply.status}{said}): check airflow.oauth2"
        raise ReaderError(reason, message)
    return Token(read_field(reply, "access_token"), read_life(reply))


def read_life(reply: Reply) -> float | None:
    """The life of a token in seconds (`expires_in`); None if the reply has none that can be meant."""
    try:
        return check_life(float(json.loads(reply.body)["expires_in"]))
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
        return None


def oauth2_form(settings: OAuth2Settings, secret: str, *, in_header: bool) -> FormRequest:
    """The request of the client credentials grant."""
    fields = {"grant_type": "client_credentials", "scope": settings.scope, "audience": settings.audience}
    headers: Headers = {"Accept": "application/json"}
    if in_header:
        headers = {**headers, **basic_headers(settings.client_id, secret)}
    else:
        fields |= {"client_id": settings.client_id, "client_secret": secret}
    filled = {name: value for name, value in fields.items() if value}
    return FormRequest("oauth2", "POST", settings.token_url, fields=filled, headers=headers)


def oauth2_error(reply: Reply) -> str:
    """The error code of a refusal, for a message."""
    try:
        return f": {redact_excerpt(str(json.loads(reply.body)['error']))}"
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""


def find_client_secret(settings: OAuth2Settings) -> Secret:
    """Where the client's secret is."""
    if settings.client_secret_file:
        return SecretFile(settings.client_secret_file, "the client secret file", clean_client_secret)
    return SecretVariable(settings.client_secret_environment, clean_client_secret)
