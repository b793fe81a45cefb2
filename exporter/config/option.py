"""The class Option: its flag, environment variable and key in the YAML file."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

from exporter.config import values
from exporter.config.values import ValueType

VARIABLE_PREFIX = "AIRFLOW_EXPORTER_"


class AllowedNames(NamedTuple):
    """The keys that a mapping option may have: what they name, and a function that lists them."""

    noun: str
    list_known: Callable[[], Collection[str]]


@dataclass(frozen=True, slots=True)
class Option:
    """One configuration option.

    `key` is its place in the YAML file, with a dot for each level. `names` makes it a mapping from these
    names to values. `by_flag`, `by_variable` and `by_file` say where it can be set.
    """

    key: str
    value_type: ValueType
    help: str
    default: Any = None
    flag_name: str = ""
    names: AllowedNames | None = None
    by_flag: bool = True
    by_variable: bool = True
    by_file: bool = True
    secret: bool = False
    flag_value_type: ValueType | None = None
    """The type of the flag, if it is stricter than that of the variable and the file."""

    @property
    def flag(self) -> str:
        """The flag, for example `--airflow.url`; empty if there is none."""
        name = self.flag_name or self.key.replace("_", "-")
        return f"--{name}" if self.by_flag else ""

    @property
    def negative_flag(self) -> str:
        """The flag that switches it off, for example `--no-collector.host`; empty for other types."""
        return self.flag.replace("--", "--no-", 1) if self.value_type is values.SWITCH else ""

    @property
    def repeatable(self) -> bool:
        """Whether the flag may be repeated."""
        return self.value_type is values.ADDRESSES

    @property
    def variable(self) -> str:
        """The environment variable; empty if there is none."""
        name = self.flag_name or self.key
        return VARIABLE_PREFIX + name.replace(".", "_").replace("-", "_").upper() if self.by_variable else ""

    def format(self, value: Any) -> str:  # noqa: ANN401 - the type depends on the option
        """The value as pages and docs show it; secrets are masked."""
        if value is None or value in ("", {}):
            return ""
        return "***" if self.secret else self.value_type.format(value)


def file_only_option(key: str, value_type: ValueType, text: str, names: AllowedNames | None = None) -> Option:
    """An option without flag and variable, because its value is long or it is rarely needed."""
    return Option(key, value_type, text, {} if names else None, names=names, by_flag=False, by_variable=False)
