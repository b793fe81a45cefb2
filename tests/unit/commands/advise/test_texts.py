"""The report as text, Markdown, JSON and HTML: the ranking, every part of a recommendation, nothing unescaped."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from exporter.commands.advise.html import to_html
from exporter.commands.advise.texts import WIDTH, to_json, to_markdown, to_text
from exporter.tuning.advice import (
    AdviceReport,
    Answer,
    Confidence,
    Recommendation,
    Savings,
    Shortfall,
    format_bytes,
    format_hours,
    format_seconds,
)
from exporter.tuning.charts import ChartLine, ChartMark, ChartSpec, Shape

ONE = Recommendation(
    title="Pool <narrow>: 4 slots",
    setting="slots of the pool",
    object="<narrow>",
    current="2",
    value="4",
    seen=["tasks waited 56 h", "p95 is 4"],
    change="Set it to 4.",
    effect="saves 42 h",
    savings=Savings(42, 28, 56),
    counter_check="look at its database",
    risk="It may be overloaded.",
    confidence=Confidence.MEDIUM,
    reason="it was not measured",
    queries=['airflow_pool:wanted_slots:sum{pool="narrow"}'],
)
SURE = replace(ONE, title="Do not retry", savings=Savings(), confidence=Confidence.HIGH)
CHARTS = [
    ChartSpec(
        "Stretch",
        "tasks",
        "times",
        [ChartLine("a", Shape.POINTS, [1, 2], [1, 2]), ChartLine("b", Shape.LINE, [1, 2], [1, 2])],
        [ChartMark("best", 1.5), ChartMark("range", 1, 2)],
    ),
    ChartSpec("Waits", "", "h", [ChartLine("h", Shape.BARS, [0, 1], [5, float("inf")])], categories=["x", "y"]),
    ChartSpec("Retries", "", "n", [ChartLine("h", Shape.STACK, [0], [5]), ChartLine("v", Shape.STACK, [0], [2])]),
    ChartSpec("Due", "minute", "hour", grid=[[1, 2], [3, 4]], rows=["0", "1"], categories=["0", "5"]),
]
REPORT = AdviceReport(
    "demo",
    0,
    14 * 86_400,
    "14d",
    [
        Answer("retries", "Are retries worth it?", [SURE]),
        Answer("pools", "Which pools are too small?", [replace(ONE, savings=Savings(1, 1, 1), title="Less"), ONE]),
        Answer("schedule", "When?", nothing="Nothing to change: it is spread.", charts=CHARTS),
        Answer("memory", "What fits?", missing=[Shortfall("Memory", "not known", "some", "look at it")]),
    ],
)


def test_most_hours_come_first_then_the_surest() -> None:
    assert [one.title for _, one in REPORT.ranking] == [ONE.title, "Less", "Do not retry"]


def test_text_fits_a_terminal_and_has_every_part() -> None:
    lines = list(to_text(REPORT))
    text = "\n".join(lines)
    assert all(len(line) <= WIDTH or "PromQL" in line for line in lines)
    assert text.startswith("Airflow demo, 14d from 1970-01-01 00:00 UTC to 1970-01-15 00:00 UTC")
    assert "3 recommendations, most hours saved first" in text
    for part in (
        "Seen: Tasks waited 56 h. P95 is 4.",
        "Change: Set it to 4.",
        "Check first: Look",
        "Risk:",
        *ONE.queries,
    ):
        assert part in text
    assert "Confidence: medium: it was not measured." in text
    assert "What fits? Not enough data. Memory: not known, needed: some." in text


def test_nothing_to_change_is_an_answer() -> None:
    text = "\n".join(to_text(replace(REPORT, answers=REPORT.answers[2:3])))
    assert "\nNothing to change.\n" in text
    assert "it is spread" in text


def test_too_little_data_is_not_nothing_to_change() -> None:
    """Where each question lacks data that is the answer; where some do it says how many."""
    unknown = replace(REPORT, answers=REPORT.answers[3:])
    some = replace(REPORT, answers=REPORT.answers[2:])
    for form in (to_text, to_markdown):
        assert "No advice: there is too little data" in "\n".join(form(unknown))
        assert "Nothing to change; for 1 of 2 questions data is missing." in "\n".join(form(some))


def test_what_was_not_read_is_in_each_format() -> None:
    pytest.importorskip("matplotlib")
    report = replace(REPORT, answers=REPORT.answers[:1], problems=["one store is down"], labels={"cluster": "east"})
    for text in ("\n".join(to_text(report)), "\n".join(to_markdown(report)), to_html(report)):
        assert "Not read: one store is down" in text
        assert "Airflow demo cluster=east, 14d" in text
    assert json.loads(to_json(report))["problems"] == ["one store is down"]


def test_markdown_shows_names_as_they_are() -> None:
    text = "\n".join(to_markdown(REPORT))
    assert "| 1 | Pool \\<narrow\\>: 4 slots | 2 | about 42 h (28 h to 56 h) | medium |" in text
    assert "```promql\n" + ONE.queries[0] + "\n```" in text


def test_what_saves_no_time_has_a_dash_where_others_have_hours() -> None:
    """A change of memory, or retries that only hide failures."""
    pytest.importorskip("matplotlib")
    page = to_html(replace(REPORT, answers=REPORT.answers[:2]))
    assert "| 3 | Do not retry | 2 | - | high |" in "\n".join(to_markdown(REPORT))
    assert "<td>Do not retry</td><td>2</td><td>-</td><td>high</td>" in page.replace("\n", "")
    for text in ("\n".join(to_text(REPORT)), "\n".join(to_markdown(REPORT)), page):
        assert "no hours" not in text


def test_json_holds_everything_and_no_infinity() -> None:
    found = json.loads(to_json(REPORT))
    assert [one["title"] for one in found["ranking"]] == [ONE.title, "Less", "Do not retry"]
    answer = found["answers"][1]["recommendations"][1]
    assert answer["confidence"] == "medium"
    assert answer["savings"] == {"expected": 42, "least": 28, "most": 56}
    assert found["answers"][2]["charts"][1]["lines"][0] == {"name": "h", "shape": "bars", "x": [0, 1], "y": [5, None]}


def test_html_is_one_file_with_plots_and_escaped_names() -> None:
    pytest.importorskip("matplotlib")
    drawable = replace(REPORT.answers[2], charts=[CHARTS[0], *CHARTS[2:]])
    text = to_html(replace(REPORT, answers=[*REPORT.answers[:2], drawable]))
    assert text.count("data:image/svg+xml;base64,") == 3
    assert "Pool &lt;narrow&gt;: 4 slots" in text
    assert "<narrow>" not in text
    assert "<script" not in text
    assert "http" not in text
    assert text == to_html(replace(REPORT, answers=[*REPORT.answers[:2], drawable]))


def test_numbers_are_for_people() -> None:
    assert [format_hours(one) for one in (0.2, 3.25, 212.4)] == ["12 min", "3.2 h", "212 h"]
    assert [format_seconds(one) for one in (45, 720, 12_600)] == ["45 s", "12 min", "3.5 h"]
    assert [format_bytes(one) for one in (512, 5.2e8, 1.7e11)] == ["0 KiB", "496 MiB", "158 GiB"]
    assert str(Savings(0.02, 0.01, 0.04)) == "less than 3 min"
    assert str(Savings(0.5, 0.2, 0.8)) == "about 30 min (12 min to 48 min)"
