"""The connection to Celery's broker, by kombu: Redis, Redis Sentinel, RabbitMQ, and what else kombu knows."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, TypeVar
from urllib.parse import urlsplit

from kombu import Connection
from kombu.exceptions import KombuError
from kombu.utils.url import parse_url

from exporter.config.secret_file import SecretFile, SecretVariable
from exporter.config.secret_url import clean_url, hide_url, is_malformed
from exporter.config.settings import CelerySettings
from exporter.metrics.reading import ReaderError
from exporter.redaction import hide
from exporter.sources.celery.broker_reading import BrokerReading, explain

NEVER = 10**9
"""Seconds, decades: a client of Redis puts messages back that no worker acknowledged within its own visibility timeout.
That is the business of the workers. If this client did it, tasks that run for long would run twice."""
REFUSALS = (
    *("NOAUTH", "WRONGPASS", "NOPERM", "Authentication required", "invalid username-password"),
    *("no permissions", "No permissions to", "ACCESS_REFUSED", "ACCESS-REFUSED"),
)
"""What brokers say where the user is wrong or has no permission; Redis' client leaves out the codes (NOAUTH)."""
ANSWERS = frozenset({"ResponseError", "ChannelError"})
"""Errors, by their names in the clients of Redis and AMQP, that are answers: the broker was reached."""

Result = TypeVar("Result")


class Broker:
    """One connection, which is opened again after a failure. Every method raises ReaderError."""

    def __init__(self, settings: CelerySettings) -> None:
        self._settings = settings
        self._url = build_secret(settings)
        self._connection: Connection | None = None
        self.name = ""
        """The broker without its credentials, for pages and logs."""

    @property
    def connection(self) -> Connection:
        """The open connection."""
        return self._connection or self.connect()

    def prepare(self) -> Connection:
        """A connection that is not open yet."""
        url = self._url.read()
        self.name = describe_url(url)
        options = read_transport_options(self._settings)
        try:
            connection = Connection(
                drop_tls(url),
                connect_timeout=self._settings.timeout,
                heartbeat=0,
                ssl=build_tls(url, self._settings),
                transport_options=build_options(url, options, self._settings.timeout),
            )
            connection.get_transport_cls()
        except (KombuError, KeyError, TypeError, ValueError, ImportError) as error:
            raise ReaderError("bad_request", f"the broker URL cannot be used: {explain(error)}") from None
        return connection

    def connect(self) -> Connection:
        """Open the connection."""
        self.close()
        connection = self._connection = self.prepare()
        try:
            self.call(partial(connection.ensure_connection, max_retries=1, interval_start=0.1))
        except (KeyError, TypeError, ValueError) as error:
            text = f"the broker URL or the transport options cannot be used: {explain(error)}"
            raise ReaderError("bad_request", text) from None
        return connection

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.release()
            except (*connection.connection_errors, *connection.channel_errors, OSError):
                return

    def call(self, ask: Callable[[], Result]) -> Result:
        """Ask the broker; the connection is closed if that fails."""
        connection = self.connection
        try:
            return ask()
        except (*connection.connection_errors, *connection.channel_errors, KombuError, OSError) as error:
            self.close()
            raise ReaderError(*classify(error, self.name)) from None
        except Exception:
            self.close()  # an unexpected error may have left half a reply unread
            raise

    def read(self, queues: Iterable[str]) -> BrokerReading:
        """Read these queues, those of them that exist, and the broker itself."""
        from exporter.sources.celery import amqp_queues, redis_queues  # noqa: PLC0415 - Redis' client is large

        read = redis_queues.read if self.connection.transport.driver_type == "redis" else amqp_queues.read
        found = self.call(partial(read, self.connection, sorted(queues)))
        if found.unreadable and not found.queues:
            raise ReaderError(
                "forbidden", f"{self.name}: no queue may be read: {next(iter(found.unreadable.values()))}"
            )
        return found


def build_secret(settings: CelerySettings) -> SecretFile | SecretVariable:
    """Where the URL of the broker is kept. Raises ReaderError if it is set nowhere."""
    if settings.broker_url_file is not None:
        return SecretFile(settings.broker_url_file, "the file of the broker URL", read_url, hide_url)
    return SecretVariable(settings.broker_url_environment, read_url, hide_url)


def read_url(text: str, what: str) -> str:
    """The URL in a text. Raises ReaderError (unauthorized) that does not repeat it."""
    url = clean_url(text, what, "redis://redis:6379/0")
    if any(map(is_malformed, url.split(";"))):
        raise ReaderError("unauthorized", f"{what}: encode special characters of the user and the password as %XX")
    return url


def describe_url(url: str) -> str:
    """The URL without user, password and parameters."""
    shown = []
    for one in url.split(";"):
        parts = urlsplit(one)
        host = f"{parts.hostname or 'localhost'}:{parts.port}" if parts.port else parts.hostname or "localhost"
        shown.append(f"{parts.scheme}://{host}{parts.path}")
    return ";".join(shown)


def read_transport_options(settings: CelerySettings) -> dict[str, Any]:
    """What the file of transport options contains: a JSON object, as Airflow's `broker_transport_options`."""
    path = settings.broker_transport_options_file
    if path is None:
        return {}
    text = SecretFile(path, "the file of the transport options", lambda text, _: text.strip()).read()
    try:
        options = json.loads(text)
    except ValueError:
        options = None
    if not isinstance(options, dict):
        raise ReaderError(
            "bad_request", f'{path} contains no JSON object; write for example {{"master_name": "mymaster"}}'
        )
    hide_passwords(options)
    return options


def hide_passwords(options: Mapping[str, Any]) -> None:
    """Mask the passwords among transport options, `sentinel_kwargs` included."""
    for key, value in options.items():
        if isinstance(value, dict):
            hide_passwords(value)
        elif "password" in key and isinstance(value, str):
            hide(value)


def build_options(url: str, options: Mapping[str, Any], timeout: float) -> dict[str, Any]:
    """The transport options for this client: with timeouts, and without a duty to put messages back."""
    scheme = urlsplit(url).scheme
    if scheme.startswith(("redis", "rediss", "sentinel", "valkey")):
        limits: dict[str, Any] = {
            "socket_timeout": timeout,
            "socket_connect_timeout": timeout,
            "visibility_timeout": NEVER,
            "retry_on_timeout": False,
        }
    elif scheme in ("amqp", "amqps", "pyamqp"):
        limits = {"read_timeout": timeout, "write_timeout": timeout}
    else:
        limits = {}
    return {**options, **limits}


def build_tls(url: str, settings: CelerySettings) -> dict[str, Any] | bool:
    """The parameters of TLS; False without TLS. Certificates are verified unless the URL says otherwise (Redis)."""
    scheme = urlsplit(url).scheme
    files = {
        "ca_certs": settings.broker_ca_file,
        "certfile": settings.broker_client_certificate_file,
        "keyfile": settings.broker_client_key_file,
    }
    given = {key: str(path) for key, path in files.items() if path is not None}
    if scheme.startswith(("redis", "sentinel")):
        named = parse_url(url.split(";", maxsplit=1)[0]).get("ssl", {})
        wanted = given or named or scheme == "rediss"
        prefixed = {f"ssl_{key}": path for key, path in given.items()}
        return {"ssl_cert_reqs": ssl.CERT_REQUIRED, **named, **prefixed} if wanted else False
    if scheme != "amqps" and not given:
        return False
    ca_file = given.get("ca_certs") or ssl.get_default_verify_paths().cafile
    return {"cert_reqs": ssl.CERT_REQUIRED, **given, "ca_certs": ca_file, "server_hostname": urlsplit(url).hostname}


def drop_tls(url: str) -> str:
    """The URL without its parameters of TLS: kombu would take them in the place of `build_tls`, not beside it."""
    kept = []
    for one in url.split(";"):
        parts = urlsplit(one)
        query = "&".join(field for field in parts.query.split("&") if not field.startswith("ssl_"))
        kept.append(f"{one.split('?')[0]}?{query}" if query else one.split("?")[0])
    return ";".join(kept)


def classify(error: BaseException, name: str) -> tuple[str, str]:
    """The reason of a failure, and its message."""
    text = explain(error)
    if any(sign in text for sign in REFUSALS):
        return "unauthorized", f"{name} refuses the user of the broker URL: {text}"
    if isinstance(error, TimeoutError) or any(sign in text.lower() for sign in ("timed out", "timeout")):
        return "timeout", f"{name} did not answer in time (--celery.timeout): {text}"
    if isinstance(error, ssl.SSLError) or "certificate" in text.lower():
        return "tls", f"the certificate of {name} is not accepted: {text}"
    # kombu wraps the client's error while it connects.
    if ANSWERS & {one.__name__ for each in (error, error.__cause__) for one in type(each).__mro__}:
        return "server_error", f"{name} answers with an error: {text}"
    return "unreachable", f"{name} cannot be reached: {text}"
