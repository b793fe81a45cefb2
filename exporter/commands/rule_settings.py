"""Thresholds and addresses in links, set in `rules/settings.yml` by options of the commands `rules` and `bundle`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import yaml

from exporter.commands.yaml_edits import TextEdit, apply_edits, walk_pairs

FILE = PurePosixPath("rules/settings.yml")
THRESHOLD, LINKS = "airflow:threshold:", "airflow:links:info"
ADDRESS = re.compile(r"https?://[^\s\"'\\]+\Z")


class SettingsError(ValueError):
    """A threshold or an address that cannot be used; the message begins with the option."""


class RuleSettings(NamedTuple):
    """What differs from the file; names are those of the records and labels there."""

    thresholds: Mapping[str, str]
    links: Mapping[str, str]

    def apply(self, text: str) -> str:
        """The text of the file with these settings; comments stay. Raises SettingsError for an unknown threshold."""
        if not any(self):
            return text
        rules = list(_list_rules(yaml.compose(text)))
        known = {rule["record"].value.removeprefix(THRESHOLD) for rule in rules}
        for name in self.thresholds.keys() - known:
            raise SettingsError(f"--threshold={name}: there is no such threshold; docs/alerts.md lists them")
        return apply_edits(text, (edit for rule in rules for edit in self._edit_rule(rule)))

    def _edit_rule(self, rule: Mapping[str, yaml.Node]) -> Iterator[TextEdit]:
        record = rule["record"].value
        value = self.thresholds.get(record.removeprefix(THRESHOLD))
        if record.startswith(THRESHOLD) and value is not None:
            yield rule["expr"].start_mark.index, rule["expr"].end_mark.index, f"vector({value})"
        if record == LINKS:
            for name, node in walk_pairs(rule["labels"]):
                if name in self.links:
                    yield node.start_mark.index, node.end_mark.index, self.links[name]

    def to_chart_values(self) -> str:
        """The same settings as values of the Helm chart."""
        rules: dict[str, object] = {f"{name}Url": address for name, address in self.links.items()}
        if self.thresholds:
            rules["thresholds"] = {name: yaml.safe_load(value) for name, value in self.thresholds.items()}
        return yaml.safe_dump({"rules": rules})


DEFAULTS = RuleSettings({}, {})


def parse_settings(given: Mapping[str, Any]) -> RuleSettings:
    """The settings of the options `--threshold`, `--grafana-url` and `--runbooks-url`. Raises SettingsError."""
    links = {name: given.get(f"{name}_url") for name in ("grafana", "runbooks")}
    return RuleSettings(
        thresholds=dict(_parse_threshold(text) for text in given["thresholds"]),
        links={name: _parse_address(name, text) for name, text in links.items() if text},
    )


def _parse_threshold(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not equals or not math.isfinite(number):
        raise SettingsError(f"--threshold={text}: write a name and a number, as in dag_late_seconds=3600")
    return name.strip().removeprefix(THRESHOLD), repr(number).removesuffix(".0")


def _parse_address(name: str, text: str) -> str:
    if not ADDRESS.match(text):
        raise SettingsError(f"--{name}-url={text}: write an address, as in https://{name}.example.org")
    return text.rstrip("/")


def _list_rules(document: yaml.Node | None) -> Iterator[dict[str, yaml.Node]]:
    for key, value in walk_pairs(document):
        if key == "rules":
            yield from ({name.value: node for name, node in rule.value} for rule in value.value)
