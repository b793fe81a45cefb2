"""Airflow's configuration, where `[api] expose_config` ([webserver] on 2.x) and the role allow to read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.api.base import ApiBase, is_hidden
from exporter.sources.airflow.api.check_step import CheckStep
from exporter.sources.airflow.http.endpoints import Resource

CONFIG = Resource("config", "Configurations", v1="/config", v2="/config", operation="ConfigApi.get_config")


class OptionRow(msgspec.Struct, gc=False):
    """One option; its value is a pair where its source is shown too."""

    key: str
    value: Any = None


class SectionRow(msgspec.Struct):
    """One section."""

    name: str
    options: list[OptionRow] | None = None


class ConfigReply(msgspec.Struct):
    """The reply of both releases."""

    sections: list[SectionRow] | None = None


def read_config(api: ApiBase) -> Mapping[tuple[str, str], str] | None:
    """Airflow's configuration by (section, key); None where it is hidden, or the role may not read it.

    Raises ReaderError.
    """
    try:
        # On 3.x the Accept header is a parameter of the operation, and its default is any type.
        return decode_config(api.get(CONFIG, query={"accept": "application/json"} if api.major >= 3 else {}))
    except ReaderError as error:
        if is_hidden(error):
            return None
        raise


CHECK = CheckStep(
    "limits",
    CONFIG,
    read_config,
    lambda _: "read from Airflow's configuration",
    hidden="Airflow hides its configuration: set [api] expose_config = non-sensitive-only there, "
    "or airflow.limits in the exporter's file",
    optional=True,
)


def decode_config(body: bytes) -> dict[tuple[str, str], str]:
    """Airflow's configuration by (section, key). Raises ReaderError (bad_reply)."""
    try:
        sections = msgspec.json.decode(body, type=ConfigReply).sections or []
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ReaderError("bad_reply", f"the configuration could not be read: {error}") from error
    return {
        (section.name, option.key): format_value(option.value)
        for section in sections
        for option in section.options or []
    }


def format_value(value: object) -> str:
    """A value as text, without its source; empty for null."""
    if isinstance(value, list):
        value = value[0] if value else None
    return "" if value is None else str(value)
