"""Exited processes: what was already counted of them must not be counted again in their parent.

The kernel adds CPU and disk traffic of an exited process to its reaper, the process that waits for it: its parent or,
if that ended first, the ancestor that adopted it. The reaper is the one whose children's CPU grew by as much.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from exporter.sources.host.processes.process import Process

MAX_UNCLAIMED_SCANS = 2
"""Full scans after which the search for the reaper ends. It may be read before its child is found to have exited."""
TICK_TOLERANCE = 2
"""Ticks by which sums of rounded ticks may differ."""


NOT_SCANNED = -TICK_TOLERANCE - 1
"""Growth of a process that was not read, or was inactive: it is never the reaper."""


class ExitedProcess(NamedTuple):
    """A process, the ancestors that were alive when it exited, nearest first, and the full scans since then."""

    process: Process
    ancestors: tuple[Process, ...]
    age: int = 0


class ExitedProcesses:
    """Exited processes whose reaper is not known yet."""

    def __init__(self) -> None:
        self._pending: list[ExitedProcess] = []

    def add(self, process: Process, ancestors: Iterable[Process]) -> None:
        """Add a process that is found to have exited."""
        self._pending.append(ExitedProcess(process, tuple(ancestors)))

    def assign_reapers(self, accounts: Iterable[tuple[Process, int]], *, quick: bool) -> None:
        """Append each exited process to `children_ended` of its reaper.

        `accounts` are the ticks of finished children of each process that was read. A quick scan does not read all
        ancestors, so it does not age the processes without a reaper.
        """
        if not self._pending:
            return
        growth = {process: ticks - process.children_ticks for process, ticks in accounts}
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


def list_ancestors(
    process: Process, get_parent: Callable[[Process], Process | None], gone: Mapping[int, Process], init: Process | None
) -> Iterator[Process]:
    """Living ancestors, nearest first, then `init`, which adopts orphans. `gone` are processes that just exited."""
    passed = {process}
    one: Process | None = process
    while one is not None:
        one = get_parent(one) or gone.get(one.stat.ppid)
        if one is None or one in passed:
            break
        passed.add(one)
        if gone.get(one.stat.pid) is not one:
            yield one
    if init is not None and init not in passed:
        yield init
