"""The command `probe`: a health check for containers. Only the standard library is imported, to be fast."""

from __future__ import annotations

import http.client
import ssl
from http import HTTPStatus

PATH = "/-/healthy"
LOOPBACK = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - to connect to, not to bind
HEALTHY = (HTTPStatus.OK, HTTPStatus.UNAUTHORIZED)
"""A server that asks for a password is healthy; the health check has none."""
WANTS_CERTIFICATE = ("CERTIFICATE_REQUIRED", "HANDSHAKE_FAILURE", "BAD_CERTIFICATE")


def get_target(address: str) -> tuple[str, int]:
    """Host and port to connect to, for a server with this listen address."""
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    return LOOPBACK.get(host, host), int(port)


def get_problem(address: str, timeout: float = 3.0) -> str | None:
    """Why the exporter at this address is not healthy, or None. Tries HTTP, then HTTPS."""
    host, port = get_target(address)
    plain = http.client.HTTPConnection(host, port, timeout=timeout)
    try:
        return check_status(request_status(plain))
    except ConnectionRefusedError:
        return f"{address}: connection refused; the exporter does not run, or listens on another address"
    except TimeoutError:
        return f"{address}: no answer within {timeout:g} s"
    except (OSError, http.client.HTTPException):
        return get_tls_problem(address, timeout)


def get_tls_problem(address: str, timeout: float) -> str | None:
    """The same over TLS. The certificate is not verified, because it does not matter for health."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    host, port = get_target(address)
    connection = http.client.HTTPSConnection(host, port, timeout=timeout, context=context)
    try:
        connection.connect()
    except ssl.SSLError as error:
        return None if any(reason in str(error.reason) for reason in WANTS_CERTIFICATE) else f"{address}: {error}"
    except OSError as error:
        return f"{address}: {str(error) or type(error).__name__}"
    try:
        return check_status(request_status(connection))
    except (ssl.SSLError, ConnectionError):
        # With TLS 1.3, a client without a certificate is refused only after the handshake.
        return None
    except (OSError, http.client.HTTPException) as error:
        return f"{address}: {str(error) or type(error).__name__}"


def request_status(connection: http.client.HTTPConnection) -> int:
    """The status of /-/healthy. Raises OSError and http.client.HTTPException."""
    try:
        connection.request("GET", PATH)
        return connection.getresponse().status
    finally:
        connection.close()


def check_status(status: int) -> str | None:
    """Why the status shows a problem, or None."""
    return None if status in HEALTHY else f"{PATH} answered with status {status}"
