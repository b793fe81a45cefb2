"""Every rendering of the matrix of values: by Helm's linter, Kubernetes' schemas, and the committed renderings."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

import exporter
from docs import chart
from exporter.commands.bundle import list_rule_files
from tests.charts.helm import CHART, ROOT, VALUES, Helm, get_container, get_pod, parse, read, select

RELEASES = ("1.25", "1.34", "1.37")
"""Of Kubernetes: the oldest that Chart.yaml allows, one in wide use, and the newest whose schemas there are."""
MAX_SECRET = 1 << 20
"""Bytes of a Secret, in which Helm stores a release."""
each_values = pytest.mark.parametrize("path", VALUES, ids=lambda path: path.stem)


@each_values
def test_helm_lints_it(helm: Helm, path: Path) -> None:
    assert "0 chart(s) failed" in helm.run("lint", "--strict", CHART, values=read(path))


@each_values
@pytest.mark.parametrize("release", RELEASES)
def test_kubernetes_knows_every_field(helm: Helm, path: Path, release: str) -> None:
    for one in parse(helm.template(f"--kube-version={release}.0", values=read(path))):
        if not one["apiVersion"].startswith("monitoring.coreos.com/"):
            kubernetes_validate.validate(one, release, strict=True)


@each_values
def test_it_is_as_committed(helm: Helm, path: Path, golden: Callable[[str, bytes], None]) -> None:
    """All but rules and dashboards, which tests/charts/test_content.py compares with their files."""
    documents = helm.template(values=read(path)).split("---\n")
    kept = [text for text in documents if "component: rules" not in text and "component: dashboards" not in text]
    golden(f"charts/{path.stem}.yaml", "---\n".join(kept).encode())


@each_values
def test_names_and_selectors_agree(helm: Helm, path: Path) -> None:
    objects = helm.render(read(path))
    names = [(one["kind"], one["metadata"]["name"]) for one in objects]
    assert len(names) == len(set(names))
    pods = [one["spec"]["template"] for one in objects if one["kind"] in {"Deployment", "DaemonSet"}]
    labels = [pod["metadata"]["labels"].items() for pod in pods]
    for service in select(objects, "Service"):
        (chosen,) = [one for one in labels if service["spec"]["selector"].items() <= one]
        assert (
            chosen
            == labels[
                [one["kind"] for one in objects if one["kind"] in {"Deployment", "DaemonSet"}].index("Deployment")
            ]
        )
        ports = {port["name"] for port in get_container(objects)["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    accounts = {one["metadata"]["name"] for one in select(objects, "ServiceAccount")}
    assert {pod["spec"]["serviceAccountName"] for pod in pods} <= (accounts or {"default", "monitoring"})


@each_values
def test_it_is_secure(helm: Helm, path: Path) -> None:
    """The level `restricted` of Pod Security; a DaemonSet differs in what it must read of its node."""
    objects = helm.render(read(path))
    assert not select(objects, "Secret")
    for kind in {"Deployment", "DaemonSet"} & {one["kind"] for one in objects}:
        pod, container = get_pod(objects, kind), get_container(objects, kind)
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["runAsUser"] > 0
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert pod.get("hostPID", False) == (kind == "DaemonSet")
        on_host = {volume["name"] for volume in pod["volumes"] if "hostPath" in volume}
        assert on_host == ({"proc", "sys", "root"} if kind == "DaemonSet" else set())
        assert all(mount["readOnly"] for mount in container["volumeMounts"] if mount["name"] in {*on_host, "files"})


@each_values
def test_a_release_fits_into_its_secret(helm: Helm, path: Path) -> None:
    """Helm stores the chart and its rendering, as compressed JSON in which the files are base64."""
    files = [base64.b64encode(file.read_bytes()).decode() for file in CHART.rglob("*") if file.is_file()]
    release = json.dumps({"files": files, "manifest": helm.template(values=read(path))})
    assert len(base64.b64encode(gzip.compress(release.encode()))) < MAX_SECRET / 2


def test_two_exporters_never_share_the_counters(helm: Helm) -> None:
    (deployment,) = select(helm.render(), "Deployment")
    assert (deployment["spec"]["replicas"], deployment["spec"]["strategy"]) == (1, {"type": "Recreate"})


def test_a_change_of_the_configuration_restarts_the_pod(helm: Helm) -> None:
    def get_checksum(interval: str) -> str:
        (found,) = select(helm.render({"config": {"airflow": {"interval": interval}}}), "Deployment")
        checksum: str = found["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
        return checksum

    assert get_checksum("30s") != get_checksum("1m")
    assert get_checksum("1m") == get_checksum("1m")


def test_the_chart_has_the_version_of_the_exporter() -> None:
    assert read(CHART / "Chart.yaml")["appVersion"] == exporter.__version__
    assert f"ARG VERSION={exporter.__version__}\n" in (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_generated_files_are_up_to_date() -> None:
    assert [path.name for path, _ in chart.list_outdated()] == [], "run python -m docs.chart"


def test_what_is_out_of_date_is_found_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "charts" / "one"
    folder.mkdir(parents=True)
    (folder / "values.yaml").write_text("# Why.\na: {}\nb:\n  # See:\n  #   c: 2\n  c: 1\n", encoding="utf-8")
    (folder / "README.md").write_text("Before.\n<!-- generated: values -->\n<!-- end -->\nAfter.\n", encoding="utf-8")
    (folder / "values.schema.json").write_text((CHART / "values.schema.json").read_text(encoding="utf-8"))
    monkeypatch.setattr(chart, "CHART", folder)
    monkeypatch.setattr(chart, "list_rule_files", lambda: list_rule_files()[:1])
    monkeypatch.setattr(chart, "get_folder", lambda name: folder)
    assert chart.main(["--check"]) == 1
    assert "charts/one/README.md is out of date" in capsys.readouterr().out
    assert chart.main([]) == 0
    (folder / "files" / "rules" / "gone.yaml").write_text("old", encoding="utf-8")
    assert chart.main(["--check"]) == 1
    assert chart.main([]) == 0
    assert chart.main(["--check"]) == 0
    text = (folder / "README.md").read_text(encoding="utf-8")
    assert "| `a` | `{}` | Why. |\n| `b.c` | `1` | See: `c: 2` |\n" in text
    assert text.startswith("Before.\n")
    assert text.endswith("After.\n")


def test_every_value_is_in_the_schema_and_every_value_of_the_schema_is_shown() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))

    def compare(shown: dict[str, object], known: dict[str, dict[str, object]], place: str) -> None:
        assert set(shown) == set(known) - {"global"}, place
        for name, value in shown.items():
            inner = known[name].get("properties")
            if isinstance(value, dict) and isinstance(inner, dict):
                compare(value, inner, f"{place}.{name}")

    compare(values, schema["properties"], "values")
