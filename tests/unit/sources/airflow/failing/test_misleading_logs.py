"""Logs that mention a cause in passing: what ended the try decides."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.diagnosis.classify import classify
from exporter.sources.airflow.failing.log_evidence import read_evidence
from tests.unit.sources.airflow.failing.written_logs import Line, Raised, classes_of, fail, own, write_2, write_3

KEY = Raised("KeyError", "'customer'")
REFUSED = Raised("ConnectionRefusedError", "[Errno 111] Connection refused", "socket.py")
LOGGED = Line("the API did not answer, trying again", "error", [REFUSED])
TIMED_OUT = Raised("airflow.exceptions.AirflowTaskTimeout", "Timeout, PID: 7")


@pytest.mark.parametrize(
    "line",
    [
        Line("Connection refused"),
        Line("psycopg2.OperationalError: server closed the connection unexpectedly", "warning"),
        Line("Connection refused, retry 1 of 3", "error", more={"logger": "task.stderr"}),
        LOGGED,
        Line("No space left on device", "error"),
        Line("Task killed!", "warning"),
        Line("OOMKilled: the pod before this one", "error"),
        Line("AirflowTaskTimeout is raised after 60 seconds"),
        Line("HTTP 503, retrying", "warning"),
    ],
    ids=lambda line: line.text[:30],
)
def test_what_was_written_before_does_not_decide_beside_the_exception_that_ended_the_try(line: Line) -> None:
    assert classes_of(fail(KEY, before=[line])) == ("code", "code")


@pytest.mark.parametrize(
    "after",
    [
        Line("Failed to send email notification", "error", [REFUSED]),
        Line("error calling listener", "error", [Raised("TimeoutError", "timed out")]),
        Line("Failed to run task callback", "error", [Raised("MemoryError")]),
    ],
    ids=lambda line: line.text,
)
def test_what_fails_after_the_task_does_not_decide(after: Line) -> None:
    assert classes_of(fail(KEY, after=[after])) == ("code", "code")


def test_an_exception_that_the_task_logged_and_got_over_does_not_explain_a_signal() -> None:
    killed_2 = [LOGGED, Line("Task exited with return code -9")]
    killed_3 = [LOGGED, Line("Process terminated by signal.", "critical", more={"signal": -9})]
    assert classify(read_evidence(write_2(killed_2), 2)).name == "killed"
    assert classify(read_evidence(write_3(killed_3), 3)).name == "killed"


def test_an_exception_that_the_task_logged_and_got_over_does_not_explain_a_lost_heartbeat() -> None:
    log = [LOGGED, Line("loaded 10 rows"), Line("Task instance heartbeat timeout: {'DAG Id': 'orders'}", "error")]
    assert classes_of(log)[1] == "killed"
    log[-1] = Line("Detected zombie job: {'full_filepath': '/opt/airflow/dags/orders.py'}", "error")
    assert classify(read_evidence(write_2(log), 2)).name == "killed"


def test_a_task_that_was_ended_by_hand_was_killed_whatever_it_logged() -> None:
    ended: dict[str, Any] = {"signal": -15}
    log_3 = [
        LOGGED,
        Line("Server indicated the task shouldn't be running anymore. Terminating process", "error"),
        Line("Task killed!", "error"),
        Line("Process terminated by signal.", "critical", more=ended),
    ]
    assert classify(read_evidence(write_3(log_3), 3)).name == "killed"
    log_2 = [
        LOGGED,
        Line("State of this instance has been externally set to failed. Terminating instance.", "warning"),
        Line("Sending SIGTERM to group 77. PIDs of all processes in the group: [77]"),
        *fail(Raised("airflow.exceptions.AirflowException", "Task received SIGTERM signal")),
    ]
    assert classify(read_evidence(write_2(log_2), 2)).name == "killed"


def test_a_time_limit_that_ended_a_command_is_a_time_limit_though_the_command_complained() -> None:
    said = [Line("Output:"), Line("waiting: connection refused"), Line("waiting: connection refused")]
    after = [Line("Sending SIGTERM signal to process group")]
    assert classes_of(fail(TIMED_OUT, before=said, after=after)) == ("timeout", "timeout")


def test_an_exit_after_a_logged_exception_is_explained_by_it() -> None:
    log = [Line("cannot load", "error", [REFUSED]), Line("Task exited", "error", more={"exit_code": 1})]
    assert classify(read_evidence(write_3(log), 3)).name == "network"


def test_a_file_that_cannot_be_imported_where_the_task_runs_is_explained_by_its_error() -> None:
    missing = Raised("ModuleNotFoundError", "No module named 'pandas'")
    log = [
        Line("Failed to import: /opt/airflow/dags/orders.py", "error", [missing]),
        Line("Dag not found during start up", "error"),
        Line("Process exited abnormally", "warning", more={"exit_code": 1}),
    ]
    assert classify(read_evidence(write_3(log), 3)).name == "configuration"


def test_a_task_that_is_no_longer_in_its_dag_is_a_matter_of_configuration() -> None:
    for text in ("Dag not found during start up", "Task not found in Dag during start up"):
        log = [Line(text, "error"), Line("Process exited abnormally", "warning", more={"exit_code": 1})]
        assert classify(read_evidence(write_3(log), 3)).name == "configuration"


def test_what_a_program_wrote_to_its_error_stream_explains_its_exit_code() -> None:
    failed = Raised(
        "subprocess.CalledProcessError", "Command './load' returned non-zero exit status 1.", "subprocess.py"
    )
    said = Line("write error: No space left on device", "error", more={"logger": "task.stderr"})
    assert classify(read_evidence(write_3(fail(failed, before=[said])), 3)).name == "disk"


@pytest.mark.parametrize(
    ("ended", "expected"),
    [
        ("{'exit_code': 137, 'reason': 'OOMKilled'}", "memory"),
        ("{'exit_code': 137, 'reason': 'Error'}", "killed"),
        ("{'exit_code': 3, 'reason': 'Error'}", "command"),
    ],
)
def test_a_pods_whole_state_is_looked_at_and_containers_that_ended_well_do_not_count(ended: str, expected: str) -> None:
    spec = "\n".join(f"                      {{'name': 'VARIABLE_{number}', 'value': 'x'}}," for number in range(300))
    others = " 'init_container_statuses': [{'state': {'terminated': {'exit_code': 0, 'reason': 'Completed'}}}],"
    status = f" 'status': {{'state': {{'terminated': {ended}}},\n{others}\n 'phase': 'Failed'}}"
    text = f"Pod load-x7 returned a failure.\nremote_pod: {{'spec': {{\n{spec}}},\n{status}}}"
    error = Raised("airflow.exceptions.AirflowException", text, "airflow/providers/cncf/kubernetes/operators/pod.py")
    assert classes_of(fail(error)) == (expected, expected)


@pytest.mark.parametrize(("ended", "expected"), [({"exit_code": 3}, "command"), ({"signal": -9}, "killed")])
def test_what_failed_while_the_file_was_parsed_does_not_explain_how_the_task_ended(
    ended: dict[str, int], expected: str
) -> None:
    missing = Raised("jinja2.exceptions.TemplateNotFound", "scripts/load.sh", "jinja2/loaders.py")
    parsed = [
        own("::group::Pre Execute"),
        own("DAG bundles loaded: dags-folder"),
        Line("Failed to resolve template field 'bash_command'", "error", [missing]),
        own("::endgroup::"),
    ]
    exited = Line("Task exited" if "exit_code" in ended else "Process terminated by signal", "error", more=ended)
    log = [*parsed, exited, own("::group::Post Execute"), own("::endgroup::")]
    assert classify(read_evidence(write_3(log), 3)).name == expected


def test_an_exit_with_a_text_is_one_with_a_code() -> None:
    exited = [own("::group::Pre Execute"), Line("Task exited", "error", more={"exit_code": "no orders today"})]
    assert classify(read_evidence(write_3([*exited, own("::group::Post Execute")]), 3)).name == "command"
    error = Raised("airflow.exceptions.AirflowException", "Task failed due to SystemExit(no orders today)")
    left = Raised("SystemExit", "no orders today", implicit=True)
    assert classify(read_evidence(write_2(fail(error, left)), 2)).name == "command"


def test_a_log_that_only_warns_says_nothing_of_a_failure() -> None:
    log = [Line("Connection refused, retrying", "warning"), Line("loaded 10 rows"), own("::group::Post Execute")]
    assert classes_of(log) == ("unknown", "unknown")


def test_a_log_that_stops_amid_the_work_is_one_of_a_process_that_was_ended() -> None:
    log = [own("::group::Pre Execute"), LOGGED, Line("No space left on device", "error"), Line("loaded 10 rows")]
    assert classify(read_evidence(write_2(log), 2)).name == "killed"
    assert classify(read_evidence(write_3(log), 3)).name == "killed"


@pytest.mark.parametrize(
    "went_on", ["Rescheduling task, marking task as UP_FOR_RESCHEDULE", "Pausing task as DEFERRED."]
)
def test_a_task_that_went_on_after_it_was_rescheduled_or_deferred_may_be_ended_amid_the_work(went_on: str) -> None:
    first = [own("::group::Pre Execute"), Line("not there yet"), own("::group::Post Execute"), own(went_on)]
    assert classes_of(first) == ("unknown", "unknown")
    assert classes_of([*first, own("::group::Pre Execute"), Line("not there yet")]) == ("killed", "killed")


def test_a_log_of_which_only_the_output_of_a_long_callback_is_kept_does_not_stop_amid_the_work() -> None:
    assert classes_of([Line("callback: sending"), own("::endgroup::")]) == ("unknown", "unknown")
    assert classes_of([Line("loaded 10 rows"), Line("loaded 20 rows")]) == ("killed", "killed")


def test_a_triggered_run_that_failed_ends_the_try_without_an_exception() -> None:
    started = [own("::group::Pre Execute"), own("Dag Run triggered successfully.")]
    assert classes_of([*started, own("DagRun finished with failed state.", "error")]) == ("dependency", "dependency")


def test_what_made_a_trigger_fail_counts_and_not_that_it_failed() -> None:
    refused = Raised(
        "aiohttp.client_exceptions.ClientConnectorError", "Cannot connect to host x", "aiohttp/connector.py"
    )
    failed = Raised("airflow.exceptions.TaskDeferralError", "Trigger failure", "airflow/models/baseoperator.py")
    logged = Line("Trigger failed:", "error", [refused])
    assert classes_of(fail(failed, before=[logged])) == ("network", "network")
    text = '\nTraceback (most recent call last):\n\n  File "/dags/x.py", line 9, in run\n\nKeyError: 1\n\n'
    assert classes_of(fail(failed, before=[Line("Trigger failed:" + text, "error")])) == ("code", "code")
    assert classes_of(fail(failed)) == ("dependency", "dependency")


def test_a_log_that_stops_may_still_get_its_end_whatever_it_has_now() -> None:
    stopped = [own("::group::Pre Execute"), LOGGED]
    assert read_evidence(write_3(stopped), 3).is_empty
    assert not read_evidence(write_3([*stopped, own("::group::Post Execute")]), 3).is_empty


def test_a_log_that_cannot_be_read_line_by_line_says_nothing() -> None:
    assert classify(read_evidence("12:00 INFO loaded 10 rows\n12:01 INFO loaded 20 rows\n", 2)).name == "unknown"
    assert classify(read_evidence("", 3)).name == "unknown"


def test_what_a_program_writes_to_its_error_stream_is_no_error_of_the_task() -> None:
    noise = Line("urllib3: Connection refused, retrying", "error", more={"logger": "task.stderr"})
    log = [noise, Line("loaded 10 rows"), Line("Process terminated by signal.", "critical", more={"signal": -11})]
    assert classify(read_evidence(write_3(log), 3)).name == "code"
