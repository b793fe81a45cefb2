"""Tracebacks in text: chains, messages of several lines, groups, and text that only looks like one."""

from __future__ import annotations

import traceback

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.diagnosis.evidence import RaisedError
from exporter.sources.airflow.failing.tracebacks import MAX_TEXT, find_chains, find_module


def raise_chain() -> None:
    try:
        try:
            int("inner")
        except ValueError as error:
            raise RuntimeError("middle\nof two lines") from error
    except RuntimeError:
        raise ValueError("outer")  # noqa: B904 - raised while the other is handled


def raise_group() -> None:
    raise ExceptionGroup("several", [ConnectionResetError("reset"), OSError(28, "No space left on device")])


def format_error(function: object) -> list[str]:
    try:
        function()  # type: ignore[operator]
    except (ValueError, ExceptionGroup):
        return traceback.format_exc().splitlines()
    return []


def test_a_real_chain() -> None:
    [chain] = find_chains(format_error(raise_chain))
    assert [(one.name, one.text) for one in chain] == [
        ("ValueError", "outer"),
        ("RuntimeError", "middle\nof two lines"),
        ("ValueError", "invalid literal for int() with base 10: 'inner'"),
    ]


def raise_local() -> None:
    class StockError(ValueError):
        pass

    raise StockError("below zero")


def test_a_type_that_is_defined_in_a_function_is_read() -> None:
    [[found]] = find_chains(format_error(raise_local))
    assert (found.name, found.text) == ("StockError", "below zero")


def test_what_was_being_handled_is_told_from_a_cause() -> None:
    [chain] = find_chains(format_error(raise_chain))
    assert [one.handled for one in chain] == [False, True, False]


def test_the_traceback_of_a_container_is_found_in_the_log_of_its_pod() -> None:
    [chain] = find_chains([f"[base] {line}" for line in format_error(raise_chain)])
    assert [one.name for one in chain] == ["ValueError", "RuntimeError", "ValueError"]


def test_a_real_group_is_found() -> None:
    [chain, *_] = find_chains(format_error(raise_group))
    assert chain[0].name == "ExceptionGroup"


def test_two_tracebacks_that_are_not_linked_are_two_chains() -> None:
    lines = format_error(raise_chain)
    assert [chain[0].name for chain in find_chains([*lines, "", "something else", *lines])] == ["ValueError"] * 2


@pytest.mark.parametrize(
    ("filename", "module"),
    [
        ("/opt/venv/lib/python3.12/site-packages/psycopg/connection.py", "psycopg.connection"),
        ("/usr/lib/python3/dist-packages/requests/__init__.py", "requests"),
        ("/opt/venv/lib/python3.12/site-packages/lxml/etree.cpython-312-x86_64-linux-gnu.so", "lxml.etree"),
        ("/usr/local/lib/python3.12/socket.py", "socket"),
        ("/usr/local/lib/python3.12/urllib/request.py", "urllib.request"),
        ("<frozen os>", "os"),
        ("/opt/airflow/dags/etl.py", ""),
        ("", ""),
    ],
)
def test_the_module_is_known_by_the_file(filename: str, module: str) -> None:
    assert find_module(filename) == module


def test_a_long_message_is_shortened() -> None:
    lines = [
        "Traceback (most recent call last):",
        '  File "a.py", line 1, in f',
        "ValueError: " + "x" * 100_000 + "end",
    ]
    text = find_chains(lines)[0][0].text
    assert len(text) == 2 * MAX_TEXT + 1
    assert text.endswith("xend"), "its end says as much as its beginning"


@pytest.mark.parametrize(
    "lines",
    [
        ["ValueError: without a traceback"],
        ["Traceback (most recent call last):"],
        ["Traceback (most recent call last):", '  File "a.py", line 1, in f'],
        ["During handling of the above exception, another exception occurred:"],
    ],
)
def test_text_that_is_no_traceback(lines: list[str]) -> None:
    assert find_chains(lines) == []


@given(st.lists(st.text(max_size=30), max_size=20))
def test_any_text_is_read(lines: list[str]) -> None:
    start = ["Traceback (most recent call last):", '  File "a.py", line 1, in f']
    found = find_chains([*lines, *start, "KeyError: 'x'"])
    assert found[-1][0] == RaisedError("KeyError", "", "'x'")
