"""What `bundle` and `rules` write, with the user's thresholds, links and labels."""

from __future__ import annotations

import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from exporter import __version__
from exporter.cli import main
from exporter.commands import bundle
from exporter.revision import UNKNOWN, read_revision

ROOT = Path(__file__).parents[3]
CHOICES = (
    "--threshold=dag_late_seconds=3600",
    "--threshold=retry_ratio=0.1",
    "--grafana-url=https://g.example.org/a/",
)


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    written = tmp_path_factory.mktemp("bundle")
    done = invoke("bundle", f"--output={written}", "--identity=airflow,cluster", *CHOICES)
    assert done.exit_code == 0, done.output
    return written


def test_the_bundle_holds_every_file_of_the_repository(folder: Path) -> None:
    pairs = {
        "prometheus/rules": "rules", "prometheus/alerts": "alerts", "prometheus/kubernetes": "kubernetes",
        "alertmanager/receivers": "alertmanager/receivers", "alertmanager/templates": "alertmanager/templates",
        "grafana/dashboards": "dashboards", "docs/runbooks": "runbooks", "charts": "charts", "examples": "examples",
        "packages/systemd": "systemd", "grafana/provisioning": "provisioning",
    }  # fmt: skip
    for source, written in pairs.items():
        names = {
            str(path.relative_to(ROOT / source))
            for path in (ROOT / source).rglob("*")
            if path.is_file() and path.suffix != ".pyc"
        }
        found = {
            str(path.relative_to(folder / written))
            for path in (folder / written).rglob("*")
            if path.is_file() and path.suffix != ".pyc"
        }
        assert names, source
        assert names == found - {"values.yaml"}, source
    assert f"airflow-metrics-exporter {__version__}, revision" in read(folder / "RELEASE")


def test_prometheus_starts_with_the_bundle_as_it_is(folder: Path, promtool: Path) -> None:
    """Its configuration names the rules beside it, and the further labels that these need."""
    configuration = yaml.safe_load(read(folder / "prometheus.yml"))
    assert all(list(folder.glob(pattern)) for pattern in configuration["rule_files"])
    (job,) = configuration["scrape_configs"]
    assert job["static_configs"][0]["labels"].keys() == {"airflow", "cluster"}
    done = subprocess.run(
        [promtool, "check", "config", folder / "prometheus.yml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_else_pages_name_is_there(folder: Path) -> None:
    for name in ("longterm/trends.yml", "native/histograms.yml"):
        assert "airflow, cluster" in read(folder / name), name
    compile(read(folder / "alertmanager/inbox.py"), "inbox.py", "exec")


def test_thresholds_and_links_are_those_that_were_given(folder: Path) -> None:
    before, after = read(ROOT / "prometheus/rules/settings.yml"), read(folder / "rules/settings.yml")
    changed = [
        (old.strip(), new.strip())
        for old, new in zip(before.splitlines(), after.splitlines(), strict=True)
        if old != new
    ]
    assert changed == [
        ("grafana: http://localhost:3000", "grafana: https://g.example.org/a"),
        ("expr: vector(86400)", "expr: vector(3600)"),
        ("expr: vector(0.5)", "expr: vector(0.1)"),
    ]
    plain, objects = yaml.safe_load(after), yaml.safe_load(read(folder / "kubernetes/rules-settings.yaml"))
    assert objects["spec"] == plain
    assert yaml.safe_load(read(folder / "charts/values.yaml")) == {
        "rules": {
            "grafanaUrl": "https://g.example.org/a",
            "thresholds": {"dag_late_seconds": 3600, "retry_ratio": 0.1},
        }
    }


def test_the_further_label_is_in_rules_dashboards_and_alertmanager(folder: Path) -> None:
    for name in ("rules/tasks.yml", "kubernetes/rules-tasks.yaml", "alertmanager/alertmanager.yml"):
        assert "airflow, cluster" in read(folder / name), name
    assert 'cluster=\\"$cluster\\"' in read(folder / "dashboards/airflow-overview.json")


def test_without_choices_nothing_differs_from_the_repository(tmp_path: Path) -> None:
    assert invoke("bundle", f"--output={tmp_path}").exit_code == 0
    assert read(tmp_path / "rules/settings.yml") == read(ROOT / "prometheus/rules/settings.yml")
    assert not (tmp_path / "charts/values.yaml").exists()


def test_rules_are_printed_with_the_same_choices() -> None:
    printed = invoke("rules", *CHOICES)
    assert printed.exit_code == 0
    assert printed.stdout.count("vector(3600)") == bundle.render_all_rules().count("vector(3600)") + 1


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--threshold=dag_late=1", "--threshold=dag_late: there is no such threshold; docs/alerts.md lists them"),
        ("--threshold=retry_ratio", "--threshold=retry_ratio: write a name and a number, as in dag_late_seconds=3600"),
        ("--threshold=retry_ratio=inf", "--threshold=retry_ratio=inf: write a name and a number"),
        ("--grafana-url=grafana", "--grafana-url=grafana: write an address, as in https://grafana.example.org"),
        ("--runbooks-url=https://a b", "--runbooks-url=https://a b: write an address"),
        ("--identity=cluster", "--identity=cluster: write airflow first"),
    ],
)
def test_a_wrong_choice_is_named_and_nothing_is_written(argument: str, message: str, tmp_path: Path) -> None:
    for command in ("bundle", "rules"):
        refused = invoke(command, f"--output={tmp_path}", argument)
        assert refused.exit_code == 1
        assert refused.stderr.startswith(message)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused = invoke("bundle", f"--output={tmp_path / 'file' / 'bundle'}")
    assert (refused.exit_code, "Not a directory; set --output" in refused.stderr) == (1, True)


def test_the_wheel_is_made_of_the_folders_that_the_bundle_reads() -> None:
    built = tomllib.loads(read(ROOT / "pyproject.toml"))["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    inside = {target.removeprefix("exporter/bundle_files/"): source for source, target in built.items()}
    for name, source in bundle.FOLDERS.items():
        found = {part: made for part, made in inside.items() if part == name or part.startswith(f"{name}/")}
        assert found, name
        for part, made in found.items():
            assert made == f"{source}{part.removeprefix(name)}"


def test_the_revision_is_that_of_the_build(tmp_path: Path) -> None:
    assert read_revision(tmp_path / "REVISION") == UNKNOWN
    (tmp_path / "REVISION").write_text("abc123\n")
    assert read_revision(tmp_path / "REVISION") == "abc123"
