"""Whether there is room for more tasks at the moments at which tasks wait for a limit."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from exporter.tuning.advice import format_number
from exporter.tuning.queries import HOST_CPU, HOST_MEMORY, RUNNING
from exporter.tuning.questions.load import get_limit
from exporter.tuning.questions.surroundings import describe_surroundings, pick
from exporter.tuning.series import AirflowHistory, quantile

FULL_CPU, FULL_MEMORY = 0.95, 0.95
"""Shares in use above which a machine has no room."""


class Headroom(NamedTuple):
    """What more tasks at once would meet."""

    slots: float | None
    """Tasks that parallelism leaves room for; None where that is not known or unlimited."""
    is_machine_full: bool | None
    """None where no machine was seen."""
    text: str


def measure_headroom(seen: AirflowHistory, moments: Collection[float]) -> Headroom:
    """The room at these moments."""
    limit = get_limit(seen)
    at = set(moments)
    running = [value for moment, value in seen.get(RUNNING).items() if moment in at]
    slots = max(0.0, limit - quantile(running, 0.9)) if limit is not None and running else None
    cpu, memory = pick(seen.list(HOST_CPU), at), pick(seen.list(HOST_MEMORY), at)
    full = None
    if cpu or memory:
        full = (bool(cpu) and quantile(cpu, 0.5) > FULL_CPU) or (bool(memory) and quantile(memory, 0.5) > FULL_MEMORY)
    left = "" if slots is None else f"Parallelism leaves {format_number(slots)} slots at these times. "
    return Headroom(slots, full, f"{left}What is behind the limit must have room: {describe_surroundings(seen, at)}")
