"""Queries that are empty on an Airflow 3.3 with a LocalExecutor on one machine, and why; nothing else may be."""

from __future__ import annotations

from collections.abc import Mapping

CELERY = "no Celery worker is there: LocalExecutor runs the tasks"
KUBERNETES = "no Kubernetes is there"
EDGE = "no Edge worker is there"
RELEASE_2 = "Airflow 2 only"
WEEK = "needs ten runs that ended more than a day ago"
CGROUP = "only where the machine has a control group with that limit"
OLD = "only where something has run for long enough"

EMPTY: Mapping[str, str] = {}
"""By the beginning of where the query stands."""


def reason(where: str) -> str | None:
    """Why a query may be empty, or None where it may not."""
    return next((why for beginning, why in EMPTY.items() if where.startswith(beginning)), None)
