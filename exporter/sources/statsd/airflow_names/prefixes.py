"""Airflow's `statsd_prefix`: the one that is known, and others that the names themselves show.

A prefix may have any number of parts (`airflow.production`), and Airflow's settings are not always known here. So a
name that is not Airflow's under a known prefix is searched for one of Airflow's behind each of its dots. One such name
is no proof, because users have names like `shop.pool.open_slots`. Three different names under one prefix are, if one of
them is a name that hardly any other program has. From then on that prefix is Airflow's.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import NamedTuple

from exporter.sources.statsd.airflow_names.lookup import SHARED_FIRST_PARTS

log = logging.getLogger(__name__)

MIN_PROOF_NAMES = 3
"""How many different names of Airflow prove a prefix."""
MAX_DEPTH = 6
"""Parts of the longest prefix that is searched for."""
MAX_CANDIDATES = 1_000
"""How many prefixes are remembered that are not proven."""
MAX_PROVEN = 1_000
"""How many prefixes are remembered that are proven, whether they are recognised or not."""
MAX_PREFIXES = 32
"""How many prefixes are recognised."""
DISTINCTIVE = re.compile(r"dag|scheduler|triggerer|operator_|ti[_.]")
"""What a name has that hardly any other program would choose."""


class PrefixVerdict(Enum):
    """What is known of the prefix of a name."""

    NONE = "no name of Airflow stands behind any dot"
    DOUBTFUL = "too few names of Airflow came with it"
    RECOGNISED = "it is Airflow's"
    FOREIGN = "it is that of another Airflow, because the known prefix is in use"


class PrefixMatch(NamedTuple):
    """A name of Airflow behind a prefix that is not known."""

    verdict: PrefixVerdict
    prefix: str = ""
    """With its dot; empty where there is no prefix."""
    name: str = ""
    """Airflow's name."""


NOTHING = PrefixMatch(PrefixVerdict.NONE)


class PrefixDetector:
    """Takes prefixes off names, and learns new ones. What it remembers is bounded. `revision` grows as it learns."""

    def __init__(self, names: Iterable[str]) -> None:
        self._signs = frozenset(name for name in names if name.partition(".")[0] not in SHARED_FIRST_PARTS)
        self._seen: dict[str, set[str]] = {}
        self._proven: set[str] = set()
        self._known: tuple[str, ...] = ()
        self._ordered: tuple[str, ...] = ()
        self.recognised: list[str] = []
        """PrefixDetector that were not known, with their dots, in the order in which they were recognised."""
        self.foreign: list[str] = []
        """PrefixDetector of other Airflows, whose names are not counted."""
        self.revision = 0

    def set_known(self, known: tuple[str, ...]) -> None:
        """Set the prefixes that the API or the configuration shows, with their dots."""
        if known is not self._known:
            self._known = known
            self._order()

    def strip(self, name: str) -> Iterator[tuple[str, str]]:
        """Yield each known or recognised prefix that a name has, with the rest of the name; the longest first."""
        for prefix in self._ordered:
            if name.startswith(prefix):
                yield prefix, name[len(prefix) :]

    def confirm(self, prefix: str, name: str) -> None:
        """Note that a name of Airflow came under a prefix that is known."""
        if prefix not in self._proven and prefix in self._known and name in self._signs:
            self._note(prefix, name)

    def is_settled(self, prefix: str) -> bool:
        """Whether a prefix is a known one under which enough names came: one more name changes nothing."""
        return prefix in self._proven and prefix in self._known and prefix not in self.recognised

    @property
    def confirmed(self) -> bool:
        """Whether Airflow's names come under a prefix that is known."""
        return not self._proven.isdisjoint(self._known)

    def search(self, name: str) -> PrefixMatch:
        """Search a name for one of Airflow's behind an unknown prefix, and learn from it."""
        found = next((tail for tail in list_splits_at_dots(name) if tail[1] in self._signs), None)
        if found is None:
            return NOTHING
        prefix, rest = found
        self._note(prefix, rest)
        if prefix in self._proven and prefix not in self.foreign:
            self._accept(prefix)
        if prefix in self.foreign:
            return PrefixMatch(PrefixVerdict.FOREIGN, prefix, rest)
        return PrefixMatch(
            PrefixVerdict.RECOGNISED if prefix in self.recognised else PrefixVerdict.DOUBTFUL, prefix, rest
        )

    def strip_foreign(self, name: str) -> list[tuple[str, str]]:
        """Each prefix of another Airflow that a name has, with the rest of the name."""
        return [(prefix, name[len(prefix) :]) for prefix in self.foreign if name.startswith(prefix)]

    def remarks(self) -> list[str]:
        """What users should know of the prefixes, in sentences."""
        found = []
        if self.recognised:
            found.append(
                f"Airflow's names come with {format_prefixes(self.recognised)}, which was recognised; {advise()}"
            )
        if len(self.recognised) > 1:
            found.append("if these are several Airflows, their counts are mixed: give each an exporter of its own")
        if self.foreign:
            found.append(
                f"names of another Airflow, with {format_prefixes(self.foreign)}, are not counted; if it is the same "
                "Airflow, name all its prefixes in --statsd.prefix, joined by commas"
            )
        return found

    def _note(self, prefix: str, name: str) -> None:
        """Remember a name that came with a prefix, until there are enough of them."""
        if prefix in self._proven:
            return
        if prefix not in self._seen and len(self._seen) >= MAX_CANDIDATES:
            self._seen.clear()
        seen = self._seen.setdefault(prefix, set())
        seen.add(name)
        if len(seen) >= MIN_PROOF_NAMES and any(DISTINCTIVE.search(one) for one in seen):
            del self._seen[prefix]
            if len(self._proven) < MAX_PROVEN:
                self._proven.add(prefix)

    def _accept(self, prefix: str) -> None:
        """A prefix is proven: it is Airflow's, unless Airflow's names come under the one that is known."""
        if prefix in self.recognised or len(self.recognised) + len(self.foreign) >= MAX_PREFIXES:
            return
        self.revision += 1
        if self.confirmed:
            self.foreign.append(prefix)
            log.warning(
                "StatsD: names of another Airflow come with %s; they are not counted", format_prefixes([prefix])
            )
            return
        self.recognised.append(prefix)
        self._order()
        log.warning(
            "StatsD: Airflow's names come with %s, which was recognised; %s", format_prefixes([prefix]), advise()
        )

    def _order(self) -> None:
        self._ordered = tuple(sorted({*self._known, *self.recognised}, key=lambda prefix: (-len(prefix), prefix)))


def list_splits_at_dots(name: str) -> Iterator[tuple[str, str]]:
    """Yield the ways to part a name into a prefix and the rest at a dot, the shortest prefix first: none at all."""
    start = 0
    for _ in range(MAX_DEPTH + 1):
        yield name[:start], name[start:]
        start = name.find(".", start) + 1
        if not start:
            break


def format_prefixes(prefixes: Iterable[str]) -> str:
    """PrefixDetector as users write them: without the dot at the end."""
    return ", ".join(f"the prefix {prefix.removesuffix('.')}" if prefix else "no prefix" for prefix in prefixes)


def advise() -> str:
    return "set --statsd.prefix to it"
