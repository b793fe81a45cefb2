"""Compare what the exporter shows with the expected cells, with a verdict on each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from tests.e2e.exactness.audit import Cell
from tests.e2e.exactness.subject import Exposition, Series

TASK = ("dag_id", "task_id")
DAG = ("dag_id",)
LABELS: Mapping[str, tuple[str, ...]] = {
    "airflow_task_tries_total": TASK,
    "airflow_task_tries_failed_total": TASK,
    "airflow_task_retries_total": TASK,
    "airflow_task_tries_cleared_total": TASK,
    "airflow_task_instances_finished_total": (*TASK, "state"),
    "airflow_task_instances_not_run_total": (*DAG, "state"),
    "airflow_task_run_seconds_total": TASK,
    "airflow_task_failed_seconds_total": TASK,
    "airflow_task_duration_seconds": DAG,
    "airflow_task_queued_duration_seconds": ("queue",),
    "airflow_task_scheduled_duration_seconds": ("pool",),
    "airflow_dag_queued_seconds_total": DAG,
    "airflow_dag_queued_tries_total": DAG,
    "airflow_dag_scheduled_seconds_total": DAG,
    "airflow_dag_scheduled_tries_total": DAG,
    "airflow_task_wait_unobservable_total": ("wait", "reason"),
    "airflow_dag_runs_finished_total": (*DAG, "run_type", "state"),
    "airflow_dag_run_duration_seconds": DAG,
    "airflow_dag_run_schedule_delay_seconds": DAG,
    "airflow_dag_run_since_run_after_seconds": DAG,
}
"""The families that are compared, each with its labels in the order of cells.sql."""

PER_TRY = ("airflow_task_tries_total", "airflow_task_tries_failed_total", "airflow_task_retries_total")
MAX_CLOSED_SHARE = 1 / 1000
ROUNDING = 0.002
"""How many seconds a sum of durations may differ: times come as text with microseconds and are added as floats."""


class Verdict(StrEnum):
    """How a shown value compares with the expected one."""

    EQUAL = "equal"
    EDGE = "edge"
    """Allowed at the very first poll: a row was retried or cleared during it, or marked after it had ended."""
    CLOSED = "closed list"
    """Allowed by the closed list of docs/counting.md."""
    WRONG = "WRONG"


class Difference(NamedTuple):
    """A cell, the value that was shown, and the verdict."""

    cell: Cell
    shown: float
    verdict: Verdict

    @property
    def size(self) -> float:
        """By how much the shown value differs."""
        return abs(self.shown - self.cell.value)

    def __str__(self) -> str:
        cell = self.cell
        why = f" ({', '.join(cell.doubts)}: {cell.least:g} to {cell.most:g})" if cell.doubts else ""
        return f"{self.verdict}: {cell.family}{list(cell.labels)} {cell.part}: {self.shown:g}, true {cell.value:g}{why}"


Shown = dict[tuple[str, tuple[str, ...], str], float]


def shown_cells(exposition: Exposition) -> Shown:
    """The compared series of an exposition by family, labels and part."""
    found: Shown = {}
    for series, value in exposition.items():
        family, part = split(series)
        names = LABELS.get(family)
        if names:
            found[family, tuple(series.label(name) for name in names), part] = value
    return found


def split(series: Series) -> tuple[str, str]:
    """The family of a sample and which part of it the sample is."""
    for suffix, part in (("_sum", "sum"), ("_count", "count"), ("_bucket", "le=")):
        family = series.name.removesuffix(suffix)
        if family != series.name and family in LABELS:
            return family, part + (f"{float(series.label('le')):g}" if suffix == "_bucket" else "")
    return series.name, "value"


def compare(cells: Iterable[Cell], exposition: Exposition) -> list[Difference]:
    """A verdict on every cell that is expected or shown."""
    truth = {(cell.family, cell.labels, cell.part): cell for cell in cells}
    shown = {key: value for key, value in shown_cells(exposition).items() if key[2] != "le=inf"}
    found = []
    for key in sorted({*truth, *shown}):
        cell = truth.get(key) or Cell(*key, 0.0, 0.0, 0.0, ())
        found.append(Difference(cell, shown.get(key, 0.0), judge(cell, shown.get(key, 0.0))))
    return found


def judge(cell: Cell, shown: float) -> Verdict:
    """The verdict on one cell."""
    tolerance = ROUNDING if cell.part == "sum" or "_seconds_total" in cell.family else 0.0
    if abs(shown - cell.value) <= tolerance:
        return Verdict.EQUAL
    if not cell.least - tolerance <= shown <= cell.most + tolerance:
        return Verdict.WRONG
    return Verdict.EDGE if set(cell.doubts) <= {"edge", "history"} else Verdict.CLOSED


def closed_tries(differences: Iterable[Difference]) -> float:
    """How many tries differ because of the closed list: the largest difference of any counter of tries."""
    off: Counter[str] = Counter()
    for difference in differences:
        if difference.verdict is Verdict.CLOSED and difference.cell.family in PER_TRY:
            off[difference.cell.family] += round(difference.size)
    return max(off.values(), default=0)


def table(differences: Sequence[Difference]) -> list[str]:
    """For each family the number of cells by verdict."""
    lines = [f"{'family':48} {'cells':>7} " + " ".join(f"{verdict:>11}" for verdict in Verdict)]
    families = list(dict.fromkeys(difference.cell.family for difference in differences))
    for family in [*families, "all"]:
        counts = Counter(one.verdict for one in differences if family in (one.cell.family, "all"))
        numbers = " ".join(f"{counts[verdict]:>11}" for verdict in Verdict)
        lines.append(f"{family:48} {counts.total():>7} {numbers}")
    return lines
