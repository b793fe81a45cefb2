"""The rules, alerts, dashboards and Alertmanager configuration of the exporter's release.

For one ruler that watches the Airflows of several clusters they are written with further labels beside `airflow` that
say which Airflow it is. Files keep their comments and their order; without further labels they are written as they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from exporter.commands.identity import AIRFLOW, rewrite_promql, rewrite_query, rewrite_template

INSTALLED = Path(__file__).parents[1] / "bundle_files"
REPOSITORY = Path(__file__).parents[2]
PLACES = {
    "rules": "prometheus/rules",
    "alerts": "prometheus/alerts",
    "alertmanager": "alertmanager",
    "dashboards": "grafana/dashboards",
}
"""Where the repository has what a wheel has in one folder."""
OBJECT = """# Generated from {source} by {generator}: change that one.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: airflow-{name}
  labels:
    app.kubernetes.io/name: airflow-metrics-exporter
spec:
"""
WHERE = re.compile(r'(\{\{ define "airflow\.where" \}\})(.*)(\{\{ end \}\}\n)')
"""The template that names the Airflow of a notification."""
LISTS = frozenset({"group_by", "equal"})
"""Keys of Alertmanager's configuration whose lists of labels say what belongs together."""
Json = dict[str, Any] | list[Any] | str | float | None
"""A value of a dashboard."""
Edit = tuple[int, int, str]
"""Where a text begins, where it ends, and what takes its place."""


def find_place(name: str) -> Path:
    """The folder of a part of the bundle: beside the package, or in the repository that it is run from."""
    installed = INSTALLED / name
    return installed if installed.is_dir() else REPOSITORY / PLACES[name]


def list_rule_files() -> list[Path]:
    """The files of recording rules, then those of alerts."""
    return [path for name in ("rules", "alerts") for path in sorted(find_place(name).glob("*.yml"))]


def write_rules(path: Path, further: Sequence[str] = ()) -> str:
    """A file of rules whose Airflows differ by the further labels too."""
    text = path.read_text(encoding="utf-8")
    return _edit(text, _find_rule_edits(yaml.compose(text), text, further)) if further else text


def write_object(path: Path, further: Sequence[str] = (), generator: str = "airflow-exporter rules") -> str:
    """The PrometheusRule object that holds a file of rules, line by line."""
    head = OBJECT.format(source=f"prometheus/{path.parent.name}/{path.name}", generator=generator, name=name_of(path))
    return head + "".join(f"  {line}".rstrip() + "\n" for line in write_rules(path, further).splitlines())


def name_of(path: Path) -> str:
    """Of `rules/tasks.yml` it is rules-tasks."""
    return f"{path.parent.name}-{path.stem}"


def join_rules(further: Sequence[str] = ()) -> str:
    """All rules and alerts as one file."""
    bodies = (write_rules(path, further).replace("\ngroups:\n", "\n", 1) for path in list_rule_files())
    return "groups:\n" + "\n".join(body.rstrip("\n") + "\n" for body in bodies)


def join_objects(further: Sequence[str] = ()) -> str:
    """All PrometheusRule objects, one YAML document each."""
    return "---\n".join(write_object(path, further) for path in list_rule_files())


def write_dashboard(path: Path, further: Sequence[str] = ()) -> str:
    """A dashboard that has a variable for each further label."""
    text = path.read_text(encoding="utf-8")
    if not further:
        return text
    board = json.loads(text)
    board["templating"]["list"] = list(_chain_variables(board["templating"]["list"], further))
    return json.dumps(_rewrite_strings(board, further), indent=2, ensure_ascii=False) + "\n"


def write_alertmanager(path: Path, further: Sequence[str] = ()) -> str:
    """Alertmanager's configuration: what is grouped and held back within one Airflow goes by the further labels too."""
    text = path.read_text(encoding="utf-8")
    return _edit(text, _find_list_edits(yaml.compose(text), further)) if further else text


def write_template(path: Path, further: Sequence[str] = ()) -> str:
    """A template of notifications: the Airflow is named with its further labels."""
    named = "".join(f"{{{{ with .CommonLabels.{label} }}}} {label}={{{{ . }}}}{{{{ end }}}}" for label in further)
    return WHERE.sub(lambda found: found[1] + found[2] + named + found[3], path.read_text(encoding="utf-8"))


def list_files(form: str, further: Sequence[str] = ()) -> Iterator[tuple[PurePosixPath, str]]:
    """Yield every file of the bundle, by its path in the output folder; `form` is prometheus or kubernetes."""
    for path in list_rule_files():
        if form == "kubernetes":
            yield PurePosixPath(f"{name_of(path)}.yaml"), write_object(path, further)
        else:
            yield PurePosixPath(path.parent.name, path.name), write_rules(path, further)
    alertmanager, dashboards = find_place("alertmanager"), find_place("dashboards")
    yield PurePosixPath("alertmanager/alertmanager.yml"), write_alertmanager(alertmanager / "alertmanager.yml", further)
    for path in sorted((alertmanager / "templates").glob("*.tmpl")):
        yield PurePosixPath("alertmanager/templates", path.name), write_template(path, further)
    for path in sorted(dashboards.glob("*.json")):
        yield PurePosixPath("dashboards", path.name), write_dashboard(path, further)


def write_folder(folder: Path, form: str, further: Sequence[str] = ()) -> int:
    """Write all of it, and say how many files it is. Raises OSError."""
    files = list(list_files(form, further))
    for name, text in files:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return len(files)


# ---- edits in place: YAML says where a value stands, so that comments stay ----------------------


def _edit(text: str, edits: Iterator[Edit]) -> str:
    for start, end, fresh in sorted(edits, reverse=True):
        text = text[:start] + fresh + text[end:]
    return text


def _walk_pairs(node: yaml.Node | None) -> Iterator[tuple[str, yaml.Node]]:
    """Yield each key with its value, at any depth."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key.value, value
            yield from _walk_pairs(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _walk_pairs(item)


def _find_rule_edits(document: yaml.Node | None, text: str, further: Sequence[str]) -> Iterator[Edit]:
    """Expressions, and the texts of annotations."""
    for key, value in _walk_pairs(document):
        if key == "expr":
            yield _replace(value, text, rewrite_promql, further)
        elif key == "annotations":
            for _, note in value.value:
                yield _replace(note, text, rewrite_template, further)


def _replace(node: yaml.Node, text: str, rewrite: Callable[[str, Sequence[str]], str], further: Sequence[str]) -> Edit:
    start, end = node.start_mark.index, node.end_mark.index
    return start, end, rewrite(text[start:end], further)


def _find_list_edits(document: yaml.Node | None, further: Sequence[str]) -> Iterator[Edit]:
    for key, value in _walk_pairs(document):
        if key in LISTS:
            yield from (
                (item.start_mark.index, item.end_mark.index, ", ".join((AIRFLOW, *further)))
                for item in value.value
                if item.value == AIRFLOW
            )


# ---- dashboards ---------------------------------------------------------------------------------


def _chain_variables(variables: Sequence[dict[str, Any]], further: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the variables with one for each further label before `airflow`, each narrowed by those before it."""
    for variable in variables:
        if variable["name"] != AIRFLOW:
            yield variable
            continue
        for number, label in enumerate((*further, AIRFLOW)):
            chosen = ", ".join(f'{other}="${other}"' for other in further[:number])
            family = f"airflow_exporter_build_info{{{chosen}}}" if chosen else "airflow_exporter_build_info"
            query = f"label_values({family}, {label})"
            named = {} if label == AIRFLOW else {"name": label, "label": label, "description": f"The label `{label}`."}
            yield {**variable, **named, "query": query, "definition": query}


def _rewrite_strings(value: Json, further: Sequence[str], key: str = "") -> Json:
    """Every string of a dashboard; expressions and columns keep the further labels where they keep `airflow`."""
    if isinstance(value, dict):
        return {name: _rewrite_strings(inner, further, name) for name, inner in value.items()}
    if isinstance(value, list):
        shown = [*value, *further] if key == "names" and AIRFLOW in value else value
        return [_rewrite_strings(inner, further) for inner in shown]
    if isinstance(value, str):
        return rewrite_query(rewrite_promql(value, further) if key == "expr" else value, further)
    return value
