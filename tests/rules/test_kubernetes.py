"""The PrometheusRule objects hold the plain files' rules, all of them and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from docs import kubernetes
from exporter.commands.bundle import get_object_name
from tests.rules.rulefiles import PROMETHEUS, load

SOURCES = [*sorted(PROMETHEUS.glob("rules/*.yml")), *sorted(PROMETHEUS.glob("alerts/*.yml"))]


@pytest.mark.parametrize("path", SOURCES, ids=get_object_name)
def test_an_object_holds_the_same_groups_as_its_file(path: Path) -> None:
    made = load(PROMETHEUS / "kubernetes" / f"{get_object_name(path)}.yaml")
    assert (made["apiVersion"], made["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    assert made["spec"] == load(path)


def test_none_is_missing_old_or_left_over() -> None:
    assert list(kubernetes.list_outdated()) == [], "run python -m docs.kubernetes"


def test_groups_have_names_of_their_own() -> None:
    """The operator loads all of them into one Prometheus; promtool orders groups by name."""
    names = [group["name"] for path in SOURCES for group in load(path)["groups"]]
    assert sorted(names) == sorted(set(names))


def test_what_is_out_of_date_is_found_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rules").mkdir()
    (tmp_path / "rules" / "a.yml").write_text("# Why.\ngroups: []\n", encoding="utf-8")
    monkeypatch.setattr(kubernetes, "PROMETHEUS", tmp_path)
    monkeypatch.setattr(kubernetes, "FOLDER", tmp_path / "kubernetes")
    assert kubernetes.main(["--check"]) == 1
    assert "rules-a.yaml is out of date" in capsys.readouterr().out
    assert kubernetes.main([]) == 0
    (tmp_path / "kubernetes" / "rules-gone.yaml").write_text("old", encoding="utf-8")
    assert kubernetes.main(["--check"]) == 1
    assert kubernetes.main([]) == 0
    assert kubernetes.main(["--check"]) == 0
    assert [path.name for path in (tmp_path / "kubernetes").iterdir()] == ["rules-a.yaml"]
    assert load(tmp_path / "kubernetes" / "rules-a.yaml")["spec"] == {"groups": []}


def test_the_service_monitor_of_the_docs_gives_the_next_pod_the_same_labels() -> None:
    """`max without (instance, pod)` of an increase is too low if the series of one window are those of two pods."""
    page = (PROMETHEUS.parent / "docs" / "alerts.md").read_text(encoding="utf-8")
    (endpoint,) = yaml.safe_load(page.partition("```yaml\nendpoints:")[2].partition("```")[0])
    rules = endpoint["relabelings"]
    assert {rule["targetLabel"] for rule in rules if "targetLabel" in rule} == {"airflow", "instance"}
    assert [rule["regex"] for rule in rules if rule.get("action") == "labeldrop"] == ["pod|container|endpoint"]
