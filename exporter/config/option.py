"""What an option is: where it can be set, how it is written, and what it is called there."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

from exporter.config import values
from exporter.config.values import Form

VARIABLE_PREFIX = "AIRFLOW_EXPORTER_"


class Names(NamedTuple):
    """The names that a mapping may have: what they name, and which there are."""

    noun: str
    find: Callable[[], Collection[str]]


@dataclass(frozen=True, slots=True)
class Option:
    """One thing that a user may choose.

    `key` is its place in the file, with a dot for each level. `names` makes it a mapping from such
    names to values of the form. Where it can be set: `by_flag`, `by_variable`, `by_file`.
    """

    key: str
    form: Form
    help: str
    default: Any = None
    flag_name: str = ""
    names: Names | None = None
    by_flag: bool = True
    by_variable: bool = True
    by_file: bool = True
    secret: bool = False
    flag_form: Form | None = None
    """What a flag may hold, where that is less than what a variable or the file may."""

    @property
    def flag(self) -> str:
        """The flag, empty where there is none."""
        name = self.flag_name or self.key.replace("_", "-")
        return f"--{name}" if self.by_flag else ""

    @property
    def negative_flag(self) -> str:
        """The flag that switches it off, for switches only."""
        return self.flag.replace("--", "--no-", 1) if self.form is values.SWITCH else ""

    @property
    def repeatable(self) -> bool:
        """Whether the flag may be given several times."""
        return self.form is values.ADDRESSES

    @property
    def variable(self) -> str:
        """The environment variable, empty where there is none."""
        name = self.flag_name or self.key
        return VARIABLE_PREFIX + name.replace(".", "_").replace("-", "_").upper() if self.by_variable else ""

    def show(self, value: Any) -> str:  # noqa: ANN401 - whatever its form makes
        """The value as pages and docs may show it."""
        if value is None or value in ("", {}):
            return ""
        return "***" if self.secret else self.form.show(value)


def in_file_only(key: str, form: Form, text: str, names: Names | None = None) -> Option:
    """An option for which a flag would be too long or too rare."""
    return Option(key, form, text, {} if names else None, names=names, by_flag=False, by_variable=False)
