"""Renderings of the chart, by the real Helm."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "airflow-metrics-exporter"
VALUES = sorted((Path(__file__).parent / "values").glob("*.yaml"))
LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's where there is one: a rendering with rules and dashboards has a megabyte."""
NAME = "airflow-metrics-exporter"
Values = Mapping[str, Any]
Object = dict[str, Any]


class HelmError(RuntimeError):
    """Helm refused the values; the message is what it printed."""


@cache
def run(command: tuple[str, ...], values: str) -> str:
    done = subprocess.run(command, input=values, capture_output=True, text=True, check=False)
    if done.returncode:
        raise HelmError(done.stdout + done.stderr)
    return done.stdout


class Helm:
    """The program, and the chart as it renders it. The release is called like the chart, in the namespace airflow."""

    def __init__(self, program: str) -> None:
        self.program = program

    def run(self, *arguments: str | Path, values: Values | None = None) -> str:
        """Run Helm with further values, and return its output. Raises HelmError."""
        return run((self.program, *map(str, arguments), "--values=-"), json.dumps(values or {}))

    def template(self, *arguments: str | Path, values: Values | None = None) -> str:
        return self.run("template", NAME, CHART, "--namespace=airflow", *arguments, values=values)

    def render(self, values: Values | None = None) -> list[Object]:
        """The objects of an installation with these values."""
        return list(parse(self.template(values=values)))


def parse(text: str) -> Iterator[Object]:
    """Yield the objects of a rendering."""
    return (one for one in yaml.load_all(text, LOADER) if one)


def read(path: Path) -> dict[str, Any]:
    """Values of a file."""
    values: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    return values


def select(objects: list[Object], kind: str) -> list[Object]:
    """The objects of one kind."""
    return [one for one in objects if one["kind"] == kind]


def get_pod(objects: list[Object], kind: str = "Deployment") -> Object:
    """The pod of the only object of this kind."""
    (found,) = select(objects, kind)
    pod: Object = found["spec"]["template"]["spec"]
    return pod


def get_container(objects: list[Object], kind: str = "Deployment") -> Object:
    """The only container of that pod."""
    (found,) = get_pod(objects, kind)["containers"]
    container: Object = found
    return container
