"""Middleware before every page: rate limit, basic auth, and the response headers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from email.utils import formatdate

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exporter.web.connections import ServerCounts
from exporter.web.security.basic_auth import UserCredentials, UserDatabase, parse_basic_auth
from exporter.web.security.login_queue import LoginQueue
from exporter.web.security.reloader import ActiveWebConfig
from exporter.web.security.settings import RateLimit

log = logging.getLogger(__name__)

CHALLENGE = {"WWW-Authenticate": 'Basic realm="airflow-exporter", charset="UTF-8"'}
RETRY_LATER = {"Retry-After": "1"}


class TokenBucket:
    """Rate limit: `burst` tokens at first, one more every `interval` seconds."""

    def __init__(self, limit: RateLimit, now: float) -> None:
        self.limit = limit
        self._tokens = float(limit.burst)
        self._refilled_at = now

    def take(self, now: float) -> bool:
        """Take a token; False if none is left. `now` is the event loop's time."""
        self._tokens = min(self.limit.burst, self._tokens + (now - self._refilled_at) / self.limit.interval)
        self._refilled_at = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class AuthMiddleware:
    """The outermost ASGI application. Only the runbooks need no password: they are the same in every installation,
    and a person on call may not have one.
    """

    def __init__(
        self,
        app: ASGIApp,
        web_config: Callable[[], ActiveWebConfig],
        *,
        counts: ServerCounts,
        checks: Executor,
        headers: Mapping[str, str],
    ) -> None:
        self._app = app
        self._get_web_config = web_config
        self._counts = counts
        self._logins = LoginQueue(checks)
        self._headers = headers
        self._bucket: TokenBucket | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        web_config = self._get_web_config()
        headers = {**self._headers, **web_config.config.headers}
        refusal = self._check_rate_limit(web_config.config.rate_limit)
        if refusal is None and not is_public(scope):
            refusal = await self._authenticate(scope, web_config.users)
        await (refusal or self._app)(scope, receive, add_headers(send, headers))

    def _check_rate_limit(self, limit: RateLimit | None) -> Response | None:
        """Status 429 for a request over the rate limit, else None."""
        if limit is None:
            return None
        now = asyncio.get_running_loop().time()
        if self._bucket is None or self._bucket.limit != limit:
            self._bucket = TokenBucket(limit, now)
        if self._bucket.take(now):
            return None
        self._counts.limited += 1
        return PlainTextResponse("Too many requests.\n", 429, RETRY_LATER)

    async def _authenticate(self, scope: Scope, users: UserDatabase) -> Response | None:
        """Status 401 or 503 for a request without valid credentials, else None."""
        if not users:
            return None
        credentials = parse_basic_auth(Headers(scope=scope).get("authorization", ""))
        right = await self._verify(credentials, users, get_client_address(scope)) if credentials else False
        if right:
            return None
        if right is None:
            self._counts.limited += 1
            return PlainTextResponse("Too many logins at once.\n", 503, RETRY_LATER)
        self._counts.unauthorized += 1
        if credentials:
            # Without the user name: people type passwords there by mistake.
            log.warning("a request was refused: wrong user or password", extra={"client": get_client_address(scope)})
        return PlainTextResponse("Unauthorized.\n", 401, CHALLENGE)

    async def _verify(self, credentials: UserCredentials, users: UserDatabase, client: str) -> bool | None:
        """Whether the credentials are right, from the cache or by a bcrypt check; None if too many checks wait."""
        if users.was_accepted(credentials):
            return True
        if users.was_refused(credentials):
            return False
        return await self._logins.verify(users, credentials, client)


def is_public(scope: Scope) -> bool:
    """Whether the path is a runbook or the list of runbooks."""
    path: str = scope["path"]
    parts = path.split("/")
    return parts[:2] == ["", "runbooks"] and len(parts) <= 3


def get_client_address(scope: Scope) -> str:
    """The IP address of the client; empty if it is unknown."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def add_headers(send: Send, headers: Mapping[str, str]) -> Send:
    """Add headers to every response that does not set them itself."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            mutable = MutableHeaders(scope=message)
            mutable["Date"] = formatdate(usegmt=True)
            for name, value in headers.items():
                mutable.setdefault(name, value)
        await send(message)

    return send_with_headers
