"""Reading a list around the rows that Airflow cannot serve.

A row that a release cannot put into its own schema makes it answer HTTP 500 to every page that holds the row. Such a
page is halved until the rows are found. They are left out and reported by their place, the others are read.

Of lists in a stable order it is remembered where such rows are, between which others: as long as their neighbours are
the same, the next walks pass over them without asking, and check now and then whether they can be served again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Generic, NamedTuple, TypeVar

from exporter.sources.airflow.api.decode import Page
from exporter.sources.airflow.api.paging import Identify, Query
from exporter.sources.airflow.http.errors import AnswerError

T = TypeVar("T")

MAX_REQUESTS = 300
"""How many requests of one walk may look for such rows; what is not narrowed down by then is left out as a whole."""
MAX_SECONDS = 10.0
"""The same, in seconds: polls have a deadline."""
RECHECK = 600.0
"""After how many seconds a row that was left out is asked for again, though nothing around it changed."""
EDGE = "an end of the list"
"""In place of a row beside the first and the last one."""
FAR = 1_000_000_000
"""An offset behind the end of every list: a page there holds no row, so its failure is not about one."""

ReadPage = Callable[[Query, bool], Page[T]]
"""Reads one page; repeats the request after a temporary failure if the second argument is true. Raises ReaderError."""


class Gap(NamedTuple):
    """Consecutive rows that Airflow does not serve: their offsets, and the identities of the rows around them.

    An identity is None where it is not known.
    """

    start: int
    end: int
    before: Hashable
    after: Hashable
    check_at: float
    """Monotonic seconds."""

    def __str__(self) -> str:
        rows = f"row {self.start}" if self.end == self.start + 1 else f"rows {self.start} to {self.end - 1}"
        sides = (("after", self.before), ("before", self.after))
        around = [f"{word} {format_identity(one)}" for word, one in sides if one not in (None, EDGE)]
        return " ".join((rows, *around))


def format_identity(identity: Hashable) -> str:
    """An identity, for the log."""
    return " ".join(map(str, identity)) if isinstance(identity, tuple) else str(identity)


@dataclass(slots=True)
class Sheet(Generic[T]):
    """What was read of a list: rows by offset, the offsets of rows that are not served, rows that cannot be decoded."""

    rows: dict[int, T] = field(default_factory=dict)
    unserved: set[int] = field(default_factory=set)
    undecoded: int = 0
    total: int | None = None

    def add(self, offset: int, page: Page[T]) -> int:
        """Take in a page; returns the offset behind it."""
        self.rows.update(enumerate(page.rows, offset))
        self.undecoded += page.lost
        self.total = page.total
        return offset + len(page.rows) + page.lost

    def page(self) -> Page[T]:
        """All of it, in order."""
        rows = [self.rows[offset] for offset in sorted(self.rows)]
        return Page(rows, self.total, lost=len(self.unserved) + self.undecoded)


class ListReader(Generic[T]):
    """Reads the pages of one list for one walk.

    `gaps`, if given, is what earlier walks remembered of it, by offset. If `patient`, a page that fails is asked for
    again before it is halved: most failures pass.
    """

    def __init__(
        self,
        read_page: ReadPage[T],
        identify: Identify[T],
        gaps: dict[int, Gap] | None = None,
        clock: Callable[[], float] = time.monotonic,
        *,
        patient: bool = True,
    ) -> None:
        self.found: list[Gap] = []
        """Gaps of this walk, those that were passed over included."""
        self.reason = ""
        """What Airflow said of the newest of them."""
        self._read_page = read_page
        self._identify = identify
        self._gaps = gaps if gaps is not None else {}
        self._clock = clock
        self._patient = patient
        self._requests = 0
        self._begun = 0.0
        self._last: tuple[int, Hashable] = (0, None)
        """The offset behind the last page, and the identity of the row before that."""

    def read(self, query: Query) -> Page[T]:
        """One page, without the rows that Airflow does not serve: those are in `Page.lost`. Raises ReaderError."""
        if "cursor" in query or "limit" not in query:
            return self._read_page(query, True)
        start = int(str(query.get("offset", 0)))
        end = start + int(str(query["limit"]))
        known = [self._gaps[offset] for offset in sorted(self._gaps) if start <= offset < end]
        page = self._read_around(query, start, end, known) if known else self._read_range(query, start, end)
        behind = start + len(page.rows) + page.lost
        self._last = (behind, self._identify(page.rows[-1]) if page.rows else None)
        return page

    def _read_range(self, query: Query, start: int, end: int) -> Page[T]:
        """A page of which nothing is known."""
        try:
            return self._read_page(query, self._patient)
        except AnswerError as error:
            if error.status != 500:
                raise
            sheet: Sheet[T] = Sheet()
            self._narrow(sheet, query, (start, end), error)
        return self._finish(sheet)

    def _read_around(self, query: Query, start: int, end: int, known: list[Gap]) -> Page[T]:
        """A page with known gaps: what is between them at once, and the gaps themselves where something changed."""
        sheet: Sheet[T] = Sheet()
        # One row more where a gap is the last: its neighbour has to be seen.
        edges = [start, *(edge for gap in known for edge in (gap.start, gap.end)), max(end, known[-1].end + 1)]
        for low, high in zip(edges[::2], edges[1::2], strict=True):
            self._fill(sheet, query, low, high)
        passed = [gap for gap in known if self._is_unchanged(gap, sheet)]
        for gap in known:
            if gap in passed:
                sheet.unserved.update(range(gap.start, gap.end))
            elif sheet.total is None or gap.start < sheet.total:
                self._fill(sheet, query, gap.start, gap.end)
        for gap in known:
            del self._gaps[gap.start]
        return self._finish(sheet, passed)

    def _fill(self, sheet: Sheet[T], query: Query, start: int, end: int) -> None:
        """Read a range, narrowing it down where it fails."""
        try:
            self._take(sheet, query, start, end)
        except AnswerError as error:
            if error.status != 500:
                raise
            self._narrow(sheet, query, (start, end), error)

    def _is_unchanged(self, gap: Gap, sheet: Sheet[T]) -> bool:
        """Whether a gap is surely the one that is known, and not due to be asked for."""
        around = self._neighbours(sheet, gap.start, gap.end)
        is_sure = None not in around and around != (EDGE, EDGE) and around == (gap.before, gap.after)
        return is_sure and self._clock() < gap.check_at

    def _neighbours(self, sheet: Sheet[T], start: int, end: int) -> tuple[Hashable, Hashable]:
        """The identities of the rows around a range."""
        rows = sheet.rows
        behind, last = self._last
        before = self._identify(rows[start - 1]) if start - 1 in rows else last if behind == start else None
        after = self._identify(rows[end]) if end in rows else None
        return (before if start else EDGE, EDGE if end == sheet.total else after)

    def _take(self, sheet: Sheet[T], query: Query, start: int, end: int) -> None:
        """Read a range whole, however short the server cuts its pages. Raises ReaderError."""
        while start < end and (sheet.total is None or start < sheet.total):
            self._requests += 1
            behind = sheet.add(start, self._read_page({**query, "offset": start, "limit": end - start}, False))
            if behind == start:
                return
            start = behind

    def _narrow(self, sheet: Sheet[T], query: Query, span: tuple[int, int], error: AnswerError) -> None:
        """Find the rows of a failing range that make it fail. Raises the error where it is not about rows."""
        start, end = span
        self._begun = self._begun or self._clock()
        sheet.total = self._count(query, error)
        suspects = self._halve(sheet, query, start, min(end, sheet.total), fails=True)
        if not suspects:
            return
        self.reason = error.detail
        for low, high in suspects:
            if high > low + 1 or self._fails(sheet, query, low, high):
                sheet.unserved.update(range(low, high))
        # What failed because the server broke down meanwhile is not lost.
        sheet.total = self._count(query, error)

    def _count(self, query: Query, error: AnswerError) -> int:
        """How many rows the list has, by a page without any. Raises the error where even that fails."""
        self._requests += 1
        try:
            page = self._read_page({**query, "offset": FAR, "limit": 1}, False)
        except AnswerError:
            raise error from None
        if page.total is None:
            raise error
        return page.total

    def _halve(self, sheet: Sheet[T], query: Query, start: int, end: int, *, fails: bool) -> list[tuple[int, int]]:
        """Ranges of a range that fail: single rows, unless there were too many requests. `fails`: it is known to."""
        if start >= end or not (fails or self._fails(sheet, query, start, end)):
            return []
        if end == start + 1 or self._is_exhausted():
            return [(start, end)]
        middle = (start + end) // 2
        left = self._halve(sheet, query, start, middle, fails=False)
        return left + self._halve(sheet, query, middle, end, fails=not left)

    def _fails(self, sheet: Sheet[T], query: Query, start: int, end: int) -> bool:
        """Read a range; whether it holds rows that are not served."""
        try:
            self._take(sheet, query, start, end)
        except AnswerError as error:
            if error.status != 500:
                raise
            return True
        return False

    def _is_exhausted(self) -> bool:
        return self._requests >= MAX_REQUESTS or self._clock() - self._begun >= MAX_SECONDS

    def _finish(self, sheet: Sheet[T], passed: Iterable[Gap] = ()) -> Page[T]:
        """The page, whose gaps are remembered."""
        due = {gap.start: gap.check_at for gap in passed}
        for start, end in join(sheet.unserved):
            before, after = self._neighbours(sheet, start, end)
            gap = Gap(start, end, before, after, due.get(start, self._clock() + RECHECK))
            self._gaps[start] = gap
            self.found.append(gap)
        return sheet.page()


def join(offsets: Iterable[int]) -> list[tuple[int, int]]:
    """Consecutive offsets as ranges."""
    ranges: list[tuple[int, int]] = []
    for offset in sorted(offsets):
        if ranges and ranges[-1][1] == offset:
            ranges[-1] = (ranges[-1][0], offset + 1)
        else:
            ranges.append((offset, offset + 1))
    return ranges
