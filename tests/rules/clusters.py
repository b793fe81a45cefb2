"""Makes a promtool test one of two clusters whose Airflows have the same names.

Every series is there twice, and differs by the label `cluster` only. So every alert fires once for each cluster, with
its name, and every recorded series has the same value in each.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tests.rules.rulefiles import load

CLUSTERS = ("east", "west")
LINKED = re.compile(r"(?P<link>\b(?P<prefix>var-)?airflow=[\w-]+)")
LINKED_NOWHERE = re.compile(r"(?P<link>\b(?P<prefix>var-)?airflow=)")


def double(path: Path, rules: Path) -> dict[str, Any]:
    """The whole test file in two clusters, for the rules that lie in this folder."""
    file = load(path)
    file["rule_files"] = [str(rules / Path(name).parent.name / Path(name).name) for name in file["rule_files"]]
    file["tests"] = [double_case(case) for case in file["tests"]]
    return dict(file)


def double_case(case: dict[str, Any]) -> dict[str, Any]:
    series = [{**one, "series": name} for one in case["input_series"] for name in label_all(one["series"])]
    checks = [
        {**check, "exp_alerts": [moved for alert in check["exp_alerts"] for moved in move_alert(alert)]}
        for check in case.get("alert_rule_test", ())
    ]
    queries = [
        {**check, "exp_samples": [moved for sample in check["exp_samples"] for moved in move_sample(sample)]}
        for check in case.get("promql_expr_test", ())
    ]
    return {**case, "input_series": series, "alert_rule_test": checks, "promql_expr_test": queries}


def label_all(series: str) -> list[str]:
    """The series in each cluster; one that is of no Airflow, or of none of its pods, stays alone."""
    if 'airflow="' in series:
        return [series.replace('airflow="', f'cluster="{cluster}",airflow="', 1) for cluster in CLUSTERS]
    if series.startswith(("kube_", "container_")):
        return [series.replace("{", f'{{cluster="{cluster}",', 1) for cluster in CLUSTERS]
    return [series]


def move_sample(sample: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**sample, "labels": labels} for labels in label_all(sample["labels"])]


def move_alert(alert: dict[str, Any]) -> list[dict[str, Any]]:
    """The alert in each cluster: in its label, its text and its links."""
    if "airflow" not in alert["exp_labels"]:
        links = {
            name: LINKED_NOWHERE.sub(r"\g<link>&\g<prefix>cluster=", alert["exp_annotations"][name])
            for name in ("dashboard_url", "runbook_url")
        }
        return [{**alert, "exp_annotations": alert["exp_annotations"] | links}]
    airflow = alert["exp_labels"]["airflow"]
    return [
        {
            "exp_labels": {**alert["exp_labels"], "cluster": cluster},
            "exp_annotations": {
                key: name_in_text(text, airflow, cluster) for key, text in alert["exp_annotations"].items()
            },
        }
        for cluster in CLUSTERS
    ]


def name_in_text(text: str, airflow: str, cluster: str) -> str:
    text = LINKED.sub(rf"\g<link>&\g<prefix>cluster={cluster}", text)
    return re.sub(rf"(Airflow {re.escape(airflow)})\b", rf"\1 cluster={cluster}", text)
