"""The command `bundle`: everything besides the exporter itself that belongs to this release, in one folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

from exporter import __version__
from exporter.commands.bundle import (
    get_folder,
    get_object_name,
    list_rule_files,
    render_files,
    render_rule_object,
    render_rules,
)
from exporter.commands.rule_settings import DEFAULTS, RuleSettings
from exporter.revision import REVISION
from exporter.web.runbook_files import list_runbooks, read_runbook

COPIED = ("charts", "examples", "provisioning", "systemd")
"""Folders that are written unchanged."""
OPTIONAL_RULES = ("longterm/trends.yml", "native/histograms.yml")
"""Rules that not every Prometheus needs: their pages say when."""
RELEASE = """airflow-metrics-exporter {version}, revision {revision}

prometheus.yml       a configuration of Prometheus to begin with: set the addresses and the name of your Airflow
rules/, alerts/      rules and alerts for Prometheus; thresholds and links are in rules/settings.yml
kubernetes/          the same rules and alerts as PrometheusRule objects
longterm/, native/   rules for years of data (docs/scaling.md) and for native histograms (docs/native-histograms.md)
alertmanager/        the configuration of Alertmanager, templates, examples of receivers; inbox.py prints alerts
dashboards/          dashboards for Grafana
provisioning/        files with which Grafana reads the dashboards from a folder
runbooks/            what to do when an alert fires, as Markdown
charts/              the Helm chart; its rules have the identity, thresholds and links of its own values
examples/            configurations of the exporter, its web server, managed Airflows; mapping files for dashboards
systemd/             units, environment files, sysusers and tmpfiles
"""


def render_bundle(
    further: Sequence[str] = (), settings: RuleSettings = DEFAULTS
) -> Iterator[tuple[PurePosixPath, str]]:
    """Yield path and text of each file. Raises SettingsError."""
    yield PurePosixPath("RELEASE"), RELEASE.format(version=__version__, revision=REVISION)
    yield PurePosixPath("prometheus.yml"), render_prometheus(further)
    yield from render_files("prometheus", further, settings)
    for name in OPTIONAL_RULES:
        yield (
            PurePosixPath(name),
            render_rules(get_folder(PurePosixPath(name).parts[0]) / PurePosixPath(name).name, further),
        )
    for path in list_rule_files():
        text = render_rule_object(path, further, settings=settings)
        yield PurePosixPath("kubernetes", f"{get_object_name(path)}.yaml"), text
    for path in sorted((get_folder("alertmanager") / "receivers").glob("*.yml")):
        yield PurePosixPath("alertmanager/receivers", path.name), path.read_text(encoding="utf-8")
    yield PurePosixPath("alertmanager/inbox.py"), (get_folder("alertmanager") / "inbox.py").read_text(encoding="utf-8")
    for name in list_runbooks():
        yield PurePosixPath("runbooks", f"{name}.md"), read_runbook(name) or ""
    for folder in COPIED:
        for path in sorted(get_folder(folder).rglob("*")):
            if path.is_file() and path.suffix != ".pyc":
                yield PurePosixPath(folder, path.relative_to(get_folder(folder))), path.read_text(encoding="utf-8")
    if settings != DEFAULTS:
        yield PurePosixPath("charts/values.yaml"), settings.to_chart_values()


def render_prometheus(further: Sequence[str] = ()) -> str:
    """The configuration of Prometheus, whose targets also have the further labels, with values to be changed."""
    text = (get_folder("prometheus") / "localhost.yml").read_text(encoding="utf-8")
    return text + "".join(f"          {label}: change-me\n" for label in further)
