"""The version endpoint: says which release answers, and by its Date header what time Airflow has."""

from __future__ import annotations

import msgspec

from exporter.sources.airflow.http.endpoints import Resource

VERSION = Resource("version", v1="/version", v2="/version", operation="VersionApi.get_version")


class VersionReply(msgspec.Struct, gc=False):
    """The reply of both releases."""

    version: str


def decode_version(body: bytes) -> str | None:
    """The version in a reply of the version endpoint; None where it is no such reply."""
    try:
        return msgspec.json.decode(body, type=VersionReply).version
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
