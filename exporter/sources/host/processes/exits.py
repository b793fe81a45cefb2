"""Processes that ended: what was seen of them must not be counted again where the kernel adds it up.

CPU and disk traffic of a child go to the account of whoever waits for it: its parent or, where that ended first, an
ancestor further up that takes in orphans. Which of them it was is told by whose account grew by so much.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from exporter.sources.host.processes.process import Process

MAX_UNCLAIMED_SCANS = 2
"""For how many looks at all processes an account may be late: a parent is looked at before its child is missed."""
TICK_TOLERANCE = 2
"""Ticks by which sums of whole ticks may differ."""


NOT_SCANNED = -TICK_TOLERANCE - 1
"""The growth of an account that was not looked at, or of somebody who did nothing at all: it takes in nothing."""


class ExitedProcess(NamedTuple):
    """One that ended, the ancestors that it left behind, the nearest first, and for how many looks it is missed."""

    process: Process
    ancestors: tuple[Process, ...]
    age: int = 0


class ExitedProcesses:
    """Those that nobody's account shows yet."""

    def __init__(self) -> None:
        self._pending: list[ExitedProcess] = []

    def add(self, process: Process, ancestors: Iterable[Process]) -> None:
        """One that has just been missed."""
        self._pending.append(ExitedProcess(process, tuple(ancestors)))

    def assign_reapers(self, accounts: Iterable[tuple[Process, int]], *, quick: bool) -> None:
        """Give each to the ancestor that waited for it, by the newest CPU of finished children, as `children_ended`.

        In a quick look not all ancestors are looked at; then nobody is given up.
        """
        if not self._pending:
            return
        growth = {process: children_ticks - process.children_ticks for process, children_ticks in accounts}
        pending, self._pending = self._pending, []
        for one in pending:
            amount = one.process.get_total_ticks()
            reaper = next(
                (each for each in one.ancestors if amount - growth.get(each, NOT_SCANNED) <= TICK_TOLERANCE), None
            )
            if reaper is not None:
                growth[reaper] -= amount
                reaper.children_ended += (one.process,)
            elif quick or one.age + 1 < MAX_UNCLAIMED_SCANS:
                self._pending.append(one if quick else one._replace(age=one.age + 1))
