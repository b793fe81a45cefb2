"""Runbooks as pages: labels of the alert in queries and commands, links between them, and a copy for another server."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import promql_parser
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from exporter.diagnosis.error_classes import CLASSES
from exporter.diagnosis.reasons import REASONS
from exporter.web.runbook_files import list_runbooks, read_runbook
from exporter.web.runbook_pages import fill_labels, list_placeholders, render_runbook, write_static_copy

RUNBOOK = """# AirflowTasksWaitingForPool

## Meaning

See AirflowDagLate and `AirflowNoProgress`, not AirflowUnheardOf or `airflow pools set AirflowDagLate`.
Here $pool stays.

## Diagnosis

```promql
airflow_pool_slots{airflow="$airflow", pool="$pool"}
```

```console
$ airflow pools get $pool
```
"""
NAMES = ["AirflowDagLate", "AirflowNoProgress", "AirflowTasksWaitingForPool"]
HOSTILE = 'a"} or vector(1) # <script>\n```\n# not a heading\\'


def show(text: str = RUNBOOK, **labels: str) -> str:
    return render_runbook(text, labels, NAMES, "{}.md".format)


def test_labels_of_the_alert_stand_in_queries_and_commands_only() -> None:
    assert list_placeholders(RUNBOOK) == ["airflow", "pool"]
    filled = fill_labels(RUNBOOK, {"airflow": "production", "pool": "two words"})
    assert '{airflow="production", pool="two words"}' in filled
    assert "$ airflow pools get 'two words'\n" in filled
    assert "Here $pool stays." in filled


def test_a_label_that_is_not_given_stays_and_the_reader_is_asked_to_replace_it() -> None:
    page = show(airflow="production")
    assert "Replace $pool by the labels of the alert" in page
    assert "Labels of the alert: airflow=&quot;production&quot;" in page
    assert "pool=&quot;$pool&quot;" in page


@given(st.text(max_size=40))
@example(HOSTILE)
@example("$airflow")
def test_no_value_leaves_its_place_in_a_query_or_a_command(value: str) -> None:
    filled = fill_labels(RUNBOOK, {"pool": value, "airflow": "x"})
    query = re.search(r"```promql\n(.*?)\n```", filled, re.DOTALL)
    assert query is not None
    parsed = promql_parser.parse(query[1])
    assert isinstance(parsed, promql_parser.VectorSelector)
    assert {matcher.name for matcher in parsed.matchers.matchers} == {"airflow", "pool"}
    command = filled.partition("```console\n")[2].rpartition("```")[0].removeprefix("$ ")
    assert shlex.split(command)[:3] == ["airflow", "pools", "get"]
    assert shlex.split(command)[3:] == ["".join(letter if letter.isprintable() else "?" for letter in value)]


def test_no_value_becomes_markup() -> None:
    page = show(pool=HOSTILE)
    assert "<script>" not in page
    assert "<h1>" not in page
    assert page.count("<h2 id=") == 2


def test_links_can_lead_to_a_reason_and_to_a_class_of_failures() -> None:
    for name, anchors in {
        "Reasons": [reason.name for reason in REASONS],
        "ErrorClasses": [one.name for one in CLASSES],
    }.items():
        page = render_runbook(read_runbook(name) or "", {}, list_runbooks(), "{}.md".format)
        assert re.findall(r'<h2 id="(.*?)">', page) == anchors


def test_names_of_other_runbooks_are_links_and_nothing_else_is() -> None:
    assert re.findall(r'<a href="(.*?)">(.*?)</a>', show()) == [
        ("AirflowDagLate.md", "AirflowDagLate"),
        ("AirflowNoProgress.md", "<code>AirflowNoProgress</code>"),
    ]


@pytest.mark.parametrize("name", list_runbooks())
def test_every_runbook_of_the_bundle_becomes_a_page(name: str) -> None:
    text = read_runbook(name)
    assert text is not None
    page = render_runbook(text, {}, list_runbooks(), "{}.md".format)
    assert page.count("<h2 id=") == text.count("\n## ") > 3
    assert "```" not in page


def test_a_copy_answers_the_paths_that_alerts_link_to(tmp_path: Path) -> None:
    names = list_runbooks()
    assert write_static_copy(tmp_path / "html", "html") == len(names)
    for name in names:
        page = (tmp_path / "html" / f"{name}.md" / "index.html").read_text(encoding="utf-8")
        for link in re.findall(r'href="(.*?)"', page):
            assert (tmp_path / "html" / f"{name}.md" / link.partition("#")[0] / "index.html").is_file(), link
    index = (tmp_path / "html" / "index.html").read_text(encoding="utf-8")
    assert set(re.findall(r'href="(.*?)"', index)) == {f"{name}.md" for name in names}


def test_a_copy_in_markdown_has_the_files_as_they_are(tmp_path: Path) -> None:
    write_static_copy(tmp_path, "markdown")
    for name in list_runbooks():
        assert (tmp_path / f"{name}.md").read_text(encoding="utf-8") == read_runbook(name)
