"""Pagination: lists of many pages, read completely or not at all.

A `fetch` reads one page of a query. While a list is read its rows may move, so that paging by offset returns a row
twice or misses it. Each function says for which lists it is meant.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from datetime import UTC, datetime
from math import ceil
from typing import Generic, NamedTuple, TypeVar

from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.api.decode import Page
from exporter.sources.airflow.http.transport import Value

log = logging.getLogger(__name__)

T = TypeVar("T")
Query = Mapping[str, Value]
Fetch = Callable[[Query], Page[T]]
Identify = Callable[[T], Hashable]

PAGE_SIZE = 100
"""Rows to ask for: Airflow's default maximum."""
MIN_SLICE = 0.001
"""Seconds; a slice of this width is not split any further."""
TARGET_FILL = 0.7
"""How full the pages of a split are meant to be: times of change are not spread evenly."""
PAGE_SIZES = (100, 83, 97, 61, 89, 71, 100, 53)
"""Page sizes of walks by offset over rows in no order, one after the other until all that the server counts is found.

They differ because a database may leave out the same row each time at the same edge of a page."""
MAX_PAGES = 2_000
MAX_SLICES = 64


class Rows(list[T]):
    """The rows of a list.

    `lost` is how many of it could not be read, `complete` says whether these are all that there are.
    """

    def __init__(self, rows: Iterable[T] = (), lost: int = 0, *, complete: bool = True) -> None:
        super().__init__(rows)
        self.lost = lost
        self.complete = complete and not lost


class OffsetWalk(NamedTuple, Generic[T]):
    """What one walk by offset found: distinct rows, how many could not be read, and how many the server counts."""

    rows: dict[Hashable, T]
    lost: int
    total: int
    shrank: bool = False
    """Whether the server counted fewer on a later page: behind a row that went, another one was passed over."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing but what could not be read."""
        return len(self.rows) + self.lost >= self.total


class TimeRange(NamedTuple):
    """A span of time in Unix seconds on the server's clock, both ends included; `until` None is open."""

    since: float
    until: float | None = None

    def query(self) -> dict[str, Value]:
        """The filter by `updated_at` that the window stands for."""
        upper = {} if self.until is None else {"updated_at_lte": to_datetime(self.until)}
        return {"updated_at_gte": to_datetime(self.since), **upper}

    def split(self, parts: int, now: float) -> list[TimeRange]:
        """Windows of equal width that touch each other; the last stays open if this one is."""
        end = now if self.until is None else self.until
        edges = [self.since + (end - self.since) * number / parts for number in range(parts)]
        return [TimeRange(low, high) for low, high in zip(edges, [*edges[1:], self.until], strict=True)]


def to_datetime(seconds: float) -> datetime:
    """A time as the API takes it."""
    return datetime.fromtimestamp(seconds, UTC)


def read_by_keyset(fetch: Fetch[T], query: Query, identify: Identify[T]) -> Rows[T] | None:
    """Walk by cursor in the order of ids: misses no row that stays. None where the server knows no cursors.

    A row whose id changes meanwhile may come twice: its newer state wins.
    """
    rows: dict[Hashable, T] = {}
    lost = 0
    cursor, seen = "", set[str]()
    while cursor not in seen:
        seen.add(cursor)
        page = fetch({**query, "cursor": cursor, "order_by": ["id"], "limit": PAGE_SIZE})
        if not page.keyset:
            return None
        rows.update((identify(row), row) for row in page.rows)
        lost += page.lost
        if page.cursor is None:
            return Rows(rows.values(), lost)
        cursor = page.cursor
        yield_gil()
    raise ReaderError("bad_reply", "the walk by cursor goes in circles: does a proxy before Airflow cache replies?")


def read_by_offset(fetch: Fetch[T], query: Query, identify: Identify[T], *, shrinks: bool = True) -> Rows[T]:
    """Walk by offset: for lists that hardly change, and for those of which a row may be missed once.

    As many distinct rows must come as the server counts; else everything is walked once more. What comes is one whole
    walk, so that nothing is in it which changed between two; if neither is whole, all that both found.

    A list that `shrinks` all the time, as that of active tasks, need not stay as long as it is while it is walked.
    """
    rows: dict[Hashable, T] = {}
    lost = 0
    for limit in PAGE_SIZES[:2]:
        found = read_pages_once(fetch, query, identify, limit)
        if found.is_whole and (shrinks or not found.shrank):
            return Rows(found.rows.values(), found.lost)
        rows.update(found.rows)
        lost = found.lost
    return Rows(rows.values(), lost, complete=False)


def read_until_complete(fetch: Fetch[T], query: Query, identify: Identify[T]) -> Rows[T]:
    """Walk by offset, again and again until as many distinct rows came as the server counts: for rows in no order."""
    rows: dict[Hashable, T] = {}
    found = OffsetWalk[T]({}, 0, 0)
    for limit in PAGE_SIZES:
        found = read_pages_once(fetch, query, identify, limit)
        rows.update(found.rows)
        if len(rows) + found.lost >= found.total:
            return Rows(rows.values(), found.lost)
    log.warning("only %d of %d rows of a list in no order were found", len(rows), found.total - found.lost)
    return Rows(rows.values(), found.lost, complete=False)


def read_pages_once(fetch: Fetch[T], query: Query, identify: Identify[T], limit: int) -> OffsetWalk[T]:
    """What one walk by offset finds. Raises ReaderError."""
    rows: dict[Hashable, T] = {}
    offset = lost = highest = 0
    for _ in range(MAX_PAGES):
        page = fetch({**query, "limit": limit, **({"offset": offset} if offset else {})})
        rows.update((identify(row), row) for row in page.rows)
        lost += page.lost
        offset += len(page.rows) + page.lost
        highest = max(highest, page.total or 0)
        if is_last(page, offset, limit):
            return OffsetWalk(rows, lost, page.total or 0, (page.total or 0) < highest)
        yield_gil()
    raise ReaderError("bad_reply", f"a list has no end after {MAX_PAGES} pages")


def read_one_page(fetch: Fetch[T], query: Query | None = None) -> Rows[T]:
    """One page; not complete if others follow it."""
    page = fetch(query or {})
    return Rows(page.rows, page.lost, complete=(page.total or 0) <= len(page.rows) + page.lost)


def is_last(page: Page[T], offset: int, limit: int) -> bool:
    """Whether nothing follows a page that ends at this offset, however short the server cuts its pages."""
    read = len(page.rows) + page.lost
    return read == 0 or (read < limit if page.total is None else offset >= page.total)


def read_by_time(
    fetch: Fetch[T], query: Query, window: TimeRange, identify: Identify[T], clock: Callable[[], float]
) -> Rows[T]:
    """Walk windows of `updated_at`, split until each fits one page: complete whatever the order of the rows.

    A row that is touched meanwhile moves to the last window, which is read last and stays open if `window`
    is. `clock` is the server's, asked only where an open window must be split.
    """
    rows: dict[Hashable, T] = {}
    lost = 0
    pending = [window]
    now: float | None = None
    while pending:
        part = pending.pop()
        page = fetch({**query, **part.query(), "limit": PAGE_SIZE})
        if fits(page):
            rows.update((identify(row), row) for row in page.rows)
            lost += page.lost
            continue
        if part.until is None and now is None:
            now = clock()
        parts = split(part, page, now or 0.0)
        if parts:
            pending.extend(reversed(parts))
        else:
            found = read_until_complete(fetch, {**query, **part.query()}, identify)
            rows.update((identify(row), row) for row in found)
            lost += found.lost
        yield_gil()
    return Rows(rows.values(), lost)


def split(window: TimeRange, page: Page[T], now: float) -> list[TimeRange]:
    """Narrower windows in place of one that overflowed; none where it cannot be split."""
    end = now if window.until is None else window.until
    if end - window.since <= MIN_SLICE:
        return []
    capacity = max(1, len(page.rows) + page.lost)
    wanted = ceil((page.total or 2 * capacity) / (capacity * TARGET_FILL))
    return window.split(min(max(2, wanted), MAX_SLICES), now)


def fits(page: Page[T]) -> bool:
    """Whether a page surely holds every row of its window: a full one may have been cut."""
    read = len(page.rows) + page.lost
    return read < PAGE_SIZE and (page.total is None or page.total <= read)


def yield_gil() -> None:
    """Let other threads run: decoding a page holds the interpreter."""
    time.sleep(0)
