"""What every request passes before a page answers: rate limit, credentials, and headers on the way out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from email.utils import formatdate

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from exporter.web.connections import Counts
from exporter.web.security.basic_auth import Credentials, Keyring, read_credentials
from exporter.web.security.login_queue import LoginQueue
from exporter.web.security.reloader import Rules
from exporter.web.security.settings import RateLimit

log = logging.getLogger(__name__)

CHALLENGE = {"WWW-Authenticate": 'Basic realm="airflow-exporter", charset="UTF-8"'}
RETRY = {"Retry-After": "1"}


class Bucket:
    """Tokens for requests: `burst` of them at first, one more each `interval` seconds."""

    def __init__(self, limit: RateLimit, now: float) -> None:
        self.limit = limit
        self._tokens = float(limit.burst)
        self._filled = now

    def take(self, now: float) -> bool:
        """Take a token; False if there is none."""
        self._tokens = min(self.limit.burst, self._tokens + (now - self._filled) / self.limit.interval)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Gate:
    """The outermost ASGI application. Only runbooks are exempt from credentials: they are those of every installation,
    and a person who is paged may have none.
    """

    def __init__(
        self,
        app: ASGIApp,
        rules: Callable[[], Rules],
        *,
        counts: Counts,
        checks: Executor,
        headers: Mapping[str, str],
    ) -> None:
        self._app = app
        self._rules = rules
        self._counts = counts
        self._logins = LoginQueue(checks)
        self._headers = headers
        self._bucket: Bucket | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        rules = self._rules()
        headers = {**self._headers, **rules.config.headers}
        refusal = self._limit(rules.config.rate_limit)
        if refusal is None and not is_public(scope):
            refusal = await self._identify(scope, rules.keyring)
        await (refusal or self._app)(scope, receive, decorate(send, headers))

    def _limit(self, limit: RateLimit | None) -> Response | None:
        """An answer for a client over the rate limit."""
        if limit is None:
            return None
        now = asyncio.get_running_loop().time()
        if self._bucket is None or self._bucket.limit != limit:
            self._bucket = Bucket(limit, now)
        if self._bucket.take(now):
            return None
        self._counts.limited += 1
        return PlainTextResponse("Too many requests.\n", 429, RETRY)

    async def _identify(self, scope: Scope, keyring: Keyring) -> Response | None:
        """An answer for a client that is not one of the users."""
        if not keyring:
            return None
        credentials = read_credentials(Headers(scope=scope).get("authorization", ""))
        right = await self._verify(credentials, keyring, name_client(scope)) if credentials else False
        if right:
            return None
        if right is None:
            self._counts.limited += 1
            return PlainTextResponse("Too many logins at once.\n", 503, RETRY)
        self._counts.unauthorized += 1
        if credentials:
            # The name is left out: people type passwords there.
            log.warning("refused a request: wrong user or password", extra={"client": name_client(scope)})
        return PlainTextResponse("Unauthorized.\n", 401, CHALLENGE)

    async def _verify(self, credentials: Credentials, keyring: Keyring, client: str) -> bool | None:
        """Whether they are right, without a check where that was found out not long ago; None: no room to wait."""
        if keyring.recall(credentials):
            return True
        if keyring.recall_wrong(credentials):
            return False
        return await self._logins.verify(keyring, credentials, client)


def is_public(scope: Scope) -> bool:
    """Whether a path is a runbook's, or that of their list."""
    path: str = scope["path"]
    parts = path.split("/")
    return parts[:2] == ["", "runbooks"] and len(parts) <= 3


def name_client(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def decorate(send: Send, headers: Mapping[str, str]) -> Send:
    """Add headers to whatever answer is sent, where it does not set them itself."""

    async def send_decorated(message: Message) -> None:
        if message["type"] == "http.response.start":
            mutable = MutableHeaders(scope=message)
            mutable["Date"] = formatdate(usegmt=True)
            for name, value in headers.items():
                mutable.setdefault(name, value)
        await send(message)

    return send_decorated
