"""The words that our texts do not use, each with what to write instead.

Read are HELP texts, flags' help, alerts' annotations, dashboards' titles and descriptions, pages, and the first line of
every docstring of the package. Write as the documentation of Prometheus and Airflow is written.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from exporter.cli import main
from exporter.config.options import OPTIONS
from exporter.metrics.catalogue.families import FAMILIES

ROOT = Path(__file__).parents[2]
WORDS = {
    r"anew": "again; of files: reloaded, rewritten",
    r"who(?:so)?ever": "anyone who, or the name of the role",
    r"somebody|nobody": "the name of the role or of the program; no one",
    r"tells?|told|telling": "report, show, say; 'tell apart' is distinguish",
    r"dear|dearer|dearest": "expensive",
    r"so many": "that many, or the number",
    r"of (?:Airflow|Prometheus|Grafana)'s(?= *(?:[.,;:)]|$)| (?:that|which|and|or|is|are|was|in|on|by|from)\b)":
    "Airflow's X, or 'of Airflow'",
    r"(?:for|from) want of": "because there is no",
    r"(?:lay|lays|laid|laying) down": "put, write, store",
    r"mend|mends|mended|mending": "fix",
    r"(?:go|goes|going|went) by (?!the name)": "use, follow",
    r"(?:hold|holds|held|holding) against": "compare with",
    r"but for": "except",
    r"nothing but": "only",
    r"of (?:its|their|our|my|his|your) own": "its own X, or a separate X",
    r"(?:put|puts|putting) right": "correct, fix",
    r"taken for": "considered, mistaken for",
    r"(?:get|gets|getting) by on": "succeeds only thanks to",
    r"lest": "so that ... not",
    r"kinship": "attribution",
    r"in vain": "without success",
    r"since (?:it|they|there|no|nothing|none|all|both|each|only|that|this|these|we)(?! (?:was|were) (?:due|last))":
    "because",
    r"(?<=, )since(?! (?:\d|then\b|when\b|(?:the|its) last\b))": "because",
    r"^since when": "when X began, or how long",
    r"glances?|census": "quick scan, full scan, process table",
    r"absorbs?|absorber": "aggregate, aggregator",
}  # fmt: skip
NOT_YET_REWRITTEN: tuple[str, ...] = ()
"""Beginnings of the places whose texts are still in the old manner."""
PATTERNS = [(re.compile(rf"\b(?:{word})(?!\w)", re.IGNORECASE), instead) for word, instead in WORDS.items()]
CODE = re.compile(r"<!-- generated: .*?<!-- end -->|^```.*?^```|`[^`]*`|\]\([^)]*\)", re.MULTILINE | re.DOTALL)
TEMPLATE = re.compile(r"\{\{.*?\}\}")


class Text(NamedTuple):
    """A text, and where it stands."""

    place: str
    text: str


def list_flaws(text: str) -> list[str]:
    """The words of a text that it should not use, each with what to write instead."""
    plain = " ".join(text.split())
    return [f"{found[0]!r}: {instead}" for pattern, instead in PATTERNS for found in pattern.finditer(plain)]


def read_help() -> Iterator[Text]:
    for family in FAMILIES:
        yield Text(f"HELP/{family.source}/{family.name}", family.help)
        yield Text(f"HELP/{family.source}/{family.name}/audience", family.audience)
    for option in OPTIONS:
        yield Text(f"flag/{option.key}", option.help)
    declared = {option.key.replace(".", "__") for option in OPTIONS}
    for name, command in main.commands.items():
        yield Text(f"command/{name}", command.help or "")
        for parameter in command.params:
            if parameter.name not in declared:
                yield Text(f"command/{name}/{parameter.name}", getattr(parameter, "help", None) or "")


def read_alerts() -> Iterator[Text]:
    for path in sorted(ROOT.glob("prometheus/alerts/*.yml")):
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]:
            for alert in group["rules"]:
                for part in ("summary", "description"):
                    yield Text(f"{alert['alert']}/{part}", TEMPLATE.sub("", alert["annotations"][part]))


def read_pages() -> Iterator[Text]:
    for path in sorted(
        [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md"), *ROOT.glob("charts/*/*.md")]
    ):
        text = CODE.sub(" ", path.read_text(encoding="utf-8"))
        for paragraph in re.split(r"\n\s*\n", text):
            yield Text(str(path.relative_to(ROOT)), paragraph)


def read_dashboards() -> Iterator[Text]:
    for path in sorted(ROOT.glob("grafana/dashboards/*.json")):
        yield from read_titles(path.stem, json.loads(path.read_text(encoding="utf-8")))


def read_titles(place: str, part: Any) -> Iterator[Text]:
    """Every title and description of a part of a dashboard, whatever its depth."""
    if isinstance(part, list):
        for item in part:
            yield from read_titles(place, item)
    elif isinstance(part, dict):
        for key, value in part.items():
            if key in {"title", "description"} and isinstance(value, str):
                yield Text(place, re.sub(r"`[^`]*`", " ", value))
            else:
                yield from read_titles(place, value)


def read_docstrings() -> Iterator[Text]:
    """The first line of every docstring of the package."""
    for path in sorted(ROOT.glob("exporter/**/*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                text = (ast.get_docstring(node) or "").partition("\n")[0]
                name = getattr(node, "name", "")
                yield Text(f"{path.relative_to(ROOT)}:{name}", re.sub(r"`[^`]*`", " ", text))


SOURCES = (read_help, read_alerts, read_pages, read_dashboards, read_docstrings)


@pytest.mark.parametrize("read", SOURCES, ids=lambda read: read.__name__.removeprefix("read_"))
def test_texts_are_in_plain_words(read: Any) -> None:
    texts = list(read())
    assert len(texts) > 50, "the texts are read"
    flaws = [
        f"{text.place}: {flaw}"
        for text in texts
        if not text.place.startswith(NOT_YET_REWRITTEN or "\0")
        for flaw in list_flaws(text.text)
    ]
    assert flaws == []


@pytest.mark.parametrize(
    ("text", "instead"),
    [
        ("the file is read anew", "again; of files: reloaded, rewritten"),
        ("No exporter tells of it", "report, show, say; 'tell apart' is distinguish"),
        ("killed since it sent nothing", "because"),
        ("left out, since its rows are few", "because"),
        ("a thread of Airflow's, and more", "Airflow's X, or 'of Airflow'"),
        ("a name of\nits own", "its own X, or a separate X"),
    ],
)
def test_a_word_of_the_list_is_found(text: str, instead: str) -> None:
    assert [flaw.partition(": ")[2] for flaw in list_flaws(text)] == [instead]


@pytest.mark.parametrize(
    "text", ["since 3.1", "since it was due", "since the last restart", "the teller", "of Airflow's last report"]
)
def test_plain_words_pass(text: str) -> None:
    assert list_flaws(text) == []
