"""The table at the end of a run: what happened how often, what was checked, and what differed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tests.e2e.chaos.watch import Loss, StepBack
from tests.e2e.exactness import comparison
from tests.e2e.exactness.comparison import PER_TRY, Difference, Verdict


class ChaosResult(NamedTuple):
    """What a run did and found."""

    version: str
    minutes: float
    seed: int
    counts: Mapping[str, int]
    tries: Mapping[str, int]
    differences: Sequence[Difference]
    series: int
    scrapes: int
    steps_back: Sequence[StepBack]
    allowed_steps: int
    """Steps back of StatsD's counters that a kill with a full disk explains."""
    loss: Loss
    unaccounted: Mapping[str, float]
    ended: Sequence[int] = ()
    """Exit codes of exporters that ended by themselves."""

    def of(self, *verdicts: Verdict) -> list[Difference]:
        """The cells with these verdicts."""
        return [one for one in self.differences if one.verdict in verdicts]

    def shown_tries(self) -> float:
        """How many tries the exporter counted."""
        return sum(one.shown for one in self.differences if one.cell.family == PER_TRY[0])

    def problems(self) -> list[str]:
        """Every difference that is not allowed."""
        found = [str(one) for one in self.of(Verdict.WRONG)]
        found += [f"the exporter ended by itself with code {code}" for code in self.ended]
        found += [f"stepped back: {one}" for one in self.steps_back]
        if not self.loss.right:
            found.append(f"StatsD: {self.loss}")
        return found

    def rows(self) -> list[tuple[str, str, str, str]]:
        """Event, how often, what was checked, difference."""
        wrong = Counter(one.cell.family for one in self.of(Verdict.WRONG))
        tries = sum(wrong[family] for family in PER_TRY)
        closed = comparison.closed_tries(self.differences)
        others = len(self.differences) - sum(one.cell.family in PER_TRY for one in self.differences)
        rows = [(name, str(times), "all rows below", "") for name, times in sorted(self.counts.items())]
        return [
            *rows,
            (
                "tries that ended",
                str(sum(self.tries.values())),
                "tries, failures and retries of each task against the database",
                f"{tries} wrong, {closed:g} by the closed list",
            ),
            (
                "other counters",
                str(others),
                "states, seconds, waits, runs, buckets against the database",
                f"{wrong.total() - tries} wrong",
            ),
            (
                "scrapes",
                str(self.scrapes),
                f"no step back of {self.series} series",
                f"{len(self.steps_back)} steps back, {self.allowed_steps} after a kill with a full disk",
            ),
            (
                "StatsD lines sent",
                str(self.loss.sent),
                f"none twice; at most {self.loss.allowed} lost, those around kills",
                f"{self.loss.sent - self.loss.counted} lost",
            ),
        ]

    def report(self) -> list[str]:
        """The lines of the report."""
        rows = [("event", "times", "checked", "difference"), *self.rows()]
        widths = [max(len(row[column]) for row in rows) for column in range(4)]
        table = [
            "| " + " | ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)) + " |" for row in rows
        ]
        table.insert(1, "| " + " | ".join("-" * width for width in widths) + " |")
        return [
            f"Airflow {self.version}, {self.minutes:g} minutes, seed {self.seed}",
            f"tries by outcome {dict(self.tries)}, {self.shown_tries():g} shown, unaccounted {dict(self.unaccounted)}",
            "",
            *table,
            "",
            *(f"  {one}" for one in self.of(Verdict.CLOSED, Verdict.EDGE)),
            *(["PROBLEMS", *self.problems()] if self.problems() else ["no problems"]),
        ]
