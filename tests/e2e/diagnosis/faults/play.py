"""Faults are made to happen in a real Airflow, all of a stage at once, and what is said of them is watched."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Thread
from typing import Any

import requests

from tests.e2e.alerts.stage import Stage
from tests.e2e.diagnosis.faults.fault import Fault, Labels, Row, Seen, describe, list_rows
from tests.e2e.exactness.console import Console
from tests.e2e.exactness.database import Database
from tests.e2e.exactness.environment import wait_until

Say = Callable[[str], None]
HURRIED = "tests.e2e.diagnosis.faults.hurried"
"""The exporter with less patience."""
LOOK_SECONDS = 2.0
"""Between two looks at the page and at the alerts."""
OF_WORK = frozenset({"dag", "task", "pool", "executor", "worker"})
"""Components of alerts about work. On a busy machine those about machines and servers may fire for good reason if they
have a thirtieth of their time; `make e2e-alerts` watches a healthy Airflow with what is shipped."""
AT_ONCE = 16
"""Faults that are begun at the same time."""
STATE_SECONDS = 400.0
"""How long a run or a task may take to get where a fault needs it."""
DIAGNOSE_SECONDS = 180.0
TIMEOUT = 20.0


class Play:
    """One Airflow with its exporter and alerts, and what is done to it."""

    def __init__(self, stage: Stage, flags: Sequence[str], say: Say) -> None:
        """`flags` are those with which the exporter reads this Airflow."""
        self.stage = stage
        self.is_3 = stage.console.is_3
        self.database = Database(stage.airflow.database_url)
        self._flags = flags
        self._say = say
        self._session = requests.Session()
        self._session.trust_env = False

    # ---- what a user does ---------------------------------------------------------------------

    def start(self, *dag_ids: str, conf: Mapping[str, Any] | None = None) -> str:
        """Unpause these DAGs and trigger a run of each; the id of the last run."""
        run_id = ""
        with self.open_console() as console:
            for dag_id in dag_ids:
                console.pause(dag_id, False)
                run_id = console.trigger(dag_id, conf)
        return run_id

    def pause(self, dag_id: str, paused: bool = True) -> None:
        """Pause a DAG, or let it run when it is due."""
        with self.open_console() as console:
            console.pause(dag_id, paused)

    def order(self, name: str) -> None:
        """Let DAG files and tasks that know this order misbehave."""
        (self.stage.orders / name).touch()

    def wait_tasks(self, dag_id: str, state: str, count: int = 1) -> None:
        """Wait until that many task instances of a DAG are in this state. Raises TimeoutError."""
        self._wait_rows("task_instance", dag_id, state, count)

    def wait_runs(self, dag_id: str, state: str, count: int = 1) -> None:
        """Wait until that many runs of a DAG are in this state. Raises TimeoutError."""
        self._wait_rows("dag_run", dag_id, state, count)

    def _wait_rows(self, table: str, dag_id: str, state: str, count: int) -> None:
        query = f"select count(*) from {table} where dag_id = '{dag_id}' and state = '{state}'"
        what = f"{count} {table} of {dag_id} {state}"
        wait_until(lambda: self.database.value(query) >= count, STATE_SECONDS, what)

    @contextmanager
    def open_console(self) -> Iterator[Console]:
        """An administrator's access, with its own session: faults are begun by several threads."""
        console = Console(self.stage.airflow)
        try:
            yield console
        finally:
            console.close()

    # ---- what is said of it -------------------------------------------------------------------

    def read_page(self) -> list[Row]:
        """The findings of the page now; none where the exporter does not answer."""
        try:
            reply = self._session.get(
                f"http://{self.stage.exporter.address}/diagnosis",
                headers={"Accept": "application/json"},
                timeout=TIMEOUT,
            )
        except requests.RequestException:
            return []
        return list_rows(reply.json()) if reply.ok else []

    def list_alerts(self) -> list[Labels]:
        """The labels of the alerts that fire now."""
        found = self.stage.prometheus.query('ALERTS{alertstate="firing",alertname!="Watchdog"}')
        return [dict(series.labels) for series in found]

    def diagnose(self) -> tuple[int, str]:
        """Exit code and output of `airflow-exporter diagnose`, which reads this Airflow on its own."""
        command = [sys.executable, "-m", HURRIED, "diagnose", *self._flags]
        done = subprocess.run(command, capture_output=True, text=True, timeout=DIAGNOSE_SECONDS, check=False)
        return done.returncode, done.stdout + done.stderr

    def watch(self, seconds: float) -> tuple[set[str], set[str]]:
        """What the page names beyond normal work, and which alerts about work fire, for so long."""
        named: set[str] = set()
        fired: set[str] = set()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            named |= {describe(row) for row in self.read_page() if row.get("patience") != "normal"}
            fired |= {alert["alertname"] for alert in self.list_alerts() if alert.get("component") in OF_WORK}
            time.sleep(LOOK_SECONDS)
        return named, fired

    def begin_aside(self, tasks: Iterable[Callable[[Play], None]]) -> None:
        """Begin what a later act needs, which does not hold up the others."""
        for task in tasks:
            Thread(target=self._do_aside, args=(task,), daemon=True).start()

    def _do_aside(self, task: Callable[[Play], None]) -> None:
        try:
            task(self)
        except Exception as error:  # noqa: BLE001 - the act that needs it shows that it was not done
            self._say(f"  NOT DONE: {type(error).__name__}: {error}")

    def act(self, faults: Sequence[Fault], seconds: float | None = None) -> list[Seen]:
        """Begin all of these, and watch until each was named or its time is over."""
        seen = [Seen(fault) for fault in faults]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for one in seen:
                pool.submit(self._begin, one)
            while any(self._is_open(one, seconds) for one in seen):
                self._look(seen)
                time.sleep(LOOK_SECONDS)
        return seen

    def _look(self, seen: Sequence[Seen]) -> None:
        page, alerts, now = self.read_page(), self.list_alerts(), time.time()
        for one in seen:
            complete = one.is_complete
            one.look(page, alerts, now)
            if one.is_complete and not complete:
                self._say(f"  named: {one.fault.name}: {one.named_by} {one.alerted_by}")

    def _is_open(self, seen: Seen, seconds: float | None) -> bool:
        if seen.is_complete or seen.failure:
            return False
        return seen.began is None or time.time() - seen.began < (seconds or seen.fault.seconds)

    def _begin(self, seen: Seen) -> None:
        try:
            seen.fault.begin(self)
        except Exception as error:  # noqa: BLE001 - the table says which fault could not be made to happen
            seen.failure = f"{type(error).__name__}: {error}"
            self._say(f"  NOT BEGUN: {seen.fault.name}: {seen.failure}")
        else:
            seen.began = time.time()
            self._say(f"  begun: {seen.fault.name}")
