"""`make demo`: a real Airflow with busy DAGs, and the exporter reading it, until Ctrl-C."""

from __future__ import annotations

import fcntl
import math
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType

from demo.airflow import Airflow
from demo.environment import SetupError
from demo.processes import Processes
from demo.progress import CommandError, last_line
from demo.settings import HOST
from demo.statsd import send_statsd
from demo.summary import Samples, failing, fetch, shows, summary
from demo.workdir import free_port

VERSION = "3.3.2"
PORT = 10112
READY_SECONDS = 120.0
REFRESH_SECONDS = 2.0
LOG_SECONDS = 15.0  # between two summaries where they cannot be drawn over each other
EXPORTER = "exporter"


class Stopped(BaseException):
    """The demo was asked to end, by Ctrl-C or SIGTERM."""


def stop_on_signals() -> None:
    """Ctrl-C, `kill` and a closed terminal end the demo in order."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise Stopped

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)


def ignore_signals() -> None:
    """While things are being stopped, a second Ctrl-C must not leave half of them behind."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def say(message: str = "") -> None:
    """The demo's own words go to stdout."""
    print(message, flush=True)


class Screen:
    """A block of lines, drawn over the last one in a terminal and now and then elsewhere."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._lines = 0
        self._told = -LOG_SECONDS

    def show(self, block: dict[str, str]) -> None:
        """Show the newest numbers."""
        if self._terminal:
            up = f"\x1b[{self._lines}F\x1b[J" if self._lines else ""
            say(up + "\n".join(f"  {heading:<12}{text}" for heading, text in block.items()))
            self._lines = len(block)
        elif time.monotonic() - self._told >= LOG_SECONDS:
            self._told = time.monotonic()
            say(f"{time.strftime('%H:%M:%S')}  " + " | ".join(f"{heading}: {text}" for heading, text in block.items()))


class Demo:
    """The Airflow and the exporter of one demo, in one folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._lock = (folder / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SetupError(f"another demo runs in {folder}") from None
        self._airflow = Airflow(VERSION, folder / "airflow", report=say)
        self._processes = Processes(folder / "processes.json", folder)
        self._url = ""
        self._statsd = f"{HOST}:0"

    def start(self) -> None:
        """Start Airflow and the exporter, and print their addresses."""
        began = time.monotonic()
        self._processes.stop([EXPORTER], patience=5)  # of a demo that was killed; it holds the ports
        self._statsd = f"{HOST}:{send_statsd(self._airflow)}"
        self._airflow.up()
        self._start_exporter()
        self._wait_ready()
        say(f"\nRunning, after {time.monotonic() - began:.0f} s:")
        say(f"  Airflow     {self._airflow.url}  (user admin, password in {_short(self._airflow.password_file)})")
        say(f"  Exporter    {self._url}/  {self._url}/diagnosis  {self._url}/sources  {self._url}/metrics")
        say(f"  StatsD      {self._statsd} (UDP, from Airflow to the exporter)")
        say(f"  Logs        {_short(self._folder)}/exporter.log, {_short(self._folder)}/airflow/logs/")
        say("Ctrl-C stops all of it. What the exporter reads (a new counter is 0 at first):\n")

    def _start_exporter(self) -> None:
        port = free_port(PORT)
        self._url = f"http://{HOST}:{port}"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_EXPORTER_")}
        command = [
            *(sys.executable, "-m", "exporter", "serve"),
            f"--airflow.url={self._airflow.url}",
            "--airflow.username=admin",
            f"--airflow.password-file={self._airflow.password_file}",
            "--airflow.interval=10s",
            "--exposition.birth-hold=1s",  # only the demo scrapes, so that values may appear at once
            f"--state.file={self._folder / 'exporter.db'}",
            f"--web.listen-address={HOST}:{port}",
            f"--statsd.listen-udp={self._statsd}",
            "--statsd.listen-tcp=",
        ]
        local = {name: f"{HOST},{os.environ.get(name, '')}".rstrip(",") for name in ("no_proxy", "NO_PROXY")}
        self._processes.start(EXPORTER, command, {**inherited, **local}, Path.cwd())

    def _wait_ready(self) -> None:
        end = time.monotonic() + READY_SECONDS
        while not self.serves_airflow():
            running = self._processes.pid(EXPORTER)
            if not running or time.monotonic() > end:
                log = self._processes.log_of(EXPORTER)
                what = "shows no data of Airflow" if running else "ended"
                raise SetupError(f"the exporter {what}: see {log}\n  {last_line(log.read_text())}")
            time.sleep(0.5)

    def scrape(self) -> Samples | None:
        """What the exporter serves now; None if it does not answer."""
        try:
            return fetch(f"{self._url}/metrics")
        except (OSError, ValueError):
            return None

    def serves_airflow(self) -> bool:
        """Whether the exporter serves data of this Airflow."""
        samples = self.scrape()
        return samples is not None and shows(samples, VERSION)

    def watch(self, seconds: float) -> bool:
        """Show a summary again and again, for so long; answer whether all that it needs was once there together."""
        screen = Screen()
        served = False
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            samples = self.scrape()
            served = served or (samples is not None and shows(samples, VERSION) and not failing(samples))
            screen.show(summary(samples) if samples else {"Exporter": "does not answer"})
            time.sleep(min(REFRESH_SECONDS, max(0.0, end - time.monotonic())))
        return served

    def stop(self) -> None:
        """End what was started; Airflow's running tasks get some seconds."""
        self._processes.stop([EXPORTER], patience=10)
        self._airflow.down()


def _short(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def main() -> int:
    """Run until asked to stop, or for DEMO_SECONDS; then the exit code shows whether data of Airflow was served."""
    seconds = float(os.environ.get("DEMO_SECONDS") or math.inf)
    stop_on_signals()
    demo: Demo | None = None
    code = 1
    try:
        demo = Demo(Path(os.environ.get("DEMO_DIR", ".demo")).resolve())
        demo.start()
        code = 0 if demo.watch(seconds) else 1
    except Stopped:
        code = 0 if seconds == math.inf else 1
    except (SetupError, CommandError) as error:
        say(f"error: {error}")
    finally:
        ignore_signals()
        if demo:
            say("\nStopping; Airflow takes up to half a minute ...")
            demo.stop()
            say("Stopped. The next 'make demo' starts in seconds; 'make clean' removes everything.")
    return code


if __name__ == "__main__":
    sys.exit(main())
