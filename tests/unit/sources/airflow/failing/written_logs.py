"""Logs of failed tries, written as Airflow 2.11 and 3.3 write them, for tests of their classes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from exporter.diagnosis.classify import classify
from exporter.sources.airflow.failing.log_evidence import read_evidence

PACKAGES = "/opt/airflow/lib/python3.12/site-packages/"
STANDARD = "/usr/local/lib/python3.12/"
IDS: dict[str, Any] = {"dag_id": "orders", "task_id": "load", "run_id": "r", "try_number": 1, "map_index": -1}


class Raised(NamedTuple):
    """One exception of a chain."""

    type: str
    """With its module, as a traceback has it; Airflow 3 logs the last part only."""
    text: str = ""
    file: str = "/opt/airflow/dags/orders.py"
    """Of its last frame; a path without a slash at its beginning is that of an installed package."""
    implicit: bool = False
    """Whether the exception before it was raised while this one was handled, without `from`."""

    @property
    def path(self) -> str:
        """The whole path of the file."""
        if self.file.startswith("/"):
            return self.file
        return (PACKAGES if "/" in self.file else STANDARD) + self.file


class Line(NamedTuple):
    """One message of a log."""

    text: str
    level: str = "info"
    errors: Sequence[Raised] = ()
    """What the task logged with it by `log.exception`."""
    more: dict[str, Any] = {}  # noqa: RUF012 - never changed
    """Further fields in Airflow 3."""
    file: str = "logging_mixin.py"
    """What wrote it in Airflow 2."""


def write_3(lines: Iterable[Line]) -> str:
    """The log in Airflow 3: one object a line."""
    return "".join(json.dumps(_make_row(line)) + "\n" for line in lines)


def _make_row(line: Line) -> dict[str, Any]:
    row = {
        "timestamp": "2026-11-29T11:54:26.4Z",
        "event": line.text,
        "level": line.level,
        **IDS,
        "logger": "task.stdout",
        **line.more,
    }
    if line.errors:
        row["error_detail"] = [_make_detail(error, line.errors[:place]) for place, error in enumerate(line.errors)]
    return row


def _make_detail(error: Raised, before: Sequence[Raised]) -> dict[str, Any]:
    frames = [{"filename": f"{PACKAGES}airflow/sdk/execution_time/task_runner.py", "lineno": 1579, "name": "_run"}]
    return {
        "exc_type": error.type.rpartition(".")[2],
        "exc_value": error.text,
        "exc_notes": [],
        "syntax_error": None,
        "is_cause": bool(before) and not error.implicit,
        "frames": [*frames, {"filename": error.path, "lineno": 90, "name": "load"}],
        "is_group": False,
        "exceptions": [],
    }


def write_2(lines: Iterable[Line]) -> str:
    """The log in Airflow 2: text with headings."""
    return "vm\n INFO - ::group::Log message source details\n" + "".join(map(_make_text, lines))


def _make_text(line: Line) -> str:
    head = f"[2026-11-29T12:01:05.630+0000] {{{line.file}:190}} {line.level.upper()} - {line.text}\n"
    return head + _make_traceback(line.errors)


def _make_traceback(errors: Sequence[Raised]) -> str:
    """The traceback as Airflow's log reader shows it: without empty lines."""
    text = ""
    for place in reversed(range(len(errors))):
        error = errors[place]
        text += "Traceback (most recent call last):\n"
        text += f'  File "{PACKAGES}airflow/models/taskinstance.py", line 776, in _execute_task\n    result = x()\n'
        text += f'  File "{error.path}", line 90, in load\n    do_it()\n'
        text += f"{error.type}: {error.text}\n" if error.text else f"{error.type}\n"
        if place:
            text += (
                "During handling of the above exception, another exception occurred:\n"
                if error.implicit
                else "The above exception was the direct cause of the following exception:\n"
            )
    return text


def own(text: str, level: str = "info", errors: Sequence[Raised] = ()) -> Line:
    """A message of Airflow's own."""
    return Line(text, level, errors, {"logger": "task"}, "taskinstance.py")


def fail(*errors: Raised, before: Sequence[Line] = (), after: Sequence[Line] = ()) -> list[Line]:
    """The log of a try that an exception ended; the one that was raised last comes first."""
    start, end = [own("::group::Pre Execute"), own("::endgroup::")], [own("::group::Post Execute"), own("::endgroup::")]
    return [*start, *before, own("Task failed with exception", "error", errors), *end, *after]


def run_bash(code: int, *output: str, command: str = "./load.sh") -> list[Line]:
    """The log of a BashOperator whose command wrote this and ended with this code."""
    said = [Line("Output:"), *map(Line, output), Line(f"Command exited with return code {code}")]
    text = f"Bash command failed. The command returned a non-zero exit code {code}."
    error = Raised("airflow.exceptions.AirflowException", text, "airflow/providers/standard/operators/bash.py")
    return fail(error, before=[Line(f"Running command: ['/usr/bin/bash', '-c', {command!r}]"), *said])


def classes_of(lines: Sequence[Line]) -> tuple[str, str]:
    """The class of the try in Airflow 2 and in Airflow 3."""
    two = [*lines, Line("Task exited with return code 1")] if any(line.errors for line in lines) else lines
    evidences = read_evidence(write_2(two), 2), read_evidence(write_3(lines), 3)
    first, second = (classify(evidence).name for evidence in evidences)
    return first, second
