"""The dashboards' files: built from the code, by Grafana's schema, with links that lead somewhere."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from grafana.boards.__main__ import files
from tests.contract.promql import rules
from tests.grafana.boards import BOARDS, FILES, GRAFANA, Panel, panels

SCHEMAS = Path(__file__).resolve().parents[1] / "data" / "grafana-schema"
UIDS = {
    "airflow-diagnosis",
    "airflow-overview",
    "airflow-dag",
    "airflow-task",
    "airflow-concurrency",
    "airflow-tuning",
    "airflow-scheduler",
    "airflow-workers",
    "airflow-executor",
    "airflow-celery",
    "airflow-database",
    "airflow-exporter",
}
every_board = pytest.mark.parametrize("uid", BOARDS)


MATCHER = {
    "type": "object",
    "additionalProperties": False,
    "required": ["matcher"],
    "properties": {"matcher": {"type": "object", "required": ["id", "options"]}},
}
XY_OPTIONS: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["mapping", "series", "legend", "tooltip"],
    "properties": {
        "mapping": {"enum": ["auto", "manual"]},
        "series": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["frame", "x", "y"],
                "properties": {"frame": MATCHER, "x": MATCHER, "y": MATCHER},
            },
        },
        "legend": {"type": "object", "required": ["displayMode", "placement", "showLegend", "calcs"]},
        "tooltip": {"type": "object", "required": ["mode", "sort"]},
    },
}
"""As Grafana 11 and 12 read it. The schemas of the Grafana project have only the form before 10.4."""

HEATMAP_OPTIONS: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["calculate", "color", "yAxis", "rowsFrame", "legend", "tooltip", "exemplars"],
    "properties": {
        "calculate": {"type": "boolean"},
        "color": {
            "type": "object",
            "additionalProperties": False,
            "required": ["mode", "scheme", "steps", "reverse", "fill"],
            "properties": {
                "mode": {"enum": ["opacity", "scheme"]},
                "scheme": {"enum": ["Oranges", "Spectral", "Greens", "Reds", "Blues"]},
                "steps": {"type": "integer", "minimum": 2, "maximum": 128},
                "reverse": {"type": "boolean"},
                "fill": {"type": "string"},
            },
        },
        "cellGap": {"type": "integer", "minimum": 0, "maximum": 25},
        "cellValues": {"type": "object", "required": ["unit"]},
        "filterValues": {"type": "object", "required": ["le"]},
        "rowsFrame": {"type": "object", "properties": {"layout": {"enum": ["auto", "unknown", "le", "ge"]}}},
        "showValue": {"enum": ["auto", "never", "always"]},
        "yAxis": {"type": "object"},
        "legend": {"type": "object", "required": ["show"]},
        "tooltip": {"type": "object", "required": ["mode", "yHistogram"]},
        "exemplars": {"type": "object", "required": ["color"]},
    },
}
"""As `panelcfg.cue` of Grafana's heat map has it. The schemas of the Grafana project have only the panel before 9."""


def schema(name: str, definition: str = "") -> dict[str, Any]:
    """One of Grafana's schemas, or one definition of it."""
    if name in ("xychart", "heatmap"):
        return {"xychart": XY_OPTIONS, "heatmap": HEATMAP_OPTIONS}[name]
    found = json.loads((SCHEMAS / f"{name}.jsonschema.json").read_text(encoding="utf-8"))
    if name == "dashboard":
        # The schema wants objects where Grafana itself takes anything: names of fields, numbers, lists.
        found["definitions"]["MatcherConfig"]["properties"]["options"] = {}
        found["definitions"]["DynamicConfigValue"]["properties"]["value"] = {}
    return {**found, "$ref": f"#/definitions/{definition}"} if definition else found


def provisioned(path: str) -> Any:
    """The content of a provisioning file."""
    return yaml.safe_load((GRAFANA / "provisioning" / path).read_text(encoding="utf-8"))


def test_every_dashboard_is_there() -> None:
    assert set(BOARDS) == UIDS


def test_what_is_committed_is_what_the_code_builds() -> None:
    built = dict(files())
    assert {file.name for file in FILES} == set(built)
    for file in FILES:
        assert file.read_text(encoding="utf-8") == built[file.name], "run: make dashboards"


@every_board
def test_it_obeys_grafanas_schema(uid: str) -> None:
    jsonschema.validate(BOARDS[uid], schema("dashboard"))
    assert BOARDS[uid]["schemaVersion"] == 42
    assert BOARDS[uid]["uid"] == uid


@pytest.mark.parametrize("panel", list(panels()), ids=str)
def test_a_panel_obeys_the_schema_of_its_kind(panel: Panel) -> None:
    jsonschema.validate(panel.json["options"], schema(panel.kind, "Options"))
    if panel.kind in ("timeseries", "table"):
        jsonschema.validate(panel.json["fieldConfig"]["defaults"].get("custom", {}), schema(panel.kind, "FieldConfig"))
    for target in panel.targets:
        jsonschema.validate(target, schema("prometheus", "Dataquery"))


@every_board
def test_each_line_of_panels_is_as_wide_as_the_page(uid: str) -> None:
    widths: dict[int, int] = {}
    for place in (panel.json["gridPos"] for panel in panels() if panel.board == uid and panel.kind != "row"):
        widths[place["y"]] = widths.get(place["y"], 0) + place["w"]
    assert {line: width for line, width in widths.items() if width != 24} == {}


@every_board
def test_it_has_the_variables_that_it_uses_and_no_others(uid: str) -> None:
    variables = BOARDS[uid]["templating"]["list"]
    declared = [variable["name"] for variable in variables]
    assert declared[:2] == ["datasource", "airflow"]
    text = json.dumps({**BOARDS[uid], "templating": [variable["query"] for variable in variables]})
    used = {one or other for one, other in re.findall(r"\$(?:\{([a-z_]\w*)[:}]|([a-z_]\w*))", text)}
    assert {name for name in used if not name.startswith("__")} == set(declared)


def test_an_alert_that_fires_leads_to_the_runbook_that_it_names_itself() -> None:
    (table,) = [panel for panel in panels() if panel.json["title"] == "Firing alerts"]
    link = re.search(r'"url": "\$\{runbooks\}(/[^"]+)"', json.dumps(table.json).replace(r"\"", "'"))
    assert link
    for rule in rules(GRAFANA.parent / "prometheus" / "alerts"):
        path = link[1].replace("${__data.fields['Alert']:percentencode}", rule["alert"])
        page = rule["annotations"]["runbook_url"].partition("?")[0]
        assert page.endswith('label "runbooks" }}{{ end }}' + path)
        assert (GRAFANA.parent / "docs" / "runbooks" / path.removeprefix("/")).exists()


@every_board
def test_its_links_lead_to_dashboards_of_ours_with_variables_of_theirs(uid: str) -> None:
    for url in re.findall(r'"url": "([^"]+)"', json.dumps(BOARDS[uid]).replace(r"\"", "'")):
        if not url.startswith("/d/"):
            assert url.startswith(("${airflow_url}/", "${exporter_url}/", "${runbooks}/")), url
            continue
        target = re.match(r"/d/([\w-]+)\?", url)
        assert target, url
        known = {variable["name"] for variable in BOARDS[target[1]]["templating"]["list"]}
        assert set(re.findall(r"&var-(\w+)=", url)) <= known, url


def test_links_of_alerts_lead_to_dashboards_of_ours_with_variables_of_theirs() -> None:
    alerts = [rule for rule in rules(GRAFANA.parent / "prometheus/alerts") if rule["annotations"].get("dashboard_url")]
    assert alerts
    for alert in alerts:
        url = alert["annotations"]["dashboard_url"]
        target = re.search(r"/d/([\w-]+)", url)
        assert target, url
        known = {variable["name"] for variable in BOARDS[target[1]]["templating"]["list"]}
        assert set(re.findall(r"[?&]var-(\w+)=", url)) <= known, alert["alert"]


def test_provisioning_names_the_datasource_and_the_folder_of_the_dashboards() -> None:
    (source,) = provisioned("datasources/prometheus.yaml")["datasources"]
    assert (source["uid"], source["type"], source["url"]) == ("prometheus", "prometheus", "http://prometheus:9090")
    (provider,) = provisioned("dashboards/airflow.yaml")["providers"]
    assert (provider["type"], provider["options"]["path"]) == ("file", "/var/lib/grafana/dashboards")


def test_the_datasource_knows_the_shipped_scrape_interval() -> None:
    """Grafana makes $__rate_interval of it: four scrapes."""
    (source,) = provisioned("datasources/prometheus.yaml")["datasources"]
    prometheus = yaml.safe_load((GRAFANA.parent / "prometheus/prometheus.yml").read_text(encoding="utf-8"))
    assert source["jsonData"]["timeInterval"] == prometheus["global"]["scrape_interval"]


def test_the_docs_name_panels_and_columns_that_are_there() -> None:
    page = (GRAFANA.parent / "docs" / "dashboards.md").read_text(encoding="utf-8")
    section = page.partition("## Where to find what")[2].partition("\n## ")[0]
    titles = {panel.json["title"] for panel in panels()}
    columns = {
        override["matcher"]["options"] for panel in panels() for override in panel.json["fieldConfig"]["overrides"]
    }
    named = set(re.findall(r"\*([^*]+)\*", section))
    assert named
    assert named <= titles | columns, named - titles - columns
