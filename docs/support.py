"""The table of docs/support.md: which versions were tried and how, read from the files that try them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
AIRFLOW_OLDEST, AIRFLOW_NEWEST = "2.10", "3.3"
CHARTS = "tests/charts/test_rendering.py"

Row = tuple[str, str, str, str, str]
"""A program, what is supported, what was tried, how, and what was not tried."""


def write_support() -> str:
    """One row for each program."""
    lines = ["| | supported | tried | how | not tried |", "| --- | --- | --- | --- | --- |"]
    lines += ["| " + " | ".join(row) + " |" for row in (*list_airflow_rows(), *list_monitoring_rows())]
    return "\n".join(lines)


def list_airflow_rows() -> Iterator[Row]:
    """What is said of Airflow, of what it runs with, and of what the exporter runs on."""
    yield (
        "Airflow",
        f"{AIRFLOW_OLDEST} to {AIRFLOW_NEWEST}",
        f"{', '.join(sorted(read_make_list('AIRFLOW_VERSIONS')))}; once: {', '.join(list_started_once())}",
        "`make e2e` and others run the real release; [below](#airflow-releases-that-were-started-once) the others",
        "other patch releases: their API and StatsD names are compared by their sources only",
    )
    yield (
        "Executors",
        "all",
        "LocalExecutor, CeleryExecutor with Redis",
        "`make e2e`, `make e2e-workers`, `make e2e-diagnosis` with real schedulers and workers",
        "KubernetesExecutor and EdgeExecutor: only by the events and API replies that they would send",
    )
    yield (
        "Python",
        read_pyproject()["requires-python"],
        ", ".join(list_python()),
        "`make test`: with the oldest at each change, with the others when they were declared",
        "PyPy; macOS and Windows (the host source needs Linux)",
    )
    yield (
        "Machines",
        "Linux on amd64 and arm64",
        "amd64",
        "everything here ran on amd64",
        "arm64: the release workflow builds its image and Debian packages, which were never run",
    )
    yield (
        "Metadata database",
        "PostgreSQL, MySQL, MariaDB",
        "PostgreSQL 15, MariaDB 10.11, MySQL 9.7",
        "the source `database` reads the real servers; real causes fire its alerts on the first two",
        "MySQL 8; managed databases",
    )


def list_monitoring_rows() -> Iterator[Row]:
    """What is said of the programs that read the exporter, and of Kubernetes."""
    images = dict(list_images())
    prometheus, alertmanager = images["prom/prometheus"].lstrip("v"), images["prom/alertmanager"].lstrip("v")
    yield (
        "Prometheus",
        "3.x",
        prometheus,
        "`promtool` tests of every rule and alert, and scrapes by the real server in the e2e layers",
        "2.x, and releases before this one",
    )
    yield (
        "Alertmanager",
        "0.27 or newer",
        alertmanager,
        "the configuration and its templates in the real program; real alerts through it",
        "older releases",
    )
    yield (
        "VictoriaMetrics, Thanos, Mimir",
        "as rulers and stores",
        "vmalert and VictoriaMetrics 1.79",
        "the rules evaluated by vmalert ([alerts.md](alerts.md#several-clusters-in-one-ruler))",
        "Thanos and Mimir: not run, by their documentation only ([scaling.md](scaling.md#other-rulers))",
    )
    yield (
        "Grafana",
        "11 to 13",
        f"components of {read_grafana_components()}",
        "each dashboard by Grafana's schema, each query by a real Prometheus, pictures by Grafana's components",
        f"the server itself: docker-compose.yaml names {images['grafana/grafana']}",
    )
    yield (
        "Kubernetes",
        f"{list_kubernetes()[0]} or newer",
        ", ".join(list_kubernetes()),
        "everything that the Helm chart renders by the schemas of these releases, its containers on a Docker engine",
        "a cluster",
    )


def list_images() -> Iterator[tuple[str, str]]:
    """Images of docker-compose.yaml with their tags."""
    file = yaml.safe_load((ROOT / "docker-compose.yaml").read_text(encoding="utf-8"))
    for service in file["services"].values():
        name, _, tag = str(service.get("image", "")).partition(":")
        yield name, tag


def list_started_once() -> list[str]:
    """The releases of Airflow whose packages are pinned for a start by hand, oldest first."""
    pinned = [path.stem.removeprefix("requirements-") for path in (ROOT / "demo").glob("requirements-*.txt")]
    regular = read_make_list("AIRFLOW_VERSIONS")
    return sorted((one for one in pinned if one not in regular), key=lambda one: [int(part) for part in one.split(".")])


def read_make_list(name: str) -> list[str]:
    """The words of a variable of the Makefile."""
    found = re.search(rf"^{name} \?= (.+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise ValueError(f"the Makefile has no {name}")
    return found[1].split()


def read_pyproject() -> dict[str, str]:
    """The table `project`."""
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"])


def list_python() -> list[str]:
    """The versions that the package declares."""
    prefix = "Programming Language :: Python :: 3."
    return [one.rpartition(" ")[2] for one in read_pyproject()["classifiers"] if one.startswith(prefix)]


def list_kubernetes() -> list[str]:
    """The releases whose schemas the chart's tests use."""
    found = re.search(r"^RELEASES = \((.+)\)$", (ROOT / CHARTS).read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise ValueError(f"{CHARTS} has no RELEASES")
    return re.findall(r"[\d.]+", found[1])


def read_grafana_components() -> str:
    """The release whose components draw the pictures."""
    found = re.search(
        r'"@grafana/ui": "([\d.]+)"', (ROOT / "grafana/pictures/package.json").read_text(encoding="utf-8")
    )
    if found is None:
        raise ValueError("grafana/pictures/package.json has no @grafana/ui")
    return found[1]
