"""The report as text for a terminal, as Markdown and as JSON."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Iterator
from enum import Enum
from textwrap import wrap
from typing import Any

from exporter.tuning.advice import AdviceReport, Answer, Confidence, Recommendation

WIDTH = 100
NOT_READ = "Not read"
"""Before what is missing in the answers of Prometheus."""


def format_moment(moment: float) -> str:
    """A time for people."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(moment))


def describe_window(report: AdviceReport) -> str:
    """What was looked at."""
    name = " ".join(["Airflow", report.airflow, *(f"{key}={value}" for key, value in report.labels.items())]).strip()
    return f"{name}, {report.window} from {format_moment(report.begin)} to {format_moment(report.end)}"


def list_rows(one: Recommendation) -> list[tuple[str, str]]:
    """The parts of a recommendation with their names, in the order in which they are read."""
    current = f", now {one.current}" if one.current else ""
    return [
        ("Seen", ". ".join(capitalize(text) for text in one.seen) + "."),
        ("Change", f"{one.change} ({one.setting}: {one.value}{current})"),
        ("Effect", capitalize(one.effect) + "."),
        ("Check first", capitalize(one.counter_check)),
        ("Risk", one.risk),
        ("Confidence", f"{one.confidence}: {one.reason}."),
    ]


def capitalize(text: str) -> str:
    """With a capital letter; the rest stays."""
    return text[:1].upper() + text[1:]


def to_text(report: AdviceReport) -> Iterator[str]:
    """Lines for a terminal."""
    yield describe_window(report)
    yield ""
    for problem in report.problems:
        yield from indent(f"{NOT_READ}: {problem}", "", "  ")
    ranking = report.ranking
    yield f"{count_recommendations(len(ranking))}, most hours saved first" if ranking else conclude(report)
    for number, (_, one) in enumerate(ranking, 1):
        yield ""
        yield f"{number}. {one.title}"
        for name, text in list_rows(one):
            yield from indent(f"{name}: {text}")
        yield from (f"   PromQL: {query}" for query in one.queries)
    yield ""
    yield "ALL QUESTIONS"
    for answer in report.answers:
        yield from indent(f"{answer.title} {summarize(answer)}", "", "  ")


def conclude(report: AdviceReport) -> str:
    """What a report without recommendations says."""
    unknown, count = sum(bool(answer.missing) for answer in report.answers), len(report.answers)
    if unknown == count:
        return "No advice: there is too little data for each of the questions below."
    return (
        "Nothing to change."
        if not unknown
        else f"Nothing to change; for {unknown} of {count} questions data is missing."
    )


def count_recommendations(count: int) -> str:
    """A number of recommendations."""
    return f"{count} recommendation{'' if count == 1 else 's'}"


def indent(text: str, first: str = "   ", others: str = "     ") -> list[str]:
    """Lines of a terminal's width."""
    return wrap(text, WIDTH, initial_indent=first, subsequent_indent=others, break_long_words=False)


def summarize(answer: Answer) -> str:
    """The answer to a question in short."""
    count = len(answer.recommendations)
    parts = [f"{count_recommendations(count)}."] if count else []
    if answer.nothing:
        parts.append(answer.nothing)
    if answer.missing:
        parts.append("Not enough data. " + " ".join(str(one) for one in answer.missing))
    return " ".join(parts) or "Nothing to change."


def to_markdown(report: AdviceReport) -> Iterator[str]:
    """Lines of Markdown."""
    yield "# Tuning advice"
    yield ""
    yield f"{escape(describe_window(report))}."
    yield ""
    for problem in report.problems:
        yield f"{NOT_READ}: {escape(problem)}\n"
    ranking = report.ranking
    if not ranking:
        yield conclude(report)
    if ranking:
        yield "| | change | now | saves | confidence |\n| ---: | --- | --- | --- | --- |"
    for number, (_, one) in enumerate(ranking, 1):
        now = escape(one.current) or "-"
        yield f"| {number} | {escape(one.title)} | {now} | {escape(one.savings.cell)} | {one.confidence} |"
    for number, (_, one) in enumerate(ranking, 1):
        yield f"\n## {number}. {escape(one.title)}\n"
        yield from (f"- **{name}**: {escape(text)}" for name, text in list_rows(one))
        yield "\n```promql\n" + "\n".join(one.queries) + "\n```"
    yield "\n## All questions\n"
    yield from (f"- **{escape(answer.title)}** {escape(summarize(answer))}" for answer in report.answers)


def escape(text: str) -> str:
    """Text that Markdown shows as it is."""
    return "".join(f"\\{character}" if character in "\\`*_|<>[]" else character for character in text)


def to_json(report: AdviceReport) -> str:
    """The whole report, with the ranking as places of recommendations."""
    ranking = [{"question": answer.question, "title": one.title} for answer, one in report.ranking]
    plain = to_plain({**dataclasses.asdict(report), "ranking": ranking})
    return json.dumps(plain, indent=2, allow_nan=False)


def to_plain(value: Any) -> Any:  # noqa: ANN401 - any part of a report
    """What JSON can hold: names of enumerations, null for infinity."""
    match value:
        case Confidence():
            return str(value)
        case Enum():
            return value.value
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {key: to_plain(one) for key, one in value.items()}
        case list() | tuple():
            return [to_plain(one) for one in value]
        case _:
            return value
