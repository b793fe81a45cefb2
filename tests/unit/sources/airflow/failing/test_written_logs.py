"""The classes of what tasks meet, in logs as both releases of Airflow write them.

The cases are in `tests/data/logs/*.yaml`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.diagnosis.error_classes import NAMES
from tests.unit.sources.airflow.failing.written_logs import Line, Raised, classes_of, fail, run_bash

LOGS = Path(__file__).parents[4] / "data" / "logs"
EXCEPTIONS = yaml.safe_load((LOGS / "exceptions.yaml").read_text(encoding="utf-8"))
COMMANDS = yaml.safe_load((LOGS / "commands.yaml").read_text(encoding="utf-8"))
STACK = "\tat org.apache.spark.scheduler.DAGScheduler.run(DAGScheduler.scala:2844)"


def make_error(row: dict[str, Any]) -> Raised:
    fields = {"type": row["type"], "text": row.get("text", ""), "implicit": row.get("handled", False)}
    return Raised(**fields, **({"file": row["file"]} if "file" in row else {}))


def list_said(row: dict[str, Any]) -> list[str]:
    return [*row.get("said", ()), *[STACK] * row.get("stack", 0)]


def list_exceptions() -> Iterator[object]:
    for expected, cases in EXCEPTIONS.items():
        for name, rows in cases.items():
            yield pytest.param(expected, list(map(make_error, rows)), id=f"{expected}: {name}")


def list_commands() -> Iterator[object]:
    for row in COMMANDS["bash"]:
        said = list_said(row)
        name = f"{row['class']}: {row['code']} {row.get('command', '')} {said[0][:50] if said else ''}"
        yield pytest.param(row["class"], run_bash(row["code"], *said, command=row.get("command", "./load.sh")), id=name)
    for row in COMMANDS["others"]:
        yield pytest.param(
            row["class"], fail(make_error(row["error"]), before=list(map(Line, list_said(row)))), id=row["name"]
        )


def test_each_class_that_logs_can_show_has_cases() -> None:
    assert {*EXCEPTIONS, *(row["class"] for row in COMMANDS["bash"]), "unknown"} == set(NAMES)


@pytest.mark.parametrize(("expected", "errors"), list(list_exceptions()))
def test_an_exception_has_its_class_in_both_releases(expected: str, errors: list[Raised]) -> None:
    assert classes_of(fail(*errors)) == (expected, expected)


@pytest.mark.parametrize(("expected", "lines"), list(list_commands()))
def test_a_command_has_its_class_in_both_releases(expected: str, lines: list[Line]) -> None:
    assert classes_of(lines) == (expected, expected)
