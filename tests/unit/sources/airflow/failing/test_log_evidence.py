"""What the end of a log says: recorded logs of both releases, and forms that they do not have."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from exporter.diagnosis.classify import classify
from exporter.diagnosis.error_classes import CODE
from exporter.diagnosis.evidence import RaisedError
from exporter.sources.airflow.failing.log_evidence import read_evidence

LOGS = Path(__file__).parents[4] / "data" / "logs"
RECORDED = sorted(LOGS.glob("*/*.log"))
FAILED: dict[str, Any] = {"event": "Task failed with exception", "level": "error", "logger": "task"}


def major_of(path: Path) -> int:
    return 3 if path.parent.name.startswith("v2") else 2


def ndjson(*rows: Mapping[str, object]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def error(name: str, text: str = "", filename: str = "", **more: object) -> dict[str, object]:
    frames = [{"filename": filename, "name": "f", "lineno": 1}] if filename else []
    return {"exc_type": name, "exc_value": text, "frames": frames, "exceptions": [], **more}


def log_error(event: str, logger: str, name: str) -> dict[str, Any]:
    return {"event": event, "level": "error", "logger": logger, "error_detail": [error(name)]}


def test_logs_were_recorded_of_both_releases() -> None:
    assert {major_of(path) for path in RECORDED} == {2, 3}


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_recorded_log_has_the_class_that_its_name_begins_with(path: Path) -> None:
    evidence = read_evidence(path.read_text(encoding="utf-8"), major_of(path))
    assert classify(evidence).name == path.stem.split("__")[0]


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: f"{path.parent.name}/{path.stem}")
@pytest.mark.parametrize("kept", [100, 1_000, 3_000, 4_000])
def test_a_log_that_is_cut_off_anywhere_is_read_without_an_error(path: Path, kept: int) -> None:
    read_evidence(path.read_text(encoding="utf-8")[-kept:], major_of(path))
    read_evidence(path.read_text(encoding="utf-8")[:kept], major_of(path))


def test_a_chain_has_the_exception_that_ended_the_try_first_with_the_modules_that_raised() -> None:
    path = LOGS / "v2-3.3.2" / "network__requests_refused.log"
    chain = read_evidence(path.read_text(encoding="utf-8"), 3).chain
    assert [(one.name, one.module) for one in chain[:2]] == [
        ("ConnectionError", "requests.adapters"),
        ("MaxRetryError", "urllib3.util.retry"),
    ]


def test_in_text_the_exception_that_was_raised_last_comes_first_too() -> None:
    path = LOGS / "v1-2.11.2" / "network__wrapped.log"
    chain = read_evidence(path.read_text(encoding="utf-8"), 2).chain
    assert [one.name for one in chain] == ["AirflowException", "ConnectionRefusedError"]


def test_a_reply_in_one_json_object_is_read_as_a_stream_of_lines_is() -> None:
    rows: list[dict[str, Any]] = [{"event": "x", "level": "info"}, {**FAILED, "error_detail": [error("MemoryError")]}]
    whole = json.dumps({"content": rows, "continuation_token": None})
    assert read_evidence(whole, 3).chain == read_evidence(ndjson(*rows), 3).chain == [RaisedError("MemoryError")]
    assert read_evidence(whole[40:], 3).chain == [RaisedError("MemoryError")], "its beginning was cut off"


def test_an_exception_that_the_task_logged_itself_is_not_the_one_that_ended_it() -> None:
    logged = log_error("trying again", "mine", "KeyError")
    callback = log_error("callback failed", "task", "TypeError")
    ended: dict[str, Any] = {**FAILED, "error_detail": [error("OSError", "[Errno 28] No space left on device")]}
    assert read_evidence(ndjson(logged, ended, callback), 3).chain[0].name == "OSError"


def test_what_was_being_handled_is_told_from_a_cause() -> None:
    detail = [error("KeyError"), error("OSError", is_cause=False), error("ValueError", is_cause=True)]
    chain = read_evidence(ndjson({**FAILED, "error_detail": detail}), 3).chain
    assert [one.handled for one in chain] == [False, True, False]


def test_exceptions_of_a_group_follow_it() -> None:
    group = error("ExceptionGroup", "2 errors", exceptions=[[error("ConnectionResetError")], [error("KeyError")]])
    chain = read_evidence(ndjson({**FAILED, "error_detail": [group]}), 3).chain
    assert [one.name for one in chain] == ["ExceptionGroup", "ConnectionResetError", "KeyError"]


def test_the_signal_is_an_exit_code() -> None:
    killed = {"event": "Process terminated by signal.", "level": "critical", "signal": -9, "signal_name": "SIGKILL"}
    assert read_evidence(ndjson(killed), 3).exit_code == -9


@pytest.mark.parametrize("value", [None, "text", True, {"a": 1}, [1]])
def test_fields_of_other_types_are_left_out(value: object) -> None:
    row = {"event": value, "level": value, "error_detail": value, "signal": value, "exit_code": value}
    assert read_evidence(ndjson(row), 3).exit_code is None
    detail = [value, {"exc_type": value, "exc_value": value, "frames": value, "exceptions": value}]
    read_evidence(ndjson({**FAILED, "error_detail": detail}), 3)


def test_the_tuples_of_the_json_of_airflow_2_are_read_as_text() -> None:
    text = (LOGS / "v1-2.11.2" / "database__sqlalchemy.log").read_text(encoding="utf-8")
    quoted = json.dumps({"content": str([("worker", text)]), "continuation_token": "x"})
    escaped = json.loads(quoted)["content"]
    assert read_evidence(escaped, 2).chain[0].name == "OperationalError"


def test_a_traceback_is_found_in_a_log_of_another_format() -> None:
    text = 'INFO something\nTraceback (most recent call last):\n  File "dag.py", line 1, in f\nMemoryError: big\n'
    assert read_evidence(text, 2).chain == [RaisedError("MemoryError", "", "big")]


def test_the_traceback_that_a_command_wrote_is_its_output() -> None:
    lines = ["Traceback (most recent call last):", '  File "x.py", line 1, in <module>', "psycopg.OperationalError: no"]
    rows: list[dict[str, object]] = [{"event": line, "level": "info"} for line in lines]
    failed = {**FAILED, "error_detail": [error("AirflowException", "Bash command failed. non-zero exit code 1.")]}
    evidence = read_evidence(ndjson(*rows, failed), 3)
    assert evidence.output == [RaisedError("OperationalError", "psycopg", "no")]
    assert classify(evidence).name == "database"


def test_a_log_without_a_failure_is_empty_evidence() -> None:
    assert read_evidence(ndjson({"event": "all is well", "level": "info"}), 3).is_empty
    assert read_evidence("", 2).is_empty


def test_a_message_that_begins_with_an_empty_line_is_known_by_its_first_words() -> None:
    event = "\n***** Received SIGSEGV *****\nSIGSEGV (Segmentation Violation) signal\n" + "advice\n" * 30 + "*****"
    evidence = read_evidence(json.dumps({"event": event, "level": "critical"}), 3)
    assert classify(evidence) is CODE
