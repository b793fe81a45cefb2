"""Which disturbances a run has, when, and how they are done. The seed decides their order."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import requests

from demo.airflow import Airflow
from demo.environment import SetupError
from demo.parts import API_SERVER
from demo.postgres import Postgres
from demo.processes import family_of, process_table, read_process
from demo.progress import CommandError
from tests.e2e.chaos.disk import Disk
from tests.e2e.exactness import events
from tests.e2e.exactness.database import DatabaseError
from tests.e2e.exactness.events import RunContext
from tests.e2e.exactness.proxy import Faults

ROUND_MINUTES = 7.0
"""Within that many minutes each kind of disturbance takes place once."""
LONG_MINUTES = 10.0
KILLS = 20
"""How often the exporter is killed in a run of LONG_MINUTES or more."""
CALM_SHARE = 0.3
"""The share of a disturbance's time after it in which nothing disturbs, so that polls succeed."""
WRITE_PAUSE = 1.0
MAX_REVIVALS = 5


@dataclass
class Stage:
    """What disturbances act on, and what they have done."""

    context: RunContext
    disk: Disk | None
    counts: Counter[str] = field(default_factory=Counter)
    kills: list[float] = field(default_factory=list)
    full: list[tuple[float, float]] = field(default_factory=list)
    """When the disk was full, from and to."""
    filled_at: float = 0.0
    log: list[tuple[float, str]] = field(default_factory=list)

    def note(self, name: str, details: Sequence[str] = (), times: int = 1) -> None:
        """Record a disturbance."""
        self.counts[name] += times
        self.log.append((time.time(), name + (f": {', '.join(details)}" if details else "")))

    def wait(self, seconds: float) -> None:
        """Wait. While the disk is full, polls that end are noted as unwritten."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.keep_full()
            time.sleep(min(WRITE_PAUSE, left))

    def keep_full(self) -> None:
        """If the disk is full, keep it full, and note that a poll that ends now is not written."""
        if self.filled_at and self.disk:
            self.disk.fill()
            self.context.subject.unwritten.append(time.time())


Window = Callable[[Stage], contextlib.AbstractContextManager[None]]


class Disturbance(NamedTuple):
    """What is disturbed while its context manager is open, and whether a user can work meanwhile."""

    name: str
    window: Window


# ---- the exporter ----------------------------------------------------------------------------------------------------


def kill(stage: Stage) -> None:
    """Kill the exporter and start it again."""
    stage.keep_full()
    stage.context.subject.kill()
    stage.kills.append(stage.context.subject.unwritten[-1])
    stage.note("exporter killed (-9)")
    stage.context.subject.start()


def step_clock(offset: int) -> Window:
    """The exporter's clock is wrong by this many seconds."""

    @contextlib.contextmanager
    def window(stage: Stage) -> Iterator[None]:
        stage.context.subject.set_clock(offset)
        stage.note("exporter's clock stepped", [f"{offset:+d} s"])
        yield
        stage.context.subject.set_clock(0)
        stage.note("exporter's clock stepped", ["back"])

    return window


@contextlib.contextmanager
def fill_disk(stage: Stage) -> Iterator[None]:
    """The disk of the state file is full."""
    if stage.disk is None:
        yield
        return
    stage.filled_at = time.time()
    stage.disk.fill()
    stage.note("disk of the state file full")
    yield
    stage.keep_full()
    stage.disk.clear()
    stage.full.append((stage.filled_at, time.time()))
    stage.filled_at = 0.0


# ---- the network -----------------------------------------------------------------------------------------------------


def disturb(name: str, faults: Faults) -> Window:
    """Some replies are other than Airflow's."""

    @contextlib.contextmanager
    def window(stage: Stage) -> Iterator[None]:
        before = len(stage.context.proxy.exchanges())
        stage.context.proxy.faults = faults
        yield
        stage.context.proxy.faults = Faults()
        made = Counter(one.fault for one in stage.context.proxy.exchanges()[before:] if one.fault)
        stage.note(name, [f"{fault} {number}" for fault, number in sorted(made.items())], times=max(1, made.total()))

    return window


# ---- Airflow ---------------------------------------------------------------------------------------------------------


def signal_api(airflow: Airflow, number: signal.Signals) -> None:
    """Send a signal to every process of the API server."""
    leader = airflow.processes.pid(API_SERVER)
    found = read_process(leader) if leader else None
    for process in family_of(found.pid, found.start, process_table()) if found else []:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, number)


@contextlib.contextmanager
def freeze_api(stage: Stage) -> Iterator[None]:
    """The API server is stopped: it accepts connections, and answers nothing."""
    signal_api(stage.context.airflow, signal.SIGSTOP)
    stage.note("API server frozen (SIGSTOP)")
    yield
    signal_api(stage.context.airflow, signal.SIGCONT)


@contextlib.contextmanager
def stop_api(stage: Stage) -> Iterator[None]:
    """The API server is not there."""
    signal_api(stage.context.airflow, signal.SIGKILL)
    stage.note("API server killed, started again")
    yield
    stage.context.airflow.stop(API_SERVER)
    revive(stage.context.airflow)


@contextlib.contextmanager
def restart_database(stage: Stage) -> Iterator[None]:
    """PostgreSQL is restarted, and then what of Airflow ended because of that."""
    airflow = stage.context.airflow
    state = airflow.folder.state
    server = Postgres(Path(state.database_folder), state.database_port, airflow.folder.keys()["database"])
    server.stop()
    stage.note("PostgreSQL restarted")
    stage.wait(2.0)
    server.start()
    yield
    revive(airflow)


def revive(airflow: Airflow) -> None:
    """Start what of Airflow has ended, and wait until its API answers; a part may take a while to end."""
    for _ in range(MAX_REVIVALS):
        with contextlib.suppress(SetupError):
            airflow.start(wait=False)
            airflow.wait_ready(API_SERVER)
            return


# ---- a user ----------------------------------------------------------------------------------------------------------


def act(stage: Stage, name: str, action: events.Action) -> None:
    """Do what a user does; Airflow may be too busy for it, or may refuse it."""
    try:
        done = action(stage.context) or ()
    except (requests.RequestException, DatabaseError, CommandError) as error:
        stage.note(f"failed: {name}", [str(error)])
        return
    stage.note(name, done, times=len(done))


@contextlib.contextmanager
def use(stage: Stage) -> Iterator[None]:
    """Runs and task instances are cleared, marked and deleted."""
    act(stage, "runs triggered", events.trigger("doomed"))
    act(stage, "task instances cleared", events.clear_finished(6))
    act(stage, "task instances marked by hand", events.mark("failed", "success"))
    yield
    if "doomed" in stage.context.runs:
        act(stage, "runs deleted while they ran", events.delete_running)
    act(stage, "finished runs deleted", events.delete_finished)
    act(stage, "task instances marked by hand", events.mark("success", "failed"))


@contextlib.contextmanager
def clear_running(stage: Stage) -> Iterator[None]:
    """Tasks are cleared while they run, wait for a trigger, or wait for the next poke."""
    act(stage, "runs triggered", events.trigger("interrupted"))
    yield
    running = events.clear("interrupted", "long", "long_without_retries", by_command=True)
    act(stage, "running task instances cleared", running)
    waiting = events.clear("interrupted", "long_deferred", "long_rescheduled")
    act(stage, "waiting task instances cleared", waiting)


# ---- the plan --------------------------------------------------------------------------------------------------------

REPLIES = Faults(failed=0.3, cut=0.1)
AHEAD, BEHIND = Faults(date_offset=+300), Faults(date_offset=-300)
LATE = Faults(held=0.3, delayed=0.1, delay_seconds=3.0)
DISTURBANCES = (
    Disturbance("errors", disturb("replies 500, 503, 429, HTML, halved", REPLIES)),
    Disturbance("late replies", disturb("replies held back or late", LATE)),
    Disturbance("frozen API server", freeze_api),
    Disturbance("killed API server", stop_api),
    Disturbance("database", restart_database),
    Disturbance("clock ahead", step_clock(+100)),
    Disturbance("clock behind", step_clock(-100)),
    Disturbance("Date header ahead", disturb("replies with a Date 5 minutes ahead", AHEAD)),
    Disturbance("Date header behind", disturb("replies with a Date 5 minutes behind", BEHIND)),
    Disturbance("full disk", fill_disk),
    Disturbance("user", use),
    Disturbance("clears", clear_running),
)


class Step(NamedTuple):
    """A disturbance, how long it lasts, how long it is calm afterwards, and how often the exporter is killed in it."""

    disturbance: Disturbance
    seconds: float
    calm: float
    kills: int


def make_plan(minutes: float, seed: int) -> list[Step]:
    """The disturbances of a run of this many minutes."""
    chance = random.Random(seed)
    rounds = max(1, round(minutes / ROUND_MINUTES))
    order = [one for _ in range(rounds) for one in chance.sample(DISTURBANCES, len(DISTURBANCES))]
    kills = KILLS if minutes >= LONG_MINUTES else max(3, round(minutes * 2))
    chosen = [index for index in range(len(order)) for _ in range(-(-kills // len(order)))]
    killed = Counter(chance.sample(chosen, kills))
    seconds = minutes * 60 / len(order)
    return [
        Step(one, seconds * (1 - CALM_SHARE), seconds * CALM_SHARE, killed[index]) for index, one in enumerate(order)
    ]


def play(stage: Stage, steps: Sequence[Step], report: Callable[[str], None]) -> None:
    """Do what the plan says."""
    for number, step in enumerate(steps, start=1):
        report(f"  {time.strftime('%H:%M:%S')} {number} of {len(steps)}: {step.disturbance.name}, {step.kills} kills")
        with step.disturbance.window(stage):
            for _ in range(step.kills):
                stage.wait(step.seconds / (step.kills + 1))
                kill(stage)
            stage.wait(step.seconds / (step.kills + 1))
        stage.wait(step.calm)
