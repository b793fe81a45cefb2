"""The proof of exactness: real Airflows at work and under attack, and every counter held against the database.

    AIRFLOW_VERSIONS="3.3.2 2.11.2" E2E_MINUTES=8 python -m pytest tests/e2e -m e2e -s

Leaves a report for each release in .e2e/ (or $E2E_FOLDER). Needs PostgreSQL's server programs, and for the answers
in PromQL a Prometheus in PATH or $PROMETHEUS_BIN.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.exactness import comparison, events, gauges, limits, promql
from tests.e2e.exactness.arena import PARALLELISM, Arena, calm_down, open_arena, wait_polls
from tests.e2e.exactness.audit import Cell, dump, first_starts
from tests.e2e.exactness.comparison import CLOSED_SHARE, Difference, Verdict
from tests.e2e.exactness.gauges import Check
from tests.e2e.exactness.subject import Exposition

VERSIONS = os.environ.get("AIRFLOW_VERSIONS", "3.3.2 2.11.2").split()
MINUTES = float(os.environ.get("E2E_MINUTES", "8"))
FOLDER = Path(os.environ.get("E2E_FOLDER", ".e2e"))
TOLERANCE = float(os.environ.get("E2E_TOLERANCE", "0"))
"""The share of what is compared that may differ: none, but for short runs on machines that stall."""
FULL_MINUTES = 8.0
"""A shorter run has all that is done to Airflow in fewer tries."""
HEAD_START = min(40.0, MINUTES * 8.0)
"""Seconds of history that the exporter, started afterwards, must not count."""
LATE_SECONDS = 120.0
"""How long after all is at rest something may still be counted: the exporter leaves alone for ever longer what stands
still."""


def say(message: str) -> None:
    """Progress, past pytest's capture."""
    print(message, file=sys.__stderr__, flush=True)


class Findings(NamedTuple):
    """Everything that one run found."""

    version: str
    log: Sequence[events.Event]
    tries: dict[str, int]
    exposition: Exposition
    differences: Sequence[Difference]
    checks: Sequence[Check]
    answers: Sequence[promql.Answer] | None
    late: float
    """After how many seconds of rest everything was counted."""

    @property
    def try_count(self) -> int:
        return sum(self.tries.values())

    def of(self, *verdicts: Verdict) -> list[Difference]:
        return [one for one in self.differences if one.verdict in verdicts]

    def problems(self) -> list[str]:
        """Everything that must not be."""
        found = [str(one) for one in self.of(Verdict.WRONG)]
        found += [f"gauge: {one}" for one in self.checks if not one.right][:50]
        found += [f"PromQL: {one}" for one in self.answers or () if not one.right]
        closed = comparison.closed_tries(self.differences)
        if closed > max(self.try_count * CLOSED_SHARE, 0 if MINUTES >= FULL_MINUTES else 1):
            found.append(f"the closed list has {closed:g} of {self.try_count} tries")
        return found

    @property
    def compared(self) -> int:
        """How many cells, gauges and answers were held against the truth."""
        return len(self.differences) + len(self.checks) + len(self.answers or ())

    def report(self) -> list[str]:
        """What is written and printed."""
        unaccounted = {
            key.label("reason"): value for key, value in self.exposition.items() if "unaccounted" in key.name
        }
        exact = sum(one.least == one.most for one in self.checks)
        asked = "NOT RUN: no Prometheus found" if self.answers is None else f"{len(self.answers)} answers right"
        return [
            f"Airflow {self.version}: {self.try_count} tries {self.tries}",
            *(f"  {event}" for event in self.log),
            "",
            *comparison.table(self.differences),
            "",
            f"closed list: {comparison.closed_tries(self.differences):g} tries; counted as unaccounted: {unaccounted}",
            *(f"  {one}" for one in self.of(Verdict.CLOSED, Verdict.EDGE)),
            f"counted {self.late:.0f} s after two polls at rest, or at once (0)",
            f"gauges: {len(self.checks)} compared, {exact} of them at rest",
            f"PromQL: {asked}",
            "",
            *(["PROBLEMS", *self.problems()] if self.problems() else ["no problems"]),
        ]


@pytest.mark.e2e
@pytest.mark.parametrize("version", VERSIONS)
def test_counters_equal_the_database(version: str) -> None:
    folder = (FOLDER / version).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with open_arena(version, folder, say) as arena:
        findings = run(version, arena, folder)
    report = "\n".join(findings.report())
    (FOLDER / f"report-{version}.txt").write_text(report + "\n", encoding="utf-8")
    say(report)
    problems = findings.problems()
    if problems and len(problems) <= TOLERANCE * findings.compared:
        say(f"TOLERATED: {len(problems)} of {findings.compared} differ, see PROBLEMS above")
        return
    assert not problems


def run(version: str, arena: Arena, folder: Path) -> Findings:
    """Let it work, disturb it, let it rest, compare."""
    subject = arena.stage.subject
    arena.stage.console.pause_all(False)
    say(f"Airflow {version} works; the exporter starts in {HEAD_START:.0f} s and runs {MINUTES:g} minutes")
    time.sleep(HEAD_START)
    began = time.time()
    subject.start()
    subject.wait_ready()
    arena.sampler.start()
    log = events.play(arena.stage, MINUTES * 60, say)
    wait_polls(arena, calm_down(arena.stage.console, arena.stage.database, arena.audit, say))
    arena.sampler.close()
    rest = arena.sampler.take()
    exposition = subject.scrape()
    walks = arena.walks()
    cells = arena.audit.judge(first_starts(arena.stage.proxy.exchanges(), walks), walks, exposition)
    exposition, late = wait_counted(arena, cells, exposition)
    keep(folder, cells, exposition, arena)
    answers = promql.ask(arena.prometheus, exposition, time.time() - began + 10) if arena.prometheus else None
    samples = [*arena.sampler.samples, *([rest] if rest else [])]
    return Findings(
        version,
        log,
        arena.audit.tries(),
        exposition,
        comparison.compare(cells, exposition),
        [*gauges.check(samples, arena.stage.database), *check_limits(arena, exposition)],
        answers,
        late,
    )


def wait_counted(arena: Arena, cells: Sequence[Cell], exposition: Exposition) -> tuple[Exposition, float]:
    """The exposition in which nothing is wrong any more, and after how many seconds it came; else the last one."""
    began = time.monotonic()
    late = 0.0
    while any(one.verdict is Verdict.WRONG for one in comparison.compare(cells, exposition)) and late < LATE_SECONDS:
        time.sleep(5)
        exposition = arena.stage.subject.scrape()
        late = time.monotonic() - began
    return exposition, late


def check_limits(arena: Arena, exposition: Exposition) -> list[Check]:
    """Limits and other quiet states."""
    is_3 = arena.stage.console.is_3
    return limits.check(arena.stage.database, exposition, is_3=is_3, parallelism=PARALLELISM, at=time.time())


def keep(folder: Path, cells: Sequence[Cell], exposition: Exposition, arena: Arena) -> None:
    """What a look at a difference needs."""
    requests = (json.dumps(exchange) for exchange in arena.stage.proxy.exchanges())
    (folder / "requests.jsonl").write_text("\n".join(requests) + "\n", encoding="utf-8")
    (folder / "cells.jsonl").write_text(dump(cells) + "\n", encoding="utf-8")
    wrong = [one.cell for one in comparison.compare(cells, exposition) if one.verdict is Verdict.WRONG]
    changes = [row for cell in wrong for row in arena.audit.changes(cell.labels)]
    (folder / "wrong.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in changes), encoding="utf-8")
    lines = (f"{key.name}{dict(sorted(key.labels))} {value!r}" for key, value in exposition.items())
    (folder / "exposition.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
