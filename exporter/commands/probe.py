"""Is the exporter on this machine alive? Asked by container health checks, so only the standard library is used."""

from __future__ import annotations

import http.client
import ssl
from http import HTTPStatus

PATH = "/-/healthy"
LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - to connect to, not to bind
HEALTHY = (HTTPStatus.OK, HTTPStatus.UNAUTHORIZED)
"""A server that asks for a password is alive, and a health check has none to give."""
WANTS_CERTIFICATE = ("CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE", "BAD_CERTIFICATE")


def find_target(address: str) -> tuple[str, int]:
    """Where to connect to reach a server that listens on this address."""
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    return LOOPBACK.get(host, host), int(port)


def find_problem(address: str, timeout: float = 3.0) -> str | None:
    """Why the exporter at this address is not healthy, or None; HTTP is tried first, then HTTPS."""
    host, port = find_target(address)
    plain = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        return judge(ask(plain))
    except ConnectionRefusedError:
        return f"{address}: nothing listens"
    except TimeoutError:
        return f"{address}: no answer within {timeout:g} s"
    except (OSError, http.client.HTTPException):
        return find_tls_problem(address, timeout)


def find_tls_problem(address: str, timeout: float) -> str | None:
    """The same over TLS; which certificate is shown does not matter to whether the server is alive."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    host, port = find_target(address)
    connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
    try:
        connection.connect()
    except ssl.SSLError as error:
        return None if any(reason in str(error.reason) for reason in WANTS_CERTIFICATE) else f"{address}: {error}"
    except OSError as error:
        return f"{address}: {str(error) or type(error).__name__}"
    try:
        return judge(ask(connection))
    except (ssl.SSLError, ConnectionError):
        # It shook hands and then hung up: with TLS 1.3 that is how a client without a certificate is refused.
        return None
    except (OSError, http.client.HTTPException) as error:
        return f"{address}: {str(error) or type(error).__name__}"


def ask(connection: http.client.HTTPConnection) -> int:
    try:
        connection.request("GET", PATH)
        return connection.getresponse().status
    finally:
        connection.close()


def judge(status: int) -> str | None:
    return None if status in HEALTHY else f"{PATH} answered {status}"
