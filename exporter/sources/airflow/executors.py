"""The executors that `[core] executor` of Airflow's configuration names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from exporter.metrics.family import Labels


class ConfiguredExecutor(NamedTuple):
    """One executor."""

    class_name: str
    alias: str = ""
    """The name that tasks call it by; empty where it has none but that of its class."""
    team: str = ""
    """The team that it is for; empty where it is for all."""
    is_default: bool = True
    """Whether tasks of the team run on it that name no executor."""


def parse_executors(setting: str) -> Iterator[ConfiguredExecutor]:
    """The executors, as Airflow reads the setting.

    A list separated by commas, the default first; `;` separates the lists of teams, each as `team=list`. An executor
    is a class name, the path of a class, or `alias:` and one of these.
    """
    for part in setting.split(";"):
        team, _, names = part.rpartition("=")
        for number, name in enumerate(filter(None, (name.strip() for name in names.split(",")))):
            alias, _, path = name.rpartition(":")
            yield ConfiguredExecutor(path.rpartition(".")[2], alias, team.strip(), is_default=number == 0)


def build_table(executors: Iterable[ConfiguredExecutor]) -> dict[Labels, float]:
    """The series of the executors."""
    return {(one.class_name, one.team, "true" if one.is_default else "false"): 1 for one in executors}


def list_class_names(executors: Iterable[ConfiguredExecutor]) -> list[str]:
    """The class names, the default ones first."""
    return [one.class_name for one in sorted(executors, key=lambda one: not one.is_default)]


def map_aliases(executors: Iterable[ConfiguredExecutor]) -> dict[str, str]:
    """The class name behind each alias."""
    return {one.alias: one.class_name for one in executors if one.alias}
