"""Rules with further labels beside `airflow`: two clusters with Airflows of the same name stay apart in all of them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser as ast
import pytest
import yaml
from click.testing import CliRunner

from exporter.cli import main
from exporter.commands import bundle
from tests.contract.promql import walk
from tests.rules.clusters import CLUSTERS, double
from tests.rules.rulefiles import PROMETHEUS, TESTS, load

FURTHER = ("cluster", "namespace")
EXPRESSIONS = {
    f"{path.stem}: {rule.get('record', rule.get('alert'))} {number}": rule["expr"]
    for path in bundle.list_rule_files()
    for group in yaml.safe_load(bundle.render_rules(path, FURTHER))["groups"]
    for number, rule in enumerate(group["rules"])
}
RANGE = re.compile(r"\[?\$__(rate_interval|range|interval)\]?")


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rules of two clusters, as the command writes them."""
    folder = tmp_path_factory.mktemp("clusters")
    done = CliRunner().invoke(main, ["rules", "--identity=airflow,cluster", f"--output={folder}"])
    assert done.exit_code == 0, done.output
    return folder


@pytest.fixture
def edited(rules: Path, tmp_path: Path) -> Path:
    """The same, and the namespace of the example is written once for each cluster, as settings.yml says."""
    shutil.copytree(rules, tmp_path / "rules")
    settings = tmp_path / "rules" / "rules" / "settings.yml"
    text = settings.read_text(encoding="utf-8")
    entry = text[text.index("      - record: airflow:pod_namespace:info") : text.index("\n      # --- components")]
    each = "".join(f"{entry.rstrip()}\n          cluster: {cluster}\n" for cluster in CLUSTERS)
    settings.write_text(text.replace(entry, each), encoding="utf-8")
    return tmp_path / "rules"


def run(program: Path, *arguments: str | Path) -> None:
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("path", TESTS, ids=lambda path: path.stem)
def test_each_cluster_has_its_own_alerts_and_figures(promtool: Path, edited: Path, path: Path, tmp_path: Path) -> None:
    doubled = tmp_path / path.name
    doubled.write_text(yaml.safe_dump(double(path, edited), sort_keys=False), encoding="utf-8")
    run(promtool, "test", "rules", doubled)


def test_rules_that_do_not_know_clusters_fail_that(promtool: Path, tmp_path: Path) -> None:
    """The test above is worth something: the plain rules do not pass it."""
    doubled = tmp_path / "waiting.yml"
    doubled.write_text(yaml.safe_dump(double(PROMETHEUS / "tests" / "waiting.yml", PROMETHEUS)), encoding="utf-8")
    done = subprocess.run([promtool, "test", "rules", doubled], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f'cluster="{CLUSTERS[0]}"' in done.stdout + done.stderr


def find_lists(expression: str) -> Iterator[tuple[str, list[str]]]:
    """Each list of labels of an expression, and what it does with them."""
    for node in walk(ast.parse(expression)):
        modifier = getattr(node, "modifier", None)
        if isinstance(node, ast.AggregateExpr) and modifier:
            yield ("keeps" if modifier.type == ast.AggModifierType.By else "drops"), list(modifier.labels)
        elif isinstance(node, ast.BinaryExpr) and modifier and modifier.matching:
            matching = modifier.matching
            yield ("keeps" if matching.type == ast.LabelModifierType.Include else "drops"), list(matching.labels)


@pytest.mark.parametrize("expression", EXPRESSIONS.values(), ids=EXPRESSIONS)
def test_every_list_that_has_airflow_has_the_further_labels(expression: str) -> None:
    for what, labels in find_lists(expression):
        if what == "keeps":
            assert bool({"airflow", "namespace"} & set(labels)) == (set(FURTHER) <= set(labels))
        elif labels != ["airflow", "namespace"]:  # the only Airflow of a cluster, for pods of an unknown one
            assert not {"airflow", *FURTHER} & set(labels)


def test_nothing_else_changes(rules: Path) -> None:
    """Without what was put in, a file is what it was: comments, names, thresholds."""
    for path in bundle.list_rule_files():
        written = (rules / path.parent.name / path.name).read_text(encoding="utf-8")
        for added in (
            ", cluster", "{{ with $labels.cluster }} cluster={{ . }}{{ end }}", ",cluster=%q", " $labels.cluster",
            "&var-cluster={{ $labels.cluster | urlquery }}", "&cluster={{ $labels.cluster | urlquery }}",
        ):  # fmt: skip
            written = written.replace(added, "")
        for link in ("&var-cluster={{ | urlquery }}", "&cluster={{ | urlquery }}"):
            written = written.replace(link, "")
        assert written == path.read_text(encoding="utf-8")


def test_without_further_labels_files_are_as_they_are(tmp_path: Path) -> None:
    assert CliRunner().invoke(main, ["rules", f"--output={tmp_path}"]).exit_code == 0
    for path in bundle.list_rule_files():
        assert (tmp_path / path.parent.name / path.name).read_text() == path.read_text()
    for path in bundle.get_folder("dashboards").glob("*.json"):
        assert (tmp_path / "dashboards" / path.name).read_text() == path.read_text()
    written = (tmp_path / "alertmanager" / "alertmanager.yml").read_text()
    assert written == (bundle.get_folder("alertmanager") / "alertmanager.yml").read_text()


def test_printed_they_are_one_valid_file(promtool: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["rules", "--identity=airflow,cluster"])
    file = tmp_path / "all.yml"
    file.write_text(done.output, encoding="utf-8")
    run(promtool, "check", "rules", "--lint=all", "--lint-fatal", file)
    groups = [group["name"] for path in bundle.list_rule_files() for group in load(path)["groups"]]
    assert [group["name"] for group in load(file)["groups"]] == groups


def test_prometheus_rule_objects_hold_the_same(rules: Path, tmp_path: Path) -> None:
    printed = CliRunner().invoke(main, ["rules", "--identity=airflow,cluster", "--format=kubernetes"]).output
    arguments = ["rules", "--identity=airflow,cluster", "--format=kubernetes", f"--output={tmp_path}"]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    made = {one["metadata"]["name"]: one for one in yaml.safe_load_all(printed)}
    for path in bundle.list_rule_files():
        name = bundle.get_object_name(path)
        assert made[f"airflow-{name}"]["kind"] == "PrometheusRule"
        assert made[f"airflow-{name}"]["spec"] == load(rules / path.parent.name / path.name)
        assert load(tmp_path / f"{name}.yaml") == made[f"airflow-{name}"]


def find_expressions(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (inner for key, inner in value.items() if key == "expr" and isinstance(inner, str))
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from find_expressions(inner)


@pytest.mark.parametrize("path", sorted(bundle.get_folder("dashboards").glob("*.json")), ids=lambda path: path.stem)
def test_dashboards_choose_the_cluster_everywhere(path: Path) -> None:
    board = json.loads(bundle.render_dashboard(path, FURTHER))
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    names = list(variables)
    assert names[1:4] == [*FURTHER, "airflow"]
    assert variables["namespace"]["query"] == 'label_values(airflow_exporter_build_info{cluster="$cluster"}, namespace)'
    # Links are those of the ruler, for all of its clusters, and the fleet is that of all of them.
    chosen = [variables[name]["query"] for name in names[3:] if name not in ("runbooks", "fleet")]
    assert all('cluster="$cluster"' in query for query in chosen)
    expressions = list(find_expressions(board))
    assert expressions
    for expression in expressions:
        for node in walk(ast.parse(RANGE.sub(lambda found: "[5m]" if found[0][0] == "[" else "5m", expression))):
            if isinstance(node, ast.VectorSelector):
                matched = {matcher.name: matcher.value for matcher in node.matchers.matchers}
                if matched.get("airflow") != "$fleet":
                    assert ("airflow" in matched) == (set(FURTHER) <= set(matched)), expression


def test_the_fleet_has_one_row_for_each_airflow_of_each_cluster() -> None:
    board = json.loads(bundle.render_dashboard(bundle.get_folder("dashboards") / "airflow-overview.json", FURTHER))
    (fleet,) = [panel for panel in board["panels"] if panel["title"] == "Fleet"]
    for target in fleet["targets"]:
        assert set(re.findall(r"by\(([^)]+)\)", target["expr"])) == {"airflow, cluster, namespace"}
    (names,) = [
        shape["options"]["include"]["names"] for shape in fleet["transformations"] if "include" in shape["options"]
    ]
    assert {"airflow", *FURTHER} <= set(names)
    assert '&var-cluster=${__data.fields["cluster"]:percentencode}' in json.dumps(fleet).replace('\\"', '"')


def test_an_identity_that_cannot_be_is_refused() -> None:
    done = CliRunner().invoke(main, ["rules", "--identity=cluster"])
    assert done.exit_code == 1
    assert "--identity=cluster: write airflow first" in done.output


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    done = CliRunner().invoke(main, ["rules", f"--output={tmp_path / 'file' / 'below'}"])
    assert done.exit_code == 1
    assert "Not a directory" in done.output
