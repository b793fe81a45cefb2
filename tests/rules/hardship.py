"""Makes a promtool test harder without changing what must come of it.

Every series that exporters tell has a twin from a second replica; counters of both begin anew in the middle, at
different moments; and all of it happens in a second Airflow too, with the same DAGs. So every alert fires once for each
Airflow, and every recorded series has the same value in each.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.rules.rulefiles import load

Sample = float | str | None
"""A value, `stale`, or None where there is none."""
PIECE = re.compile(r"(?P<start>_|stale|[-+]?[\d.e]+|Inf)(?P<step>[-+][\d.e]+)?(?:x(?P<times>\d+))?\Z")
COUNTER = re.compile(r"\w+_(total|sum|count|bucket)\b")
TOO = "-too"


def harden(path: Path) -> dict[str, Any]:
    """The whole test file, harder."""
    file = load(path)
    file["rule_files"] = [str((path.parent / name).resolve()) for name in file["rule_files"]]
    file["tests"] = [harden_case(case) for case in file["tests"]]
    return dict(file)


def harden_case(case: dict[str, Any]) -> dict[str, Any]:
    case = copy.deepcopy(case)
    case["input_series"] = [
        {"series": name, "values": write(values)}
        for series in case["input_series"]
        for twin in multiply(series["series"], expand(series["values"]))
        for name, values in (twin, *move_all(twin))
    ]
    for check in case.get("alert_rule_test", ()):
        check["exp_alerts"] = [*check["exp_alerts"], *(move_alert(one) for one in list_labelled(check["exp_alerts"]))]
    for check in case.get("promql_expr_test", ()):
        moved = [{**one, "labels": move(one["labels"])} for one in check["exp_samples"] if 'airflow="' in one["labels"]]
        check["exp_samples"] = [*check["exp_samples"], *moved]
    return case


def expand(values: str) -> list[Sample]:
    """Every sample that promtool's notation stands for."""
    samples: list[Sample] = []
    for piece in values.split():
        match = PIECE.match(piece)
        assert match, piece
        start, times = match["start"], int(match["times"] or 0)
        if start == "_":
            samples += [None] * max(times, 1)
        elif start == "stale":
            samples.append("stale")
        else:
            samples += [float(start) + float(match["step"] or 0) * number for number in range(times + 1)]
    return samples


def write(samples: list[Sample]) -> str:
    return " ".join("_" if sample is None else "Inf" if sample == float("inf") else f"{sample}" for sample in samples)


def multiply(series: str, samples: list[Sample]) -> Iterator[tuple[str, list[Sample]]]:
    """The series, and what a second replica would tell, where it is not of one machine or recorded."""
    counter = COUNTER.match(series)
    yield series, restart(samples, 3 / 4) if counter else samples
    if "instance=" not in series and ":" not in series.split("{", maxsplit=1)[0]:
        twin = add_label(series, 'instance="replica"')
        yield twin, restart(samples, 2 / 3) if counter else samples


def add_label(series: str, label: str) -> str:
    return f"{series[:-1]},{label}}}" if series.endswith("}") else f"{series}{{{label}}}"


def restart(samples: list[Sample], place: float) -> list[Sample]:
    """The same counter, which began anew at 0 just after a sample in that place."""
    at = int(len(samples) * place)
    before = samples[at - 1] if at else None
    if not isinstance(before, float):
        return samples
    return [*samples[:at], *(one - before if isinstance(one, float) else one for one in samples[at:])]


def move(text: str) -> str:
    """The labels of the same thing in the other Airflow."""
    return re.sub(r'airflow="([^"]+)"', rf'airflow="\1{TOO}"', text)


def move_all(twin: tuple[str, list[Sample]]) -> Iterator[tuple[str, list[Sample]]]:
    series, samples = twin
    if 'airflow="' in series:
        yield move(series), samples


def list_labelled(alerts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [alert for alert in alerts if "airflow" in alert["exp_labels"]]


def move_alert(alert: dict[str, Any]) -> dict[str, Any]:
    """The same alert for the other Airflow: in its label, its text and its links."""
    name = alert["exp_labels"]["airflow"]
    named = re.compile(rf"(Airflow |\bairflow=|var-airflow=){re.escape(name)}\b")
    return {
        "exp_labels": {**alert["exp_labels"], "airflow": name + TOO},
        "exp_annotations": {key: named.sub(rf"\1{name}{TOO}", text) for key, text in alert["exp_annotations"].items()},
    }
