"""Lists by state through keyset paging (`cursor=`), which Airflow has for task instances from 3.2, runs from 3.3 on.

Older releases of 3.x are read by offset, as 2.x is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import TypeVar

from exporter.sources.airflow.api import paging
from exporter.sources.airflow.api.base import ApiBase, ListSpec
from exporter.sources.airflow.api.paging import Rows
from exporter.sources.airflow.http.errors import AnswerError
from exporter.sources.airflow.http.transport import Value

T = TypeVar("T")


def read_active_by_cursor(api: ApiBase, spec: ListSpec[T], states: Sequence[str]) -> Rows[T]:
    """Every row in one of the states. Raises ReaderError."""
    spec = replace(spec, part=" ".join(states))
    query: dict[str, Value] = {"state": list(states)}
    found = read_by_cursor(api, spec, query)
    if found is not None:
        return found
    query["order_by"] = ["id"]
    return api.read_list(spec, lambda fetch: paging.read_by_offset(fetch, query, spec.identify))


def read_ended_by_cursor(
    api: ApiBase,
    spec: ListSpec[T],
    states: Sequence[str],
    span: paging.TimeRange,
    more: paging.Query | None = None,
) -> Rows[T]:
    """Every row in one of the states that was updated in the time range; `more` is a further filter.

    Raises ReaderError.
    """
    query: dict[str, Value] = {"state": list(states), **(more or {})}
    found = read_by_cursor(api, spec, {**query, **span.query()})
    if found is not None:
        return found
    query["order_by"] = ["id"]
    return api.read_list(
        spec,
        lambda fetch: paging.read_by_time(fetch, query, span, spec.identify, api.server_time),
        ordered=False,
    )


def read_by_cursor(api: ApiBase, spec: ListSpec[T], query: paging.Query) -> Rows[T] | None:
    """A list by cursor; None where this release has no cursors, or Airflow cannot serve some row of the list.

    A cursor cannot skip such a row.
    """
    if spec.resource in api.without_cursor or api.has_unreadable_rows(spec):
        return None

    def read(fetch: paging.Fetch[T]) -> Rows[T]:
        found = paging.read_by_keyset(fetch, query, spec.identify)
        if found is None:
            api.without_cursor.add(spec.resource)
        return Rows() if found is None else found

    try:
        found = api.read_list(spec, read, ordered=False)
    except AnswerError as error:
        if error.status != HTTPStatus.INTERNAL_SERVER_ERROR:
            raise
        api.note_unreadable_rows(spec)
        return None
    return None if spec.resource in api.without_cursor else found
