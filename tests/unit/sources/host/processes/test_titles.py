"""What a process of Airflow is by its title: recorded titles, commands of each release, and what is none of its."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.sources.host.processes.titles import ProcessTitle, TryIds, classify

DATA = Path(__file__).parents[4] / "data" / "host" / "titles.json"
RECORDED = [(release, row) for release, rows in json.loads(DATA.read_text()).items() for row in rows]
UUID = "01a20793-8496-79a0-a835-561da18df05c"


def ask(*argv: str) -> ProcessTitle | None:
    return classify("".join(f"{part}\0" for part in argv).encode())


@pytest.mark.parametrize(("release", "row"), RECORDED)
def test_recorded_titles(release: str, row: dict[str, Any]) -> None:
    work = TryIds(*row["work"]) if row["work"] else None
    expected = None if row["component"] is None else ProcessTitle(row["component"], work)
    assert ask(*row["argv"]) == expected


@pytest.mark.parametrize(
    ("component", "argv"),
    [
        ("scheduler", ["/venv/bin/python3.12", "/venv/bin/airflow", "scheduler", "--skip-serve-logs"]),
        ("scheduler", ["/usr/bin/python3", "-m", "airflow", "scheduler"]),
        ("scheduler", ["/usr/bin/python3", "-u", "/x/airflow", "scheduler"]),
        ("scheduler", ["/usr/bin/python3", "-X", "faulthandler", "-Wdefault", "/x/airflow", "scheduler"]),
        ("scheduler", ["python -W ignore -m airflow scheduler"]),
        ("scheduler", ["/venv/bin/python /venv/bin/airflow scheduler --skip-serve-logs"]),
        ("triggerer", ["/venv/bin/python3.12 -m airflow triggerer"]),
        ("dag_processor", ["python", "/venv/bin/airflow", "dag-processor"]),
        ("triggerer", ["python", "/venv/bin/airflow", "triggerer"]),
        ("celery_worker", ["python", "/venv/bin/airflow", "celery", "worker", "-q", "high"]),
        ("flower", ["python", "/venv/bin/airflow", "celery", "flower"]),
        ("edge_worker", ["python", "/venv/bin/airflow", "edge", "worker"]),
        ("log_server", ["airflow serve-logs"]),
        ("api_server", ["airflow api_server -- host:127.0.0.1 port:8080"]),
        ("web_server", ["gunicorn: master [airflow-webserver]"]),
        ("web_server", ["[ready] gunicorn: worker [airflow-webserver]"]),
        ("other", ["python", "/venv/bin/airflow", "db", "migrate"]),
        ("local_worker", ["airflow worker -- LocalExecutor: <idle>"]),
    ],
)
def test_commands_and_titles_of_components(component: str, argv: list[str]) -> None:
    assert ask(*argv) == ProcessTitle(component)


@pytest.mark.parametrize(
    "argv",
    [
        [""],
        ["gunicorn: master [shop]"],
        ["[celeryd: celery@host:MainProcess] -active- (worker -A shop)"],
        ["vim", "airflow.cfg"],
        ["/usr/bin/python3", "/home/x/airflow.py"],
        ["bash", "-c", "airflow scheduler"],
        ["grep", "airflow", "scheduler"],
        ["python", "-c", "import airflow"],
        ["python", "-m", "airflowish"],
        ["/usr/bin/python3 /home/x/airflow.py scheduler"],
        ["/usr/bin/python3 -c import airflow"],
        ["/usr/bin/python3 /home/x/report.py airflow scheduler"],
    ],
)
def test_what_only_mentions_airflow_is_none_of_its_processes(argv: list[str]) -> None:
    assert ask(*argv) is None


def test_a_task_of_release_3_is_known_by_its_uuid() -> None:
    assert ask(f"airflow worker -- {UUID}") == ProcessTitle("", TryIds(UUID))
    assert ask(f"airflow worker -- LocalExecutor: {UUID}") == ProcessTitle("local_worker", TryIds(UUID))
    assert ask(f"airflow supervisor: {UUID}") == ProcessTitle("task_supervisor", TryIds(UUID))


def test_ids_of_release_2_may_hold_quotes() -> None:
    command = ["airflow", "tasks", "run", "it's", 'a "b"', "run'1", "--local"]
    assert ask(f"airflow task supervisor: {command}") == ProcessTitle(
        "task_supervisor", TryIds("", "it's", 'a "b"', "run'1")
    )


@pytest.mark.parametrize("text", ["\\n\t\\", "\x00\x1b", "ü\u200b\ue000", "\U0001f600\U000e0001\U0010ffff", "'\"", ""])
def test_ids_are_read_as_python_shows_them(text: str) -> None:
    title = f"airflow worker -- LocalExecutor: {['airflow', 'tasks', 'run', text, text, text]}"
    assert ask(title) == ProcessTitle("local_worker", TryIds("", text, text, text))


@pytest.mark.parametrize(
    "text", [r"\x", r"\N{x}", r"\d", r"\ud800", r"\U0000dfff", r"\U00110000", r"\Uffffffff", "a\nb", "a\rb", "a\\\nb"]
)
def test_a_text_that_python_would_not_show_names_no_task(text: str) -> None:
    for quote in "'\"":
        title = f"airflow worker -- LocalExecutor: ['airflow', 'tasks', 'run', {quote}{text}{quote}, 'b', 'c']"
        assert ask(title) == ProcessTitle("local_worker")


def test_a_title_is_padded_with_nulls_and_cut_short_where_the_room_ends() -> None:
    padded = f"airflow worker -- {UUID}".encode() + b"\0" * 300
    assert classify(padded) == ProcessTitle("", TryIds(UUID))
    assert ask("airflow task runner: etl") == ProcessTitle("")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_title_or_not(noise: bytes) -> None:
    for start in (
        b"",
        b"airflow ",
        b"airflow worker -- LocalExecutor: [",
        b"[celeryd: ",
        b"python\0-m\0",
        b"gunicorn: ",
    ):
        classify(start + noise)


ESCAPES = st.sampled_from(["\\", "x", "u", "U", "N", "d800", "0", "'", '"', "\n", "\r", "', '", "{", "}"])


@given(st.lists(ESCAPES | st.text(max_size=3)).map("".join), st.binary(max_size=50))
def test_any_ids_in_a_title_are_read_or_not(text: str, noise: bytes) -> None:
    start = b"airflow worker -- LocalExecutor: ['airflow', 'tasks', 'run', "
    for ids in (f"'{text}', 'b', 'c']".encode(), f'"{text}", "{text}", \'{text}\''.encode(), noise):
        title = classify(start + ids)
        assert title is not None
        assert all(part.encode() is not None for part in title.work or ()), "labels can be written"
