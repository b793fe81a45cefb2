"""Recognizes processes of Airflow 2.10 to 3.3 by title or command line: pure functions.

Airflow 3 writes the UUID of the try into the title of a task's process, Airflow 2 writes DAG, task and run.
"""

from __future__ import annotations

import re
from ast import literal_eval
from typing import NamedTuple

MAX_ID_LENGTH = 250
"""Airflow's limit for an id, in characters."""
UUID = r"(?P<uuid>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
ESCAPE = r"\\(?:[\\'\"nrt]|x[0-9a-f]{2}|u(?!d[89a-f])[0-9a-f]{4}|U00(?:0[1-9a-f]|10)[0-9a-f]{4})"
QUOTED = rf"(?:'(?:[^'\\\r\n]|{ESCAPE})*'|\"(?:[^\"\\\r\n]|{ESCAPE})*\")"
"""A text as Python shows it. Any user may give a process a title, so what Python would not write is not evaluated."""
COMMAND = re.compile(rf"\['airflow', 'tasks', 'run', (?P<dag>{QUOTED}), (?P<task>{QUOTED}), (?P<run>{QUOTED})")
LOCAL_WORKER = re.compile(rf"airflow worker -- LocalExecutor(?: \[[^\]]*\])?(?:: (?:{UUID}|<idle>|.*))?\Z", re.DOTALL)
WORKLOAD_ID = re.compile(rf'"ti"\s*:\s*\{{[^{{}}]*?"id"\s*:\s*"{UUID}"')
GUNICORN = re.compile(r"(?:\[ready\] )?gunicorn: (?:master|worker) \[airflow-(?P<app>[a-z-]+)\]")
CELERYD = re.compile(r"\[celeryd: \S+:(?P<process>[^\]]+)\](?: -[a-z]+-)?(?: \((?P<arguments>.*))?", re.DOTALL)
PYTHON = re.compile(r"(?:.*/)?(?:python|pypy)[0-9.]*\Z")
OPTIONS_WITH_VALUE = ("-X", "-W", "--check-hash-based-pycs")
"""Options of Python whose value may be the next argument."""
WORKLOAD_MODULES = ("airflow.sdk.execution_time.execute_workload", "airflow.executors.workloads.execute")

TASK_TITLE_PREFIXES = ("airflow worker -", "airflow supervisor:", "airflow task ")
"""Titles that name a task start like this. No command does."""

COMPONENT_BY_COMMAND = {
    ("scheduler",): "scheduler",
    ("dag-processor",): "dag_processor",
    ("triggerer",): "triggerer",
    ("api-server",): "api_server",
    ("webserver",): "web_server",
    ("celery", "worker"): "celery_worker",
    ("celery", "flower"): "flower",
    ("edge", "worker"): "edge_worker",
    ("serve-logs",): "log_server",
    ("tasks", "run"): "task_supervisor",
}
COMPONENT_BY_APP = {"webserver": "web_server", "api-server": "api_server", "internal-api": "api_server"}


class TryIds(NamedTuple):
    """The try in a title: its UUID (Airflow 3) or its ids (Airflow 2)."""

    uuid: str = ""
    dag_id: str = ""
    task_id: str = ""
    run_id: str = ""


class ProcessTitle(NamedTuple):
    """The component, empty for the process of a task itself, and the try that the process works for."""

    component: str
    work: TryIds | None = None


SUPERVISORS = frozenset({"local_worker", "celery_pool", "edge_worker", "task_supervisor"})
"""Components whose children are processes of tasks, or supervise one."""

COMPONENT_TITLES: dict[str, ProcessTitle] = {}
"""Titles without a try, shared by all processes that have them."""


def classify(cmdline: bytes) -> ProcessTitle | None:
    """Recognize a command line; None if it is not Airflow's."""
    title = parse_title(cmdline)
    return COMPONENT_TITLES.setdefault(title.component, title) if title and not title.work else title


def parse_title(cmdline: bytes) -> ProcessTitle | None:
    """As `classify`, with a new object for each call."""
    parts = cmdline.rstrip(b"\0 ").decode(errors="replace").split("\0")
    title = " ".join(parts)
    if title.startswith("airflow "):
        found = classify_airflow_title(title)
        if found or title.startswith(TASK_TITLE_PREFIXES):
            # An incomplete title is being written at this moment.
            return found
    elif "gunicorn: " in title or title.startswith(("[celeryd: ", "[ready] airflow")):
        return classify_server_title(title)
    arguments = parse_arguments(parts)
    return classify_command(arguments) if arguments else None


def classify_airflow_title(title: str) -> ProcessTitle | None:
    """Recognize a title that Airflow sets."""
    if match := LOCAL_WORKER.match(title):
        return ProcessTitle("local_worker", TryIds(match["uuid"]) if match["uuid"] else parse_quoted_command(title))
    if match := re.fullmatch(rf"airflow worker -- {UUID}", title):
        return ProcessTitle("", TryIds(match["uuid"]))
    if match := re.match(rf"airflow supervisor: (?:{UUID})?", title):
        return ProcessTitle("task_supervisor", TryIds(match["uuid"]) if match["uuid"] else None)
    if title.startswith("airflow task supervisor: "):
        return ProcessTitle("task_supervisor", parse_quoted_command(title))
    if title.startswith("airflow task runner: "):
        return ProcessTitle("", parse_runner(title))
    for start, component in (
        ("airflow executor -- LocalExecutor", "local_executor"),
        ("airflow scheduler -- DagFileProcessorManager", "dag_processor"),
        ("airflow scheduler - DagFileProcessor", "dag_file_processor"),
        ("airflow serve-logs", "log_server"),
        ("airflow api_server -- ", "api_server"),
        ("airflow api-server worker", "api_server"),
    ):
        if title.startswith(start):
            return ProcessTitle(component)
    return None


def classify_server_title(title: str) -> ProcessTitle | None:
    """Recognize a title of gunicorn or Celery. It must name Airflow: other applications have such titles too."""
    if match := GUNICORN.match(title):
        return ProcessTitle(COMPONENT_BY_APP.get(match["app"], "other"))
    if title.startswith("[ready] airflow api-server"):
        return ProcessTitle("api_server")
    if match := CELERYD.match(title):
        if match["process"] != "MainProcess":
            # Its parent shows whether this is the pool of an Airflow worker.
            return ProcessTitle("celery_pool")
        if (match["arguments"] or "").startswith("celery worker"):
            return ProcessTitle("celery_worker")
    return None


def parse_arguments(parts: list[str]) -> list[str] | None:
    """Arguments of the command `airflow`, run directly, by Python or as a module; None for other commands."""
    words = parts[0].split(" ") if len(parts) == 1 else parts
    # Scheduler and triggerer of Airflow 2 overwrite their command line with the same text in one piece.
    parts = words if PYTHON.match(words[0]) else parts
    rest = parts
    if PYTHON.match(parts[0]):
        rest = parts[1:]
        while rest and rest[0].startswith("-") and rest[0] not in ("-m", "-c"):
            rest = rest[2:] if rest[0] in OPTIONS_WITH_VALUE else rest[1:]
        if rest[:1] == ["-m"]:
            if rest[1:2] in ([module] for module in WORKLOAD_MODULES):
                return ["workload", *rest[2:]]
            return rest[2:] or [""] if rest[1:2] == ["airflow"] else None
    if rest and rest[0].rpartition("/")[2] == "airflow":
        # A title in one piece, or a command line in several.
        return rest[1:] or [""]
    first, _, more = rest[0].partition(" ") if rest else ("", "", "")
    return more.split() if first.rpartition("/")[2] == "airflow" and len(rest) == 1 and more else None


def classify_command(arguments: list[str]) -> ProcessTitle:
    """Recognize an Airflow command by its arguments."""
    if arguments[0] == "workload":
        match = WORKLOAD_ID.search(" ".join(arguments))
        return ProcessTitle("task_supervisor", TryIds(match["uuid"]) if match else None)
    component = (
        COMPONENT_BY_COMMAND.get(tuple(arguments[:1])) or COMPONENT_BY_COMMAND.get(tuple(arguments[:2])) or "other"
    )
    if component == "task_supervisor":
        ids = [argument for argument in arguments[2:5] if not argument.startswith("-")]
        return ProcessTitle(component, build_ids(*ids) if len(ids) == 3 else None)
    return ProcessTitle(component)


def parse_quoted_command(title: str) -> TryIds | None:
    """The ids in the command `airflow tasks run`, which titles of Airflow 2 contain as a Python list."""
    match = COMMAND.search(title)
    return build_ids(*(str(literal_eval(match[part])) for part in ("dag", "task", "run"))) if match else None


def parse_runner(title: str) -> TryIds | None:
    """The ids in the title `airflow task runner: DAG TASK RUN JOB`."""
    words = title.split(" ")[3:]
    return build_ids(words[0], words[1], " ".join(words[2:])) if len(words) >= 3 else None


def build_ids(dag_id: str, task_id: str, run_id: str) -> TryIds:
    return TryIds("", dag_id[:MAX_ID_LENGTH], task_id[:MAX_ID_LENGTH], run_id[:MAX_ID_LENGTH])
