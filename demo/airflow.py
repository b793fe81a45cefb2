"""A real Airflow, 2.10 to 3.3, on this machine: installed, started, stopped, part by part.

Everything lies in one work folder and listens on 127.0.0.1 only. Standard library only.

    python -m demo.airflow up     --version 3.3.2 --workdir DIR [--database sqlite|postgres] [PART ...]
    python -m demo.airflow down   --version 3.3.2 --workdir DIR [PART ...]
    python -m demo.airflow status --version 3.3.2 --workdir DIR
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast, get_args

from demo import environment, preparation
from demo.environment import Executor, SetupError
from demo.parts import API_SERVER, BROKER, has_health, list_parts, make_broker_command
from demo.postgres import Postgres
from demo.preparation import DEMO_POOLS, Pool
from demo.processes import PROC, Processes
from demo.progress import HEARTBEAT_SECONDS, CommandError, Say, run, say
from demo.settings import HOST, USERS, Place, of_celery, settings_of
from demo.workdir import Workdir, free_port

DAGS = Path(__file__).resolve().parent / "dags"
READY_SECONDS = 300.0  # a few on a quiet machine, minutes on a small busy one
PATIENCE = 12.0  # seconds that a part gets to end by itself
Database = Literal["sqlite", "postgres"]
QUERY = """
import json, os, sys
from sqlalchemy import create_engine, text
with create_engine(os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"]).connect() as connection:
    answer = connection.execute(text(sys.stdin.read()))
    print(json.dumps([dict(row._mapping) for row in answer], default=str))
"""


def get_json(url: str, timeout: float = 5) -> dict[str, Any]:
    """The decoded answer; never through a proxy, the address is ours."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=timeout) as reply:
        return cast("dict[str, Any]", json.load(reply))


class Airflow:
    """One Airflow in one work folder; every method may be called again and then does only what is missing."""

    def __init__(  # noqa: PLR0913 - all but two have defaults, and are given by name
        self,
        version: str,
        workdir: Path,
        *,
        database: Database | None = None,
        database_settings: Sequence[str] = (),
        executor: Executor = "LocalExecutor",
        dags: Path = DAGS,
        pools: Mapping[str, Pool] = DEMO_POOLS,
        settings: Mapping[str, str] | None = None,
        port: int = 8080,
        report: Say = say,
    ) -> None:
        if not PROC.exists():
            raise SetupError("this needs Linux: processes are found in /proc")
        self.is_3 = environment.release(version) >= (3,)
        self.database = database or ("sqlite" if self.is_3 and executor == "LocalExecutor" else "postgres")
        if self.database == "sqlite" and not self.is_3:
            raise SetupError("Airflow 2 runs tasks in parallel only on PostgreSQL, not on SQLite")
        self.version = version
        self.executor = executor
        self.settings = dict(settings or {})
        self._database_settings = database_settings
        self.folder = Workdir(workdir)
        self.processes = Processes(self.folder.path / "processes.json", self.folder.logs)
        self.venv = environment.venv_folder(version, self.folder.path, executor)
        self._dags = dags.resolve()
        self._pools = pools
        self._wanted_port = port
        self._report = report

    # ---- what it is ---------------------------------------------------------------------------

    @property
    def parts(self) -> Mapping[str, Sequence[str]]:
        """The parts of this release, each with its command."""
        return list_parts(is_3=self.is_3, executor=self.executor)

    @property
    def password_file(self) -> Path:
        """Holds the password of both users, admin and viewer."""
        return self.folder.password_file

    @property
    def password(self) -> str:
        """The password of both users, admin and viewer."""
        return self.password_file.read_text()

    @property
    def url(self) -> str:
        """The root of the user interface and of the API."""
        return self._place().url

    @property
    def database_url(self) -> str:
        """For SQLAlchemy; it holds the database's password."""
        if self.database == "sqlite":
            return f"sqlite:///{self.folder.home}/airflow.db"
        return self._postgres().url

    def environ(self) -> dict[str, str]:
        """The whole environment that Airflow's processes get, secrets among it."""
        place = self._place()
        celery = of_celery(place, self.folder.state.broker_port) if self.executor == "CeleryExecutor" else {}
        return settings_of(place, os.environ, {**celery, **self.settings})

    def status(self) -> dict[str, Any]:
        """What runs and how to reach it, without secrets."""
        return {
            "version": self.version,
            "url": self.url,
            "users": sorted(USERS),
            "password_file": str(self.password_file),
            "workdir": str(self.folder.path),
            "venv": str(self.venv),
            "database": self.database,
            "processes": {name: self.processes.pid(name) for name in self.processes.names()},
        }

    def _place(self) -> Place:
        return Place(
            version=self.version,
            workdir=self.folder.path,
            venv=self.venv,
            dags=self._dags,
            port=self.folder.state.port,
            database_url=self.database_url,
            keys=self.folder.keys(),
            passwords_file=self.folder.passwords_file,
        )

    def _postgres(self) -> Postgres:
        state = self.folder.state
        if not state.database_folder or not Path(state.database_folder).exists():
            state.database_folder = str(Postgres.make_base(self.folder.path, self.version))
            state.prepared = []
            self.folder.save()
        return Postgres(Path(state.database_folder), state.database_port, self.folder.keys()["database"])

    # ---- start and stop -----------------------------------------------------------------------

    def up(self, *parts: str) -> None:
        """Install, prepare and start these parts (all by default), and wait until they answer."""
        self.install()
        if not any(self.processes.pid(name) for name in self.processes.names()):
            self._choose_ports()
        if self.database == "postgres":
            self._postgres().start(self._database_settings)
        if self.executor == "CeleryExecutor":
            command = make_broker_command(HOST, self.folder.state.broker_port)
            self.processes.start(BROKER, command, os.environ, self.folder.path)
        preparation.prepare(self, self._pools)
        self.start(*parts)

    def install(self) -> None:
        """Make the virtual environment."""
        environment.install(self.version, self.venv, self.folder.logs / "install.log", self._report, self.executor)

    def start(self, *parts: str, wait: bool = True) -> None:
        """Start these parts (all by default) of an Airflow that has been up before."""
        binary = str(self.venv / "bin" / "airflow")
        for part in parts or self.parts:
            self.processes.start(part, [binary, *self.parts[part]], self.environ(), self.folder.path)
        if wait:
            self.wait_ready(*parts)

    def stop(self, *parts: str) -> None:
        """Stop these parts; the others, the database and the ports stay."""
        self.processes.stop(parts, PATIENCE)

    def down(self, *, remove: bool = False) -> None:
        """Stop all that was started here; with `remove` delete the work folder and the database too."""
        self.processes.stop(["scheduler"], PATIENCE)  # first: its running tasks report to the API server
        self.processes.stop(self.processes.names(), PATIENCE)
        for leftover in self.folder.home.glob("*.pid"):
            leftover.unlink()
        data = self.folder.state.database_folder
        if data and Path(data).exists():
            self._postgres().stop()
            if remove:
                shutil.rmtree(data)
        if remove:
            shutil.rmtree(self.folder.path)

    def wait_ready(self, *parts: str, seconds: float = READY_SECONDS) -> None:
        """Wait until these parts (all by default) are healthy by Airflow's own account."""
        wanted = parts or tuple(self.parts)
        began = reported = time.monotonic()
        while not self._healthy(wanted):
            now = time.monotonic()
            dead = [part for part in wanted if not self.processes.pid(part)]
            if dead or now - began > seconds:
                raise SetupError(f"{', '.join(dead) or 'Airflow'} did not come up: see {self.folder.logs}")
            if now - reported >= HEARTBEAT_SECONDS:
                reported = now
                self._report(f"  waiting for Airflow {self.version}: {now - began:.0f} s")
            time.sleep(0.5)

    def _healthy(self, parts: Sequence[str]) -> bool:
        """Without an API server the state is unknown: a part then counts as healthy while it runs."""
        if not self.processes.pid(API_SERVER):
            return all(self.processes.pid(part) for part in parts)
        try:
            health = get_json(self.url + ("/api/v2/monitor/health" if self.is_3 else "/api/v1/health"))
        except (OSError, ValueError):
            return False
        shown = [health.get(part.replace("-", "_")) or {} for part in parts if has_health(part)]
        running = all(self.processes.pid(part) for part in parts)
        return running and all(component.get("status") == "healthy" for component in shown)

    def _choose_ports(self) -> None:
        """The ports of last time if they are free: links that people keep go on working."""
        state = self.folder.state
        state.port = free_port(state.port or self._wanted_port)
        state.broker_port = free_port(state.broker_port)
        if self.database == "postgres" and not (state.database_folder and self._postgres().running()):
            state.database_port = free_port(state.database_port)
        self.folder.save()

    # ---- inside -------------------------------------------------------------------------------

    def cli(self, *words: str) -> None:
        """Run one of Airflow's own commands to its end; a failure raises with the end of what it said."""
        command = [str(self.venv / "bin" / "airflow"), *words]
        log = self.folder.logs / "cli.log"
        run(command, label=f"airflow {' '.join(words[:2])}", log=log, environment=self.environ(), report=self._report)

    def query(self, sql: str) -> list[dict[str, Any]]:
        """The rows that Airflow's database answers, read with Airflow's own driver; what JSON lacks comes as text."""
        command = [str(self.venv / "bin" / "python"), "-c", QUERY]
        done = subprocess.run(command, env=self.environ(), input=sql, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CommandError(f"query failed: {done.stderr[-2000:]}")
        return cast("list[dict[str, Any]]", json.loads(done.stdout))


def _arguments(words: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo.airflow", description="A real Airflow on this machine.")
    parser.add_argument("action", choices=["install", "up", "down", "status"])
    parser.add_argument("parts", nargs="*", help="only these parts, such as api-server (default: all)")
    parser.add_argument("--version", default="3.3.2", help="a release from 2.10 to 3.3")
    parser.add_argument("--workdir", type=Path, required=True, help="everything lies there")
    parser.add_argument("--database", choices=["sqlite", "postgres"], help="default: sqlite for 3.x, else postgres")
    parser.add_argument("--executor", choices=get_args(Executor), default="LocalExecutor")
    parser.add_argument("--dags", type=Path, default=DAGS)
    parser.add_argument("--port", type=int, default=8080, help="of the API server; another one if it is taken")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="an environment variable")
    parser.add_argument("--remove", action="store_true", help="with down: delete the work folder too")
    return parser.parse_intermixed_args(words)


def main(words: Sequence[str] | None = None) -> int:
    """The command line; answers the exit code."""
    given = _arguments(words)
    settings = dict(pair.split("=", 1) for pair in given.set)
    try:
        airflow = Airflow(
            given.version,
            given.workdir,
            database=given.database,
            executor=given.executor,
            dags=given.dags,
            settings=settings,
            port=given.port,
        )
        if given.action == "install":
            airflow.install()
        elif given.action == "up":
            airflow.up(*given.parts)
        elif given.action == "down" and given.parts:
            airflow.stop(*given.parts)
        elif given.action == "down":
            airflow.down(remove=given.remove)
    except (SetupError, CommandError) as error:
        say(f"error: {error}")
        return 1
    if not given.remove:
        print(json.dumps(airflow.status(), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
