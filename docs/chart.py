"""Generate what the Helm chart derives from other files; `--check` only compares.

Run as `python -m docs.chart`: rules and dashboards, the options in values.schema.json, and the README. Rules and
dashboards have the label FURTHER wherever a further label of the identity belongs; templates write those places once
for each label.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from docs import outdated
from exporter.commands.bundle import get_folder, get_object_name, list_rule_files, render_rules, rewrite_strings
from exporter.commands.identity import RESERVED_LABELS
from exporter.config.option import Option
from exporter.config.options import OPTIONS

CHART = Path(__file__).parents[1] / "charts" / "airflow-metrics-exporter"
FURTHER = ("FURTHER",)
DECIDED = {"collector.host", "collector.statsd", "events.file", "state.file", "web.listen_address"}
"""Options that the chart sets, or that it allows to a part only."""
OTHER_POD = ("host.", "path.", "statsd.listen_", "statsd.unix_socket_mode")
"""Beginnings of options that are of no use in the pod of the Deployment."""
SWITCH, FILE = "true|false", "FILE"
TYPES: dict[str, dict[str, Any]] = {
    SWITCH: {"type": "boolean"},
    "DURATION": {"type": ["string", "number"]},
    "NUMBER": {"type": "number", "minimum": 0},
    "[BOUND, ...]": {"type": "array", "items": {"type": ["string", "number"]}},
    "[{class: NAME, ...}, ...]": {"type": "array", "items": {"type": "object"}},
}
README_TABLE = "<!-- generated: values -->"
END = "<!-- end -->"


def list_files() -> Iterator[tuple[Path, str]]:
    """Yield each generated file with its text."""
    for path in list_rule_files():
        yield CHART / "files/rules" / f"{get_object_name(path)}.yaml", render_rules(path, FURTHER)
    for path in sorted(get_folder("dashboards").glob("*.json")):
        yield CHART / "files/dashboards" / path.name, render_dashboard(path)
    yield CHART / "values.schema.json", render_schema((CHART / "values.schema.json").read_text(encoding="utf-8"))
    yield CHART / "README.md", render_readme((CHART / "README.md").read_text(encoding="utf-8"))


def render_dashboard(path: Path) -> str:
    """A dashboard without line breaks and spaces: a ConfigMap and the Secret of a Helm release hold at most 1 MiB."""
    board = rewrite_strings(json.loads(path.read_text(encoding="utf-8")), FURTHER)
    return json.dumps(board, separators=(",", ":"), ensure_ascii=False) + "\n"


# ---- values.schema.json: which options there are ---------------------------------------------------


def render_schema(text: str) -> str:
    """The schema, with the options that the exporter has today."""
    schema = json.loads(text)
    schema["$defs"]["config"] = build_config_schema(option for option in OPTIONS if is_in_config(option))
    schema["$defs"]["files"]["propertyNames"]["enum"] = [option.key for option in OPTIONS if is_file(option)]
    schema["properties"]["identity"]["propertyNames"]["not"]["enum"] = sorted(RESERVED_LABELS)
    return json.dumps(schema, indent=2) + "\n"


def is_file(option: Option) -> bool:
    """Whether an option names a file that a Secret or ConfigMap can hold."""
    decided = option.key in {*DECIDED, "config.file"} or option.key.startswith("statsd.listen_")
    return option.value_type.metavar == FILE and option.by_variable and not decided


def is_in_config(option: Option) -> bool:
    """Whether an option can be set in `config`."""
    decided = option.key in DECIDED - {"events.file"} or option.key.startswith(OTHER_POD)
    allowed = option.value_type.metavar != FILE or option.key == "events.file"
    return option.by_file and allowed and not decided and not option.secret


def build_config_schema(options: Iterator[Option]) -> dict[str, Any]:
    """A schema of the file: one object for each level of the keys."""
    schema = build_object()
    for option in options:
        inner = schema
        *levels, name = option.key.split(".")
        for level in levels:
            inner = inner["properties"].setdefault(level, build_object())
        inner["properties"][name] = build_value_schema(option)
    return schema


def build_object() -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": {}}


def build_value_schema(option: Option) -> dict[str, Any]:
    """The schema of one option's value; what is only known to the exporter is left to it."""
    kind = option.value_type.metavar
    if option.key == "events.file":
        return {"enum": ["-"]}
    if "|" in kind and kind not in TYPES:
        return {"enum": kind.split("|")}
    schema = TYPES.get(kind, {"type": "string"})
    return {"type": "object", "additionalProperties": schema} if option.names else schema


# ---- README: the table of values -----------------------------------------------------------------


def render_readme(text: str) -> str:
    """The README with the table of all values."""
    before, _, rest = text.partition(README_TABLE)
    _, _, after = rest.partition(END)
    source = (CHART / "values.yaml").read_text(encoding="utf-8")
    values = yaml.compose(source)
    assert isinstance(values, yaml.MappingNode)  # noqa: S101 - a file of this repository
    rows = "\n".join(list_rows(values, source.splitlines()))
    return f"{before}{README_TABLE}\n\n| value | default | meaning |\n| --- | --- | --- |\n{rows}\n\n{END}{after}"


def list_rows(node: yaml.MappingNode, lines: list[str], place: str = "") -> Iterator[str]:
    """Yield a row for each value, with the comment above it."""
    for key, value in node.value:
        comment = read_comment(lines, key.start_mark.line)
        nested = isinstance(value, yaml.MappingNode) and value.value and not value.flow_style
        if not nested:
            default = json.dumps(yaml.safe_load(yaml.serialize(value)))
            yield f"| `{place}{key.value}` | `{default}` | {comment} |"
            continue
        if comment:
            yield f"| `{place}{key.value}` |  | {comment} |"
        yield from list_rows(value, lines, f"{place}{key.value}.")


def read_comment(lines: list[str], number: int) -> str:
    """The comment right above a line, as one line; examples become code."""
    words: list[str] = []
    while number and lines[number - 1].lstrip().startswith("#"):
        number -= 1
        text = lines[number].lstrip().removeprefix("# ")
        words.insert(0, f"`{text.strip()}`" if text.startswith("  ") else text)
    return " ".join(words).replace("|", "\\|")


def list_outdated() -> Iterator[tuple[Path, str | None]]:
    """Yield each file that is out of date, with its new text; None if it must be deleted."""
    return outdated.list_outdated(dict(list_files()), CHART.glob("files/*/*"))


def main(arguments: list[str]) -> int:
    """Write what is out of date, or with `--check` name it."""
    return outdated.update(list_outdated(), arguments, "python -m docs.chart", CHART.parents[1])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
