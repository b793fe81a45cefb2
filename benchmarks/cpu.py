"""CPU time of an Airflow's API server and of the database sessions that serve it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.seed import Activity
from demo.airflow import Airflow
from demo.parts import API_SERVER


@dataclass(frozen=True)
class Spent:
    """CPU seconds."""

    api: float
    database: float
    exporter: float

    def since(self, earlier: Spent) -> Spent:
        """What was spent in between."""
        return Spent(self.api - earlier.api, self.database - earlier.database, self.exporter - earlier.exporter)

    def times(self, factor: float) -> Spent:
        """What is spent in a time that is longer by this factor."""
        return Spent(self.api * factor, self.database * factor, self.exporter * factor)


class Meter:
    """Reads what the processes of one Airflow, and its exporter, have spent so far.

    The session of the activity is left out, and so is what PostgreSQL does for itself.
    """

    def __init__(self, airflow: Airflow, activity: Activity) -> None:
        self.exporter = 0
        """Its process, once it runs."""
        self._api = airflow.processes.pid(API_SERVER) or 0
        data = Path(airflow.folder.state.database_folder) / "data"
        self._postmaster = int((data / "postmaster.pid").read_text().split()[0])
        self._foreign = activity.sessions() | self._background()

    def read(self) -> Spent:
        """CPU seconds since the processes began."""
        return Spent(
            api=measure_tree(self._api),
            database=self._read_database(),
            exporter=measure_tree(self.exporter) if self.exporter else 0.0,
        )

    def _background(self) -> set[int]:
        return {child.pid for child in psutil.Process(self._postmaster).children() if not _serves(child)}

    def _read_database(self) -> float:
        """Sessions that run, and all that ended: parallel workers and connections that were closed."""
        times = psutil.Process(self._postmaster).cpu_times()
        children = psutil.Process(self._postmaster).children()
        running = sum(_own(child) for child in children if child.pid not in self._foreign)
        return times.children_user + times.children_system + running


def measure_tree(pid: int) -> float:
    """CPU seconds of a process and its descendants, those that ended included."""
    return sum(map(_with_ended, _tree(pid)))


def _tree(pid: int) -> Iterable[psutil.Process]:
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def _own(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system)


def _with_ended(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(times.user + times.system + times.children_user + times.children_system)


def _serves(process: psutil.Process) -> bool:
    """PostgreSQL names its background processes; a session is titled with user, database and client."""
    try:
        return "127.0.0.1" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False
