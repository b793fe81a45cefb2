"""Which Airflow answers, and how to connect to it."""

from __future__ import annotations

import math
import time
from typing import NamedTuple

from exporter.config.settings import AirflowSettings
from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.api.airflow_api import AirflowApi
from exporter.sources.airflow.api.version import VERSION, decode_version
from exporter.sources.airflow.http.client import Client, OnRequest, ignore
from exporter.sources.airflow.http.endpoints import Endpoint
from exporter.sources.airflow.http.errors import Identity, check_reply, redact_excerpt, redact_url
from exporter.sources.airflow.http.reply import Reply
from exporter.sources.airflow.http.transport import Call

MAX_VERSION_LENGTH = 60
"""Characters of a version that are kept: it becomes a label."""


class Connection(NamedTuple):
    """An Airflow and the client that reaches it."""

    client: Client
    airflow: AirflowApi


def connect(settings: AirflowSettings, on_request: OnRequest = ignore, client: Client | None = None) -> Connection:
    """Find out what answers at the configured URL; `client` is that of an earlier connection, to keep its session.

    Takes no longer than the timeout of one request. Raises ReaderError.
    """
    client = client or Client(settings, on_request)
    client.begin(time.monotonic() + settings.timeout)
    airflow = detect(client)
    client.begin(math.inf)
    return Connection(client, airflow)


def detect(client: Client) -> AirflowApi:
    """Ask for the version: /api/v2/version answers on 3.x, /api/v1/version on 2.x. Raises ReaderError."""
    client.use_api(0)
    replies = {}
    for major in (3, 2):
        replies[major] = client.ask(Call(VERSION.get_endpoint(major)))
        if version := read_version(replies[major]):
            client.use_api(major)
            return AirflowApi(client, major, version)
    raise explain_other_server(client, replies[3], replies[2])


def read_version(reply: Reply) -> str | None:
    """The version in a reply; None where there is none."""
    version = decode_version(reply.body) if reply.status == 200 else None
    return redact_excerpt(version, MAX_VERSION_LENGTH) if version else None


def explain_other_server(client: Client, on_3: Reply, on_2: Reply) -> ReaderError:
    """Why neither version endpoint answered as Airflow does."""
    where = redact_url(client.url)
    if on_3.status == on_2.status == 404:
        message = f"{where} has neither /api/v2 nor /api/v1: airflow.url must be Airflow's base URL, with its path"
        return ReaderError("not_found", message)
    endpoint, reply = (VERSION.on_3, on_3) if on_3.status != 404 else (VERSION.on_2, on_2)
    return explain_reply(endpoint, reply)


def explain_reply(endpoint: Endpoint, reply: Reply) -> ReaderError:
    """The error that a reply stands for."""
    try:
        check_reply(endpoint, reply, Identity("the request"))
    except ReaderError as error:
        return error
    text = redact_excerpt(reply.body.decode("utf-8", "replace"), 60)
    return ReaderError("bad_reply", f"{endpoint.name}: the reply is JSON, but not from Airflow's API: {text!r}")
