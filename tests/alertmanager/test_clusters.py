"""Alertmanager's configuration for the Airflows of several clusters, as `airflow-exporter rules` writes it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import yaml

from exporter.commands import bundle


def test_it_groups_and_holds_back_within_one_cluster(amtool: Path, tmp_path: Path) -> None:
    bundle.write_files(tmp_path, bundle.render_files("prometheus", ("cluster",)))
    file = tmp_path / "alertmanager" / "alertmanager.yml"
    done = subprocess.run([amtool, "check-config", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    config = yaml.safe_load(file.read_text(encoding="utf-8"))
    lists = [rule["equal"] for rule in config["inhibit_rules"]]
    lists += [route["group_by"] for route in (config["route"], *config["route"]["routes"]) if "group_by" in route]
    assert len(lists) > 10
    assert all(labels[:2] == ["airflow", "cluster"] for labels in lists)
    template = (tmp_path / "alertmanager" / "templates" / "airflow.tmpl").read_text(encoding="utf-8")
    assert "{{ with .CommonLabels.cluster }} cluster={{ . }}{{ end }}" in template
