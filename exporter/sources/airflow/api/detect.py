"""Which Airflow it is, and how to talk to it."""

from __future__ import annotations

import math
import time
from typing import NamedTuple

from exporter.config.settings import AirflowSettings
from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.api.decode import decode_version
from exporter.sources.airflow.api.protocol import Airflow
from exporter.sources.airflow.api.v1 import V1
from exporter.sources.airflow.api.v2 import V2
from exporter.sources.airflow.http import endpoints as at
from exporter.sources.airflow.http.client import Client, OnRequest, ignore
from exporter.sources.airflow.http.endpoints import Endpoint
from exporter.sources.airflow.http.errors import Identity, check_reply, redact_excerpt, redact_url
from exporter.sources.airflow.http.transport import Call, Reply

__all__ = ["Client", "Connection", "connect", "detect"]


LONGEST_VERSION = 60
"""Characters of a version that are kept: it becomes a label."""


class Connection(NamedTuple):
    """An Airflow and the client that reaches it."""

    client: Client
    airflow: Airflow


def connect(settings: AirflowSettings, on_request: OnRequest = ignore, client: Client | None = None) -> Connection:
    """Find out what answers at the configured URL; `client` is that of an earlier connection, to keep its session.

    Takes no longer than the timeout of one request. Raises ReaderError.
    """
    client = client or Client(settings, on_request)
    client.begin(time.monotonic() + settings.timeout)
    airflow = detect(client)
    client.begin(math.inf)
    return Connection(client, airflow)


def detect(client: Client) -> Airflow:
    """Ask for the version: /api/v2/version answers on 3.x, /api/v1/version on 2.x. Raises ReaderError."""
    client.use_api(0)
    reply = client.ask(Call(at.V2_VERSION))
    if version := read_version(reply):
        client.use_api(3)
        return V2(client, version)
    older = client.ask(Call(at.V1_VERSION))
    if version := read_version(older):
        client.use_api(2)
        return V1(client, version)
    raise explain_other_server(client, reply, older)


def read_version(reply: Reply) -> str | None:
    """The version that a reply states; None where it states none."""
    version = decode_version(reply.body) if reply.status == 200 else None
    return redact_excerpt(version, LONGEST_VERSION) if version else None


def explain_other_server(client: Client, reply: Reply, older: Reply) -> ReaderError:
    """Why neither version endpoint answered as Airflow does."""
    where = redact_url(client.url)
    if reply.status == older.status == 404:
        message = f"{where} has neither /api/v2 nor /api/v1: airflow.url must be Airflow's base URL, with its path"
        return ReaderError("not_found", message)
    endpoint, answer = (at.V2_VERSION, reply) if reply.status != 404 else (at.V1_VERSION, older)
    return explain_reply(endpoint, answer)


def explain_reply(endpoint: Endpoint, reply: Reply) -> ReaderError:
    """The error that a reply stands for."""
    try:
        check_reply(endpoint, reply, Identity("the request"))
    except ReaderError as error:
        return error
    said = redact_excerpt(reply.body.decode("utf-8", "replace"), 60)
    return ReaderError("bad_reply", f"{endpoint.name}: the reply is JSON, but not from Airflow's API: {said!r}")
