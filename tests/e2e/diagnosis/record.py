"""Ask the scheduler of an installed Airflow what it queues of states of chance, and write down its answers.

python -m tests.e2e.diagnosis.record 3.3.2 --states=150
"""

from __future__ import annotations

import argparse
import json
import lzma
import os
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from demo.environment import venv_folder
from tests.e2e.diagnosis.states import State, make_state

DATA = Path(__file__).parents[2] / "data" / "diagnosis"
JUDGE = Path(__file__).with_name("scheduler.py")


def ask(version: str, states: Sequence[State], workdir: Path) -> list[list[list[Any]]]:
    """For each state, the task instances that the scheduler of that release queues."""
    binaries = venv_folder(version, workdir) / "bin"
    with tempfile.TemporaryDirectory() as home:
        environ = {
            **os.environ,
            "AIRFLOW_HOME": home,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "CRITICAL",
        }
        subprocess.run([binaries / "airflow", "db", "migrate"], env=environ, check=True, capture_output=True)
        done = subprocess.run(
            [binaries / "python", JUDGE],
            env=environ,
            input=json.dumps(states),
            check=True,
            capture_output=True,
            text=True,
        )
    queued: list[list[list[Any]]] = json.loads(done.stdout[done.stdout.index('{"version"') :])["queued"]
    return queued


def main() -> None:
    """Record one release."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version")
    parser.add_argument("--states", type=int, default=150)
    options = parser.parse_args()
    states = [make_state(seed) for seed in range(options.states)]
    queued = ask(options.version, states, Path(".demo"))
    cases = [{"state": state, "queued": rows} for state, rows in zip(states, queued, strict=True)]
    DATA.mkdir(parents=True, exist_ok=True)
    content = json.dumps({"version": options.version, "cases": cases}).encode()
    (DATA / f"scheduler-{options.version}.json.xz").write_bytes(lzma.compress(content))


if __name__ == "__main__":
    main()
