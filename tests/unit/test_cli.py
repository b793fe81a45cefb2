"""The commands as users and scripts meet them: what is printed where, and how each ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import bcrypt
import pytest
from click.testing import CliRunner, Result

import exporter
from exporter import __version__
from exporter.cli import main
from exporter.config.flags import TOPICS
from exporter.config.options import OPTIONS
from exporter.metrics.catalogue.families import FAMILIES

HEAVY = ("pydantic", "requests", "prometheus_client", "airflow_client", "yaml")


def invoke(*arguments: str, stdin: str | None = None, **environment: str) -> Result:
    return CliRunner().invoke(main, arguments, input=stdin, env=environment)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, without variables of ours."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_EXPORTER_")}
    command = [sys.executable, "-m", "exporter", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=clean, timeout=120, check=False)


@pytest.fixture
def status() -> list[int]:
    """What the stand-in for a running exporter answers with."""
    return [200]


@pytest.fixture
def address(status: list[int]) -> Iterator[str]:
    """Where a stand-in for a running exporter listens."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status[0] if self.path == "/-/healthy" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_version_is_told() -> None:
    assert invoke("--version").output.startswith(f"airflow-exporter {__version__} (revision unknown, Python 3.")


def test_help_lists_the_commands() -> None:
    output = invoke("--help").output
    assert [
        name for name in ("serve", "check", "once", "metrics", "probe", "hash-password") if name not in output
    ] == []


def test_runbooks_are_listed_printed_and_copied(tmp_path: Path) -> None:
    names = invoke("runbooks").stdout.split()
    assert "AirflowDagLate" in names
    assert invoke("runbooks", "AirflowDagLate").stdout.startswith("# AirflowDagLate\n")
    assert invoke("runbooks", "--output", str(tmp_path / "copy")).stdout.startswith(f"{len(names)} runbooks written to")
    assert (tmp_path / "copy" / "index.html").is_file()


def test_a_runbook_that_is_not_there_and_a_folder_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    unknown = invoke("runbooks", "AirflowNothing")
    assert (unknown.exit_code, unknown.stderr.count("AirflowNothing")) == (1, 1)
    (tmp_path / "file").write_text("")
    refused = invoke("runbooks", "--output", str(tmp_path / "file" / "copy"))
    assert refused.exit_code == 1
    assert str(tmp_path / "file") in refused.stderr


def test_options_without_a_command_are_those_of_serve() -> None:
    assert invoke("--airflow.interval=soon").stderr == invoke("serve", "--airflow.interval=soon").stderr != ""


def test_help_of_serve_names_every_flag_and_variable() -> None:
    output = "".join(CliRunner().invoke(main, ["serve", "--help"], terminal_width=300).output.split())
    assert [option.key for option in OPTIONS if option.flag not in output] == []
    assert [option.key for option in OPTIONS if option.flag and option.variable not in output] == []


HELP = {
    "check": (("--airflow.url", "--offline", "--web.config.file"), ("--web.listen-address", "--log.level")),
    "once": (("--airflow.url", "--host.machine"), ("--statsd.prefix", "--web.config.file", "--state.file")),
    "probe": (("--web.listen-address", "--config.file"), ("--airflow.url", "--web.config.file", "--statsd.prefix")),
    "explain": (("--statsd.prefix", "--with-api", "--airflow.url"), ("--host.machine", "--web.listen-address")),
}


@pytest.mark.parametrize("command", HELP)
def test_help_has_the_flags_that_matter_to_a_command(command: str) -> None:
    output = CliRunner().invoke(main, [command, "--help"], terminal_width=300).output
    shown, hidden = HELP[command]
    assert [flag for flag in shown if flag not in output] == []
    assert [flag for flag in hidden if f"{flag} " in output] == []
    assert "All other flags of `serve` are accepted" in output


def test_help_is_grouped_by_topic() -> None:
    output = CliRunner().invoke(main, ["serve", "--help"]).output
    headings = [line for line in output.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert headings[:3] == ["Options:", "Configuration file:", "Collectors:"]
    assert set(headings) == {"Options:", *(f"{topic}:" for topic in TOPICS.values())}


@pytest.mark.parametrize("command", ["check", "once", "probe", "explain"])
def test_every_command_takes_every_flag(command: str) -> None:
    assert invoke(command, "--statsd.prefix=x", "--web.listen-address=127.0.0.1:1", "--nope").exit_code == 2
    assert "--nope" in invoke(command, "--statsd.prefix=x", "--host.interval=5s", "--nope").stderr


def test_the_package_is_typed() -> None:
    assert (Path(exporter.__file__).parent / "py.typed").is_file()


def test_a_command_that_does_not_exist_is_an_error_of_usage() -> None:
    assert invoke("server").exit_code == 2


@pytest.mark.parametrize("command", ["serve", "check", "once"])
def test_a_wrong_configuration_ends_with_1_and_every_error_on_stderr(command: str) -> None:
    result = invoke(command, "--airflow.interval=soon", "--log.level=loud", AIRFLOW_EXPORTER_AIRFLOW_TIMEOUT="late")
    assert [line.partition(":")[0] for line in result.stderr.splitlines()] == [
        "AIRFLOW_EXPORTER_AIRFLOW_TIMEOUT",
        "--airflow.interval",
        "--log.level",
    ]
    assert (result.exit_code, result.stdout) == (1, "")


def test_a_process_that_cannot_start_shows_no_traceback() -> None:
    result = run("--airflow.interval=soon")
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr


def test_an_address_that_is_taken_is_said_without_a_traceback(address: str) -> None:
    result = run("--no-collector.airflow", f"--web.listen-address={address}")
    assert result.returncode == 1
    assert "the port is in use" in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr


def test_metrics_as_json_has_all_that_is_declared() -> None:
    listed = json.loads(invoke("metrics", "--format=json").output)
    assert [entry["name"] for entry in listed] == [family.name for family in FAMILIES]
    assert {frozenset(entry) for entry in listed} == {
        frozenset(
            [
                "name",
                "kind",
                "help",
                "labels",
                "source",
                "reader",
                "origin",
                "since",
                "buckets",
                "cap",
                "cardinality",
                "closed",
                "audience",
            ]
        )
    }


def test_metrics_as_a_table_has_a_line_for_each() -> None:
    lines = invoke("metrics").output.splitlines()
    assert [line.split()[0] for line in lines] == ["name", *(family.name for family in FAMILIES)]


def test_metrics_as_markdown_has_a_row_for_each() -> None:
    rows = [line for line in invoke("metrics", "--format=markdown").output.splitlines() if line.startswith("| `")]
    assert sorted(row.split("`")[1] for row in rows) == sorted(family.name for family in FAMILIES)
    assert {row.replace("\\|", "").count("|") for row in rows} == {10}


@pytest.mark.parametrize(("answer", "code"), [(200, 0), (401, 0), (404, 1), (500, 1)])
def test_the_probe_takes_a_healthy_answer_or_the_question_for_a_password(
    address: str, status: list[int], answer: int, code: int
) -> None:
    status[0] = answer
    assert invoke("probe", f"--web.listen-address={address}").exit_code == code


def test_the_probe_reads_the_address_from_the_environment(address: str) -> None:
    assert invoke("probe", AIRFLOW_EXPORTER_WEB_LISTEN_ADDRESS=address).exit_code == 0


def test_the_probe_reaches_a_server_that_listens_everywhere(address: str) -> None:
    port = address.rpartition(":")[2]
    assert invoke("probe", f"--web.listen-address=:{port}").exit_code == 0


def test_the_probe_says_when_nothing_listens(address: str, status: list[int]) -> None:
    result = invoke("probe", "--web.listen-address=127.0.0.1:1")
    assert (result.exit_code, result.stderr) == (
        1,
        "127.0.0.1:1: connection refused; the exporter does not run, or listens on another address\n",
    )


def test_a_password_from_a_pipe_is_hashed_for_the_web_configuration() -> None:
    hashed = invoke("hash-password", stdin="correct horse\n").stdout.strip()
    assert bcrypt.checkpw(b"correct horse", hashed.encode())


def test_a_byte_order_mark_is_no_part_of_a_password() -> None:
    hashed = invoke("hash-password", stdin="\ufeffcorrect horse\r\n").stdout.strip()
    assert bcrypt.checkpw(b"correct horse", hashed.encode())


@pytest.mark.parametrize("password", ["", "x" * 73, "two\nlines"])
def test_a_password_that_bcrypt_cannot_take_is_refused(password: str) -> None:
    result = invoke("hash-password", stdin=password + "\n")
    assert (result.exit_code, result.stdout) == (1, "")


def test_configuration_and_probe_import_nothing_heavy() -> None:
    script = f"""
import sys
from exporter import cli
from exporter.config import loader
from exporter.commands import probe
loader.load({{"collector.airflow": "false"}}, {{}})
print([name for name in {HEAVY} if name in sys.modules])
"""
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_every_option_has_a_heading_in_the_help() -> None:
    assert {option.key.partition(".")[0] for option in OPTIONS if option.flag} <= TOPICS.keys()


def test_that_explain_ends_without_a_message_when_the_reader_of_its_pipe_has_read_enough() -> None:
    lines = b"airflow.ti.start.d.t:1|c\n" * 20_000
    with subprocess.Popen([sys.executable, "-m", "exporter", "explain"], stdin=-1, stdout=-1, stderr=-1) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(lines)
        process.stdin.close()
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""


def test_that_explain_takes_an_argument_that_is_not_utf8() -> None:
    result = invoke("explain", os.fsdecode(b"airflow.x\xff:1|c"))
    assert "rejected  not_utf8" in result.stdout


@pytest.mark.parametrize("seconds", ["0", "-1"])
def test_that_explain_listens_for_a_time_that_is_one(seconds: str) -> None:
    result = invoke("explain", "--listen", seconds, stdin="airflow.x:1|c")
    assert result.exit_code == 2
    assert "--listen" in result.stderr
