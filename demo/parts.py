"""What an Airflow consists of: its processes, by release and executor."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence

from demo.environment import Executor, SetupError

API_SERVER = "api-server"
BROKER = "redis"
"""The broker of the CeleryExecutor: it is not a component of Airflow, and is started before them."""
COMMANDS_3 = {
    API_SERVER: ["api-server"],
    "scheduler": ["scheduler", "--skip-serve-logs"],  # its log server would listen on every address
    "dag-processor": ["dag-processor"],
    "triggerer": ["triggerer", "--skip-serve-logs"],
}
COMMANDS_2 = {**COMMANDS_3, API_SERVER: ["webserver"]}
del COMMANDS_2["dag-processor"]
WORKER = {"celery-worker": ["celery", "worker", "--skip-serve-logs"]}


def list_parts(*, is_3: bool, executor: Executor) -> Mapping[str, Sequence[str]]:
    """The parts by name, each with its command; the API server has one name, although Airflow 2 calls it webserver."""
    parts = COMMANDS_3 if is_3 else COMMANDS_2
    return {**parts, **WORKER} if executor == "CeleryExecutor" else parts


def has_health(part: str) -> bool:
    """Whether Airflow's own account of its health names this part."""
    return part != API_SERVER and part not in WORKER


def make_broker_command(host: str, port: int) -> Sequence[str]:
    """The command of a Redis that keeps nothing. Raises SetupError where there is none."""
    program = shutil.which("redis-server")
    if program is None:
        raise SetupError("redis-server was not found, which the CeleryExecutor needs (Debian: apt-get install redis)")
    return [program, "--bind", host, "--port", str(port), "--save", "", "--appendonly", "no"]
