"""Processes that ended: what was seen of them must not be counted again where the kernel adds it up.

CPU and disk traffic of a child go to the account of whoever waits for it: its parent or, where that ended first, an
ancestor further up that takes in orphans. Which of them it was is told by whose account grew by so much.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from exporter.sources.host.processes.process import Process

PATIENCE = 2
"""For how many looks at all processes an account may be late: a parent is looked at before its child is missed."""
ROUNDING = 2
"""Ticks by which sums of whole ticks may differ."""


MISSING = -ROUNDING - 1
"""The growth of an account that was not looked at, or of somebody who did nothing at all: it takes in nothing."""


class Departed(NamedTuple):
    """One that ended, the ancestors that it left behind, the nearest first, and for how many looks it is missed."""

    process: Process
    ancestors: tuple[Process, ...]
    age: int = 0


class Departures:
    """Those that nobody's account shows yet."""

    def __init__(self) -> None:
        self._awaited: list[Departed] = []

    def add(self, process: Process, ancestors: Iterable[Process]) -> None:
        """One that has just been missed."""
        self._awaited.append(Departed(process, tuple(ancestors)))

    def find_heirs(self, accounts: Iterable[tuple[Process, int]], *, brief: bool) -> None:
        """Give each to the ancestor that waited for it, by the newest CPU of finished children, as `children_ended`.

        In a brief look not all ancestors are looked at; then nobody is given up.
        """
        if not self._awaited:
            return
        growth = {process: kids - process.kids for process, kids in accounts}
        awaited, self._awaited = self._awaited, []
        for one in awaited:
            amount = one.process.total()
            heir = next((each for each in one.ancestors if amount - growth.get(each, MISSING) <= ROUNDING), None)
            if heir is not None:
                growth[heir] -= amount
                heir.children_ended += (one.process,)
            elif brief or one.age + 1 < PATIENCE:
                self._awaited.append(one if brief else one._replace(age=one.age + 1))
