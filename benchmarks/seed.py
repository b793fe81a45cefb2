"""A real Airflow whose database holds years of work, and goes on working: what poll.py asks.

    python -m benchmarks.seed --version 3.3.2 --task-instances 200000 --workdir .bench/3.3.2-200000

Fills Airflow's own tables by SQL (sql/), which takes seconds to a minute and a half, not days. No scheduler is
needed: `Activity` lets PostgreSQL itself begin and end tries, at the same rate whatever the size of history.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit

from demo.airflow import Airflow
from demo.parts import API_SERVER
from demo.postgres import find_programs

HERE = Path(__file__).resolve().parent
TASKS_A_RUN = 10
RATE = 0.28
"""Runs that end a second; each has ten task instances."""


@dataclass(frozen=True)
class Scale:
    """How much history there is, and how much goes on at once."""

    task_instances: int
    dags: int = 2000
    active_runs: int = 60
    active_tasks: int = 100

    def variables(self) -> dict[str, str]:
        """What the SQL files ask for, as psql's variables."""
        return {
            "runs": str(self.task_instances // TASKS_A_RUN),
            "rate": str(RATE),
            "dags": str(self.dags),
            "active_runs": str(self.active_runs),
            "active_tasks": str(self.active_tasks),
        }


class Database:
    """psql on the database of one Airflow."""

    def __init__(self, airflow: Airflow) -> None:
        parts = urlsplit(airflow.database_url)
        self._program = shutil.which("psql") or str(find_programs() / "psql")
        self._words = ["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1"]
        self._environment = {
            **os.environ,
            "PGHOST": parts.hostname or "",
            "PGPORT": str(parts.port),
            "PGUSER": parts.username or "",
            "PGPASSWORD": unquote(parts.password or ""),
            "PGDATABASE": parts.path.removeprefix("/"),
        }

    def run(self, sql: str, variables: Mapping[str, str] | None = None) -> str:
        """Run a script, its variables replaced; answers unaligned rows."""
        sets = [word for name, value in (variables or {}).items() for word in ("--set", f"{name}={value}")]
        command = [self._program, *self._words, "--no-align", "--tuples-only", *sets, "--file", "-"]
        done = subprocess.run(
            command, env=self._environment, input=sql, capture_output=True, text=True, cwd=HERE, check=False
        )
        if done.returncode:
            raise RuntimeError(f"psql failed: {done.stderr.strip()[-2000:]}")
        return done.stdout.strip()

    def start(self, sql: str, name: str, log: Path) -> subprocess.Popen[bytes]:
        """A psql that goes on until it is ended; `name` tells its session from others."""
        with log.open("wb") as output:
            process = subprocess.Popen(
                [self._program, *self._words],
                env={**self._environment, "PGAPPNAME": name},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=output,
            )
        assert process.stdin
        process.stdin.write(sql.encode())
        process.stdin.close()
        return process


class Activity:
    """What goes on while the bench looks: one tick a second, in a session of its own, until the block is left."""

    NAME = "bench_activity"

    def __init__(self, airflow: Airflow) -> None:
        self._database = Database(airflow)
        self._log = airflow.folder.logs / "activity.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._database.run("SELECT bench_begin()")
        self._process = self._database.start("SELECT bench_tick() \\watch 1\n", self.NAME, self._log)
        while not self.sessions():
            self.check()
            time.sleep(0.1)
        return self

    def sessions(self) -> set[int]:
        """The process of its session: what that spends is none of the exporter's."""
        found = self._database.run(f"SELECT pid FROM pg_stat_activity WHERE application_name = '{self.NAME}'")
        return {int(pid) for pid in found.split()}

    def check(self) -> None:
        """Raise if it stopped: the figures would be those of an idle Airflow."""
        if self._process and self._process.poll() is not None:
            raise RuntimeError(f"the activity stopped: {self._log.read_text().strip()[-2000:]}")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait()


def prepare(
    version: str, scale: Scale, workdir: Path, port: int, environment: Mapping[str, str] | None = None
) -> Airflow:
    """An Airflow of this release whose API server runs over a seeded database; made only where it is missing."""
    settings = {"AIRFLOW__CORE__PARALLELISM": "128", **(environment or {})}
    airflow = Airflow(version, workdir, database="postgres", dags=HERE / "dags", settings=settings, port=port)
    airflow.up(API_SERVER)
    database = Database(airflow)
    if not database.run("SELECT to_regclass('bench_dags')"):
        airflow.cli("dags", "reserialize")
    if not database.run("SELECT to_regclass('bench_size')"):
        fill(airflow, scale)
    return airflow


def fill(airflow: Airflow, scale: Scale) -> None:
    """Write history and the functions that make activity."""
    scripts = [(HERE / "sql" / name).read_text() for name in ("functions.sql", "seed.sql", "activity.sql")]
    Database(airflow).run("\n".join(scripts), {**scale.variables(), "is_3": str(airflow.is_3).lower()})


def main(words: list[str] | None = None) -> int:
    """The command line: seed one Airflow and leave it running, or stop it."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.seed", description="A real Airflow with a long history."
    )
    parser.add_argument("--version", default="3.3.2")
    parser.add_argument("--task-instances", type=int, default=200_000)
    parser.add_argument("--workdir", type=Path, required=True)
    parser.add_argument("--port", type=int, default=8090)
    parser.add_argument("--down", action="store_true", help="stop the one in this work folder")
    given = parser.parse_args(words)
    if given.down:
        Airflow(given.version, given.workdir, database="postgres").down()
        return 0
    airflow = prepare(given.version, Scale(given.task_instances), given.workdir, given.port)
    print(f"{airflow.url}, user admin, password in {airflow.password_file}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
