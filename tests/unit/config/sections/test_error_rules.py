"""The users' rules for classes of failed tries: what is accepted, and what the errors say."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.config.file import read_file
from exporter.config.sections.error_rules import format_error_rules, parse_error_rules
from exporter.config.settings import AirflowSettings, ErrorRuleSettings
from exporter.diagnosis.error_classes import DEPENDENCY
from exporter.sources.airflow.readers.failures import make_rules


def test_a_rule_has_a_class_and_conditions() -> None:
    raw = [{"class": "dependency", "exception": "Mainframe.*", "words": "quota", "exit_codes": [75, -9]}]
    found = parse_error_rules(raw)
    assert found == (ErrorRuleSettings("dependency", "Mainframe.*", "", "quota", (75, -9)),)
    [rule] = make_rules(AirflowSettings(error_rules=found))
    assert (rule.error_class, rule.exception, rule.words, rule.codes) == (
        DEPENDENCY, "Mainframe.*", "quota", (75, -9),
    )  # fmt: skip


def test_a_single_exit_code_needs_no_list() -> None:
    assert parse_error_rules([{"class": "memory", "exit_codes": 99}])[0].exit_codes == (99,)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ("memory", "is not a list of rules; write for example"),
        (["memory"], "rule 1: 'memory' is not a rule"),
        ([{"class": "memory", "exception": "A"}, {"class": "memroy", "words": "x"}], "rule 2: .* did you mean memory"),
        ([{"class": "slow", "words": "x"}], "use one of network, timeout"),
        ([{"words": "x"}], "rule 1: class None does not exist"),
        ([{"class": "memory", "word": "x"}], "rule 1: 'word' is not a key of a rule; did you mean words"),
        ([{"class": "memory"}], "rule 1: it has no condition"),
        ([{"class": "memory", "words": "("}], "rule 1: words: '\\(' is not a regular expression"),
        ([{"class": "memory", "words": 7}], "rule 1: words: 7 is not text; put it in quotes"),
        ([{"class": "memory", "exit_codes": ["x"]}], "rule 1: exit_codes: .* is not a list of exit codes"),
        ([{"class": "memory", "exit_codes": [True]}], "is not a list of exit codes"),
        ([{"class": "memory", "exit_codes": [256]}], "from 0 to 255"),
        ([{"class": "memory", "exit_codes": [1]}] * 201, "there are 201 rules; at most 200"),
    ],
)
def test_what_is_wrong_is_said_with_the_number_of_the_rule(raw: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_error_rules(raw)


def test_an_error_names_the_file_and_the_line(tmp_path: Path) -> None:
    path = tmp_path / "exporter.yml"
    path.write_text("airflow:\n  error_rules:\n    - {class: memroy, words: x}\n", encoding="utf-8")
    [problem] = read_file(path).problems
    assert problem.startswith(f"{path}:2: airflow.error_rules: rule 1: class 'memroy' does not exist")


def test_the_page_shows_how_many_there_are() -> None:
    rules = parse_error_rules([{"class": "memory", "words": "secret"}, {"class": "disk", "words": "x"}])
    assert format_error_rules(rules) == "2 rules (memory, disk)"
    assert format_error_rules(()) == ""
