"""Health: the status and the last heartbeat of Airflow's components."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from exporter.sources.airflow.api.base import ApiBase
from exporter.sources.airflow.api.check_step import CheckStep, count
from exporter.sources.airflow.api.decode import parse_object, to_seconds
from exporter.sources.airflow.http.endpoints import Resource

HEALTH = Resource("health", v1="/health", v2="/monitor/health", operation="MonitorApi.get_health")
COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")


class Component(msgspec.Struct, frozen=True, kw_only=True):
    """One component of the health reply; `status` is None if it does not run as a separate process."""

    name: str
    status: str | None = None
    heartbeat: float | None = None


def read_health(api: ApiBase) -> Sequence[Component]:
    """The components of Airflow. Raises ReaderError."""
    return decode_health(api.get(HEALTH))


CHECK = CheckStep("health", HEALTH, read_health, count("component"))


def decode_health(body: bytes) -> list[Component]:
    """The components of a health reply. Raises ReaderError (bad_reply)."""
    reply = parse_object(body)
    return [to_component(name, part) for name in COMPONENTS if isinstance(part := reply.get(name), dict)]


def to_component(name: str, part: dict[str, Any]) -> Component:
    """A component from its part of the reply; each component names its heartbeat differently."""
    heartbeat = next((value for key, value in part.items() if key.endswith("_heartbeat")), None)
    status = part.get("status")
    return Component(name=name, status=status if isinstance(status, str) else None, heartbeat=parse_moment(heartbeat))


def parse_moment(value: object) -> float | None:
    """Unix seconds of a time in the reply; None where it is none."""
    try:
        return to_seconds(msgspec.convert(value, datetime | None))
    except msgspec.ValidationError:
        return None
