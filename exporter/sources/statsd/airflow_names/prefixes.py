"""Removes Airflow's `statsd_prefix` from names, and recognises prefixes that are not configured.

A prefix may have several parts (`airflow.production`), and Airflow's settings are not always known. So a name that is
not Airflow's under a known prefix is searched for a name of Airflow after each dot. One such name proves nothing,
because users have names such as `shop.pool.open_slots`. Three different names with the same prefix prove that it is
Airflow's, if one of them is a name that hardly any other program uses.
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
"""Different names of Airflow that prove a prefix."""
MAX_DEPTH = 6
"""Parts of the longest prefix that is recognised."""
MAX_CANDIDATES = 1_000
"""Prefixes that are remembered while they are not proven."""
MAX_PROVEN = 1_000
"""Proven prefixes that are remembered, recognised or not."""
MAX_PREFIXES = 32
"""Prefixes that may be recognised."""
MAX_SHOWN_LENGTH = 80
"""Characters of a prefix in messages."""
DISTINCTIVE = re.compile(r"dag|scheduler|triggerer|operator_|ti[_.]")
"""Part of a name that hardly any other program uses."""


class PrefixVerdict(Enum):
    """What is known about the prefix of a name."""

    NONE = "no name of Airflow follows any dot"
    DOUBTFUL = "too few names of Airflow came with it"
    RECOGNISED = "it is Airflow's"
    FOREIGN = "it is that of another Airflow, because the known prefix is in use"


class PrefixMatch(NamedTuple):
    """A name of Airflow after a prefix that is not configured."""

    verdict: PrefixVerdict
    prefix: str = ""
    """With its dot; empty if there is no prefix."""
    name: str = ""
    """The name without the prefix."""


NOTHING = PrefixMatch(PrefixVerdict.NONE)


class PrefixDetector:
    """Removes prefixes from names and recognises new ones. Its memory is bounded. `revision` grows as it learns."""

    def __init__(self, names: Iterable[str]) -> None:
        self._signs = frozenset(name for name in names if name.partition(".")[0] not in SHARED_FIRST_PARTS)
        self._sign_heads = frozenset(name.partition(".")[0] for name in self._signs)
        self._seen: dict[str, set[str]] = {}
        self._proven: set[str] = set()
        self._known: tuple[str, ...] = ()
        self.ordered: tuple[str, ...] = ()
        """Known and recognised prefixes with their dots, the longest first."""
        self.recognised: list[str] = []
        """Recognised prefixes with their dots, in the order of recognition."""
        self.foreign: list[str] = []
        """Prefixes of other Airflows, whose names are not counted."""
        self.revision = 0

    def set_known(self, known: tuple[str, ...]) -> None:
        """Set the prefixes from Airflow's or the exporter's configuration, with their dots."""
        if known is not self._known:
            self._known = known
            self._order()

    def strip(self, name: str) -> Iterator[tuple[str, str]]:
        """Yield each known or recognised prefix that a name has, with the rest of the name; the longest first."""
        for prefix in self.ordered:
            if name.startswith(prefix):
                yield prefix, name[len(prefix) :]

    def confirm(self, prefix: str, name: str) -> None:
        """Record that a name of Airflow came with a known prefix."""
        if prefix not in self._proven and prefix in self._known and name in self._signs:
            self._note(prefix, name)

    def is_settled(self, prefix: str) -> bool:
        """Whether a prefix is a known one under which enough names came: one more name changes nothing."""
        return prefix in self._proven and prefix in self._known and prefix not in self.recognised

    @property
    def confirmed(self) -> bool:
        """Whether Airflow's names come with a known prefix."""
        return not self._proven.isdisjoint(self._known)

    def search(self, name: str) -> PrefixMatch:
        """Search a name for a name of Airflow after an unknown prefix, and learn from it."""
        if self._sign_heads.isdisjoint(name.split(".")):
            return NOTHING
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
        """The prefixes of other Airflows that a name has, each with the rest of the name."""
        return [(prefix, name[len(prefix) :]) for prefix in self.foreign if name.startswith(prefix)]

    def remarks(self) -> list[str]:
        """What users should know about the prefixes, as sentences."""
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
        """Remember a name that came with a prefix, until enough names prove the prefix."""
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
        """Recognise a proven prefix; if Airflow's names come with a known prefix, it belongs to another Airflow."""
        if prefix in self.recognised or len(self.recognised) + len(self.foreign) >= MAX_PREFIXES:
            return
        self.revision += 1
        if self.confirmed:
            self.foreign.append(prefix)
            log.warning(
                "StatsD: received names of another Airflow with %s; they are not counted", format_prefixes([prefix])
            )
            return
        self.recognised.append(prefix)
        self._order()
        where = format_prefixes([prefix])
        log.warning("StatsD: Airflow's names come with %s, which was recognised automatically; %s", where, advise())

    def _order(self) -> None:
        self.ordered = tuple(sorted({*self._known, *self.recognised}, key=lambda prefix: (-len(prefix), prefix)))


def list_splits_at_dots(name: str) -> Iterator[tuple[str, str]]:
    """Yield each split of a name into prefix and rest at a dot, starting with an empty prefix."""
    start = 0
    for _ in range(MAX_DEPTH + 1):
        yield name[:start], name[start:]
        start = name.find(".", start) + 1
        if not start:
            break


def format_prefixes(prefixes: Iterable[str]) -> str:
    """Prefixes for messages, without the dot at the end."""
    shown = (shorten(prefix.removesuffix(".")) for prefix in prefixes)
    return ", ".join(f"the prefix {prefix}" if prefix else "no prefix" for prefix in shown)


def shorten(prefix: str) -> str:
    """The prefix, cut where it is too long for a message: any sender may invent one."""
    return prefix if len(prefix) <= MAX_SHOWN_LENGTH else f"{prefix[:MAX_SHOWN_LENGTH]}…"


def advise() -> str:
    """What users should do about a recognised prefix."""
    return "set --statsd.prefix to it"


def format_prefix_note(finding: PrefixMatch) -> str:
    """Why a name that contains a name of Airflow does not count as one."""
    if not finding.name:
        return "not counted until it is known whether this is a name of Airflow; set --statsd.prefix to avoid this"
    return (
        f"looks like Airflow's {finding.name} with {format_prefixes([finding.prefix])}: it counts once "
        f"{MIN_PROOF_NAMES} different names of Airflow came with it, or at once with --statsd.prefix"
    )


def join_notes(*notes: str) -> str:
    """The notes that are not empty, as one text."""
    return "; ".join(note for note in notes if note)
