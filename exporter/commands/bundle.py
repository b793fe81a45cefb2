"""The files of the commands `rules` and `bundle`: rules, alerts, dashboards and Alertmanager configuration.

If one ruler evaluates the Airflows of several clusters, further labels identify an Airflow besides `airflow`; they are
added everywhere. Files keep their comments and order; without further labels they are written unchanged.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

import yaml

from exporter.commands.identity import (
    AIRFLOW,
    IdentityError,
    parse_identity,
    rewrite_dashboard_text,
    rewrite_promql,
    rewrite_template,
)
from exporter.commands.rule_settings import DEFAULTS, FILE, RuleSettings, parse_settings
from exporter.commands.yaml_edits import TextEdit, apply_edits, walk_pairs

PACKAGE_FOLDER = Path(__file__).parents[1] / "bundle_files"
REPOSITORY_FOLDER = Path(__file__).parents[2]
FOLDERS = {
    "rules": "prometheus/rules",
    "alerts": "prometheus/alerts",
    "alertmanager": "alertmanager",
    "dashboards": "grafana/dashboards",
    "charts": "charts",
    "examples": "examples",
    "systemd": "packages/systemd",
    "provisioning": "grafana/provisioning",
    "longterm": "prometheus/longterm",
    "native": "prometheus/native",
    "prometheus": "prometheus",
}
"""Folders of the repository; a wheel has them in PACKAGE_FOLDER, as pyproject.toml says."""
RULE_OBJECT_HEAD = """# Generated from {source} by {generator}: change that one.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: airflow-{name}
  labels:
    app.kubernetes.io/name: airflow-metrics-exporter
spec:
"""
WHERE_TEMPLATE = re.compile(r'(\{\{ define "airflow\.where" \}\})(.*)(\{\{ end \}\}\n)')
"""The template with the name of the Airflow in a notification."""
LABEL_LIST_KEYS = frozenset({"group_by", "equal"})
"""Keys of the Alertmanager configuration with lists of labels that identify a group."""
Json = dict[str, Any] | list[Any] | str | float | None
"""A value of a dashboard."""


def get_folder(name: str) -> Path:
    """The folder of a part of the bundle: in the installed package, or in a checkout of the repository."""
    installed = PACKAGE_FOLDER / name
    return installed if installed.is_dir() else REPOSITORY_FOLDER / FOLDERS[name]


def list_rule_files() -> list[Path]:
    """The files with recording rules, then those with alerts."""
    return [path for name in ("rules", "alerts") for path in sorted(get_folder(name).glob("*.yml"))]


def render_rules(path: Path, further: Sequence[str] = (), settings: RuleSettings = DEFAULTS) -> str:
    """A file of rules, with the further labels and the settings. Raises SettingsError."""
    text = path.read_text(encoding="utf-8")
    if further:
        text = apply_edits(text, _list_rule_edits(yaml.compose(text), text, further))
    return settings.apply(text) if path.match(str(FILE)) else text


def render_rule_object(
    path: Path,
    further: Sequence[str] = (),
    generator: str = "airflow-exporter rules",
    settings: RuleSettings = DEFAULTS,
) -> str:
    """A file of rules as a PrometheusRule object."""
    head = RULE_OBJECT_HEAD.format(
        source=f"prometheus/{path.parent.name}/{path.name}", generator=generator, name=get_object_name(path)
    )
    return head + "".join(f"  {line}".rstrip() + "\n" for line in render_rules(path, further, settings).splitlines())


def get_object_name(path: Path) -> str:
    """The name of the object of a file, for example rules-tasks for `rules/tasks.yml`."""
    return f"{path.parent.name}-{path.stem}"


def render_all_rules(further: Sequence[str] = (), settings: RuleSettings = DEFAULTS) -> str:
    """All rules and alerts as one YAML file."""
    bodies = (render_rules(path, further, settings).replace("\ngroups:\n", "\n", 1) for path in list_rule_files())
    return "groups:\n" + "\n".join(body.rstrip("\n") + "\n" for body in bodies)


def render_all_objects(further: Sequence[str] = (), settings: RuleSettings = DEFAULTS) -> str:
    """All PrometheusRule objects as YAML documents."""
    return "---\n".join(render_rule_object(path, further, settings=settings) for path in list_rule_files())


def render_dashboard(path: Path, further: Sequence[str] = ()) -> str:
    """A dashboard, with a variable for each further label."""
    text = path.read_text(encoding="utf-8")
    if not further:
        return text
    board = json.loads(text)
    board["templating"]["list"] = list(_add_variables(board["templating"]["list"], further))
    return json.dumps(rewrite_strings(board, further), indent=2, ensure_ascii=False) + "\n"


def render_alertmanager(path: Path, further: Sequence[str] = ()) -> str:
    """The Alertmanager configuration; groups and inhibitions use the further labels too."""
    text = path.read_text(encoding="utf-8")
    return apply_edits(text, _list_label_edits(yaml.compose(text), further)) if further else text


def render_template(path: Path, further: Sequence[str] = ()) -> str:
    """A notification template, with the further labels in the name of the Airflow."""
    named = "".join(f"{{{{ with .CommonLabels.{label} }}}} {label}={{{{ . }}}}{{{{ end }}}}" for label in further)
    return WHERE_TEMPLATE.sub(lambda found: found[1] + found[2] + named + found[3], path.read_text(encoding="utf-8"))


def render_files(
    form: str, further: Sequence[str] = (), settings: RuleSettings = DEFAULTS
) -> Iterator[tuple[PurePosixPath, str]]:
    """Yield path and text of each file of the bundle. `form` is prometheus or kubernetes."""
    for path in list_rule_files():
        if form == "kubernetes":
            yield PurePosixPath(f"{get_object_name(path)}.yaml"), render_rule_object(path, further, settings=settings)
        else:
            yield PurePosixPath(path.parent.name, path.name), render_rules(path, further, settings)
    alertmanager, dashboards = get_folder("alertmanager"), get_folder("dashboards")
    yield (
        PurePosixPath("alertmanager/alertmanager.yml"),
        render_alertmanager(alertmanager / "alertmanager.yml", further),
    )
    for path in sorted((alertmanager / "templates").glob("*.tmpl")):
        yield PurePosixPath("alertmanager/templates", path.name), render_template(path, further)
    for path in sorted(dashboards.glob("*.json")):
        yield PurePosixPath("dashboards", path.name), render_dashboard(path, further)


def parse_choices(given: Mapping[str, Any]) -> tuple[tuple[str, ...], RuleSettings]:
    """The further labels and the settings, from the options of a command. Raises ValueError, which names the option."""
    try:
        return parse_identity(given["identity"])[1:], parse_settings(given)
    except IdentityError as error:
        raise ValueError(f"--identity={error}") from error


def write_files(folder: Path, files: Iterable[tuple[PurePath, str]]) -> int:
    """Write all files, and return how many. Raises OSError, and before the first is written SettingsError."""
    texts = list(files)
    for name, text in texts:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return len(texts)


# ---- edits ---------------------------------------------------------------------------------------


def _list_rule_edits(document: yaml.Node | None, text: str, further: Sequence[str]) -> Iterator[TextEdit]:
    """Yield the edits of expressions and annotations."""
    for key, value in walk_pairs(document):
        if key == "expr":
            yield _build_edit(value, text, rewrite_promql, further)
        elif key == "annotations":
            for _, note in value.value:
                yield _build_edit(note, text, rewrite_template, further)


def _build_edit(
    node: yaml.Node, text: str, rewrite: Callable[[str, Sequence[str]], str], further: Sequence[str]
) -> TextEdit:
    start, end = node.start_mark.index, node.end_mark.index
    return start, end, rewrite(text[start:end], further)


def _list_label_edits(document: yaml.Node | None, further: Sequence[str]) -> Iterator[TextEdit]:
    for key, value in walk_pairs(document):
        if key in LABEL_LIST_KEYS:
            yield from (
                (item.start_mark.index, item.end_mark.index, ", ".join((AIRFLOW, *further)))
                for item in value.value
                if item.value == AIRFLOW
            )


# ---- dashboards ---------------------------------------------------------------------------------


def _add_variables(variables: Sequence[dict[str, Any]], further: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the variables, with one per further label before `airflow`; each query filters by those before it."""
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


def rewrite_strings(value: Json, further: Sequence[str], key: str = "") -> Json:
    """Rewrite every string of a dashboard so that it uses the further labels wherever it uses `airflow`."""
    if isinstance(value, dict):
        return {name: rewrite_strings(inner, further, name) for name, inner in value.items()}
    if isinstance(value, list):
        shown = [*value, *further] if key == "names" and AIRFLOW in value else value
        return [rewrite_strings(inner, further) for inner in shown]
    if isinstance(value, str):
        return rewrite_dashboard_text(rewrite_promql(value, further) if key == "expr" else value, further)
    return value
