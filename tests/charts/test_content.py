"""Rules and dashboards of a rendering are those of the command `rules`, for any identity."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from exporter.commands import bundle
from tests.charts.helm import NAME, Helm, Object, select

LINKS = "airflow:links:info"
NAMESPACES = "airflow:pod_namespace:info"
IDENTITIES = [(), ("cluster",), ("cluster", "region")]
each_identity = pytest.mark.parametrize("further", IDENTITIES, ids=lambda further: "-".join(further) or "airflow")


def render(helm: Helm, further: tuple[str, ...], **rules: Any) -> list[Object]:
    identity = {"airflow": "production", **{label: f"a-{label}" for label in further}}
    return helm.render({"identity": identity, "rules": {"enabled": True, **rules}, "dashboards": {"enabled": True}})


def list_settings(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {rule["record"]: rule for group in spec["groups"] for rule in group["rules"]}


def set_namespace(rules: dict[str, Any], labels: dict[str, str]) -> None:
    (rule,) = [rule for group in rules["groups"] for rule in group["rules"] if rule["record"] == NAMESPACES]
    rule["labels"] = labels


@each_identity
def test_rules_are_those_of_the_command(helm: Helm, further: tuple[str, ...]) -> None:
    made = {one["metadata"]["name"]: one["spec"] for one in select(render(helm, further), "PrometheusRule")}
    wanted = {f"{NAME}-{bundle.get_object_name(path)}": path for path in bundle.list_rule_files()}
    assert made.keys() == wanted.keys()
    for name, path in wanted.items():
        rules = yaml.safe_load(bundle.render_rules(path, further))
        if path.name == "settings.yml":
            # The release is in the namespace airflow, and its Airflow is called production.
            further_labels = {label: f"a-{label}" for label in further}
            set_namespace(rules, {"namespace": "airflow", "airflow": "production", **further_labels})
        assert made[name] == rules, name


@each_identity
def test_dashboards_are_those_of_the_command(helm: Helm, further: tuple[str, ...]) -> None:
    made = [
        one for one in select(render(helm, further), "ConfigMap") if one["metadata"]["labels"].get("grafana_dashboard")
    ]
    texts = {name: text for one in made for name, text in one["data"].items()}
    wanted = {path.name: path for path in bundle.get_folder("dashboards").glob("*.json")}
    assert texts.keys() == wanted.keys()
    for name, path in wanted.items():
        assert json.loads(texts[name]) == json.loads(bundle.render_dashboard(path, further)), name
        # kubectl apply repeats an object in an annotation, which holds at most 256 KiB.
        assert len(json.dumps(texts[name])) < 1 << 18, name


@each_identity
def test_promtool_accepts_the_rules(helm: Helm, promtool: Path, tmp_path: Path, further: tuple[str, ...]) -> None:
    rendered = select(render(helm, further, thresholds={"dag_late_seconds": 3600000}), "PrometheusRule")
    groups = [group for one in rendered for group in one["spec"]["groups"]]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": groups}), encoding="utf-8")
    command = [str(promtool), "check", "rules", "--lint=all", "--lint-fatal", str(tmp_path / "rules.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_pods_of_the_namespace_and_of_those_of_the_values_belong_to_an_airflow(helm: Helm) -> None:
    rendered = render(helm, (), podNamespaces={"jobs": "other"})
    (made,) = [one for one in select(rendered, "PrometheusRule") if one["metadata"]["name"].endswith("rules-settings")]
    rules = [rule for group in made["spec"]["groups"] for rule in group["rules"] if rule["record"] == NAMESPACES]
    assert [rule["labels"] for rule in rules] == [
        {"namespace": "airflow", "airflow": "production"},
        {"namespace": "jobs", "airflow": "other"},
    ]


def test_they_are_those_of_the_cluster_of_the_release(helm: Helm) -> None:
    rendered = render(helm, ("cluster",))
    (made,) = [one for one in select(rendered, "PrometheusRule") if one["metadata"]["name"].endswith("rules-settings")]
    rules = [rule for group in made["spec"]["groups"] for rule in group["rules"] if rule["record"] == NAMESPACES]
    assert [set(rule["labels"]) for rule in rules] == [{"namespace", "airflow", "cluster"}]


def test_thresholds_and_links_are_those_of_the_values(helm: Helm) -> None:
    links = {"grafanaUrl": "https://grafana.example.org", "runbooksUrl": "https://exporter.example.org/runbooks"}
    rendered = render(helm, (), thresholds={"dag_late_seconds": 3600, "cpu_ratio": 0.25}, **links)
    (made,) = [
        one["spec"] for one in select(rendered, "PrometheusRule") if one["metadata"]["name"].endswith("rules-settings")
    ]
    settings, shipped = (
        list_settings(made),
        list_settings(yaml.safe_load((bundle.get_folder("rules") / "settings.yml").read_text())),
    )
    assert settings.pop(LINKS)["labels"] == {"grafana": links["grafanaUrl"], "runbooks": links["runbooksUrl"]}
    shipped.pop(LINKS)
    assert settings.pop(NAMESPACES) != shipped.pop(NAMESPACES)
    changed = {name: rule["expr"] for name, rule in settings.items() if rule != shipped[name]}
    assert changed == {
        "airflow:threshold:dag_late_seconds": "vector(3600)",
        "airflow:threshold:cpu_ratio": "vector(0.25)",
    }
    assert settings.keys() == shipped.keys()
