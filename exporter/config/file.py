"""The YAML configuration file: a schema built from the options checks it, all errors are reported with their lines."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError, create_model
from pydantic_core import ErrorDetails

from exporter.config.option import AllowedNames, Option
from exporter.config.options import BY_KEY, OPTIONS
from exporter.config.values import SECRET_FILE, parse_secret_file, quote_value

Lines = dict[str, int]
MISMATCH = "this looks like a number or a date, and is none; put it in quotes if it is meant as text"
FORBID_UNKNOWN_KEYS = ConfigDict(extra="forbid")


class ValueTypeError(yaml.MarkedYAMLError):
    """A value that YAML takes for a number or a date, and that is none."""


class ConfigLoader(yaml.SafeLoader):
    """Raises ValueTypeError, with the place, where PyYAML would let the errors of Python's types through."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: ANN401 - whatever the file has
        """The value of a node. Raises YAMLError."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError, AttributeError) as error:
            raise ValueTypeError(problem=MISMATCH, problem_mark=node.start_mark) from error


class FileContents(NamedTuple):
    """The values of a file by option, raw and parsed; the line of every key; and the problems."""

    written: Mapping[str, Any]
    values: Mapping[str, Any]
    lines: Mapping[str, int]
    problems: list[str]


def read_file(path: Path) -> FileContents:
    """Read and check a configuration file. Problems are returned, not raised."""
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.load(text, Loader=ConfigLoader)  # noqa: S506 - it makes no objects
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        return FileContents({}, {}, {}, [format_read_error(path, error)])
    if data is not None and not isinstance(data, dict):
        return FileContents(
            {}, {}, {}, [f"{path}: the file is not a mapping; write options as `section: {{name: value}}`"]
        )
    lines: Lines = {}
    duplicates = [
        f"{path}:{line}: {key_path}: given twice; keep one" for key_path, line in list_duplicate_keys(node, "", lines)
    ]
    data = drop_empty_values(data or {})
    values, problems = validate(path, data, lines)
    return FileContents(dict(flatten(data, "")), values, lines, duplicates + problems)


def format_read_error(path: Path, error: Exception) -> str:
    """The error message for a file that cannot be read, or is not YAML."""
    if isinstance(error, OSError):
        return f"{path}: {error.strerror}"
    if isinstance(error, RecursionError):
        return f"{path}: this is nested too deeply"
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        kind = "" if isinstance(error, ValueTypeError) else "this is not YAML: "
        return f"{path}:{error.problem_mark.line + 1}: {kind}{error.problem}"
    return f"{path}: this is not YAML in UTF-8"


def list_duplicate_keys(node: yaml.Node | None, key_path: str, lines: Lines) -> Iterator[tuple[str, int]]:
    """Store the line of every key in `lines`; yield keys that are twice in one mapping, because YAML would drop one."""
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        inner = join_key(key_path, key.value)
        line = key.start_mark.line + 1
        if inner in lines:
            yield inner, line
        lines[inner] = line
        yield from list_duplicate_keys(value, inner, lines)


def join_key(*parts: object) -> str:
    """The key of nested keys, with dots between them."""
    return ".".join(str(part) for part in parts if part != "")


def drop_empty_values(data: Mapping[Any, Any]) -> dict[str, Any]:
    """Drop keys without a value, so that a section whose options are all commented out is no error."""
    return {
        str(key): drop_empty_values(value) if isinstance(value, dict) else value
        for key, value in data.items()
        if value is not None
    }


def validate(path: Path, data: Mapping[str, Any], lines: Lines) -> tuple[dict[str, Any], list[str]]:
    """Parse the data. Returns the values by option, or the problems if there are any."""
    try:
        model = build_schema(path.parent).model_validate(data)
    except ValidationError as error:
        details = sorted(error.errors(include_url=False), key=lambda detail: lines.get(get_error_key(detail), 0))
        return {}, [format_error(path, detail, lines) for detail in details]
    return dict(flatten(model.model_dump(exclude_unset=True), "")), []


def flatten(data: Mapping[str, Any], key_path: str) -> Iterator[tuple[str, Any]]:
    """Yield the values of the keys that are options."""
    for name, value in data.items():
        key = join_key(key_path, name)
        if key in BY_KEY:
            yield key, value
        elif isinstance(value, dict):
            yield from flatten(value, key)


def build_schema(folder: Path) -> type[BaseModel]:
    """The schema of a file in this folder; relative paths are relative to it."""
    tree: dict[str, Any] = {}
    for option in OPTIONS:
        if option.by_file:
            *sections, name = option.key.split(".")
            level = tree
            for section in sections:
                level = level.setdefault(section, {})
            level[name] = build_field_type(option, folder)
    return build_model("File", tree)


def build_model(name: str, tree: Mapping[str, Any]) -> type[BaseModel]:
    """The schema of a section; nested mappings become nested sections."""
    fields: dict[str, Any] = {
        key: (build_model(key.title(), value) if isinstance(value, dict) else value, None)
        for key, value in tree.items()
    }
    return create_model(name, __config__=FORBID_UNKNOWN_KEYS, **fields)


def build_field_type(option: Option, folder: Path) -> Any:  # noqa: ANN401 - made at run time
    """The schema type of one option."""
    value = Annotated[Any, BeforeValidator(partial(parse_option_value, option, folder))]
    if option.names is None:
        return value
    return dict[Annotated[str, AfterValidator(partial(check_name, option.names))], value]


def parse_option_value(option: Option, folder: Path, raw: object) -> Any:  # noqa: ANN401 - the type depends on the option
    """Parse one value; relative paths are relative to the folder of the file. Raises ValueError."""
    if option.value_type is SECRET_FILE and isinstance(raw, str):
        return parse_secret_file(str(folder / raw), raw)
    if option.value_type.is_path and isinstance(raw, str):
        raw = str(folder / raw)
    return option.value_type.parse(raw)


def check_name(names: AllowedNames, name: str) -> str:
    """Return a key of a mapping option. Raises ValueError if it is not one of the known names."""
    known = names.list_known()
    if name not in known:
        raise ValueError(f"there is no {names.noun} with this name{format_suggestion(name, known)}")
    return name


def get_error_key(detail: ErrorDetails) -> str:
    """The key, with dots, at which the schema found an error."""
    return join_key(*(part for part in detail["loc"] if part != "[key]"))


def format_error(path: Path, detail: ErrorDetails, lines: Mapping[str, int]) -> str:
    """One error of the schema as a message with file, line and key."""
    key_path = get_error_key(detail)
    line = lines.get(key_path)
    return (
        f"{path}:{line}: {key_path}: {explain_error(detail, key_path)}"
        if line
        else f"{path}: {key_path}: {explain_error(detail, key_path)}"
    )


def explain_error(detail: ErrorDetails, key_path: str) -> str:
    """What is wrong, and what to write instead."""
    if detail["type"] == "extra_forbidden":
        return explain_unknown_key(key_path)
    if detail["type"] in ("model_type", "dict_type"):
        return f"{quote_value(detail['input'])} is a single value; write names with values here, indented below the key"
    return detail["msg"].removeprefix("Value error, ")


def explain_unknown_key(key_path: str) -> str:
    """The error for a key that is not an option, with the option that was probably meant."""
    if key_path in BY_KEY and BY_KEY[key_path].secret:
        return f"secrets are not allowed in this file; use {key_path}_file or the variable {BY_KEY[key_path].variable}"
    keys = [known.key for known in OPTIONS if known.by_file]
    by_flag = {known.flag.removeprefix("--"): known.key for known in OPTIONS if known.flag and known.by_file}
    meant = by_flag.get(key_path.removeprefix("--"), key_path)
    if meant in keys:
        return f"is a flag or has dots; in this file each level is a separate key: {format_nested_key(meant)}"
    namesakes = [key for key in keys if key.rpartition(".")[2] == key_path.rpartition(".")[2]]
    if len(namesakes) == 1:
        return f"is not an option; did you mean {namesakes[0]}?"
    return f"is not an option{format_suggestion(key_path, {*keys, *(key.rpartition('.')[0] for key in keys)})}"


def format_nested_key(key: str) -> str:
    """The option as nested YAML on one line."""
    *sections, last = key.split(".")
    return "`" + "".join(f"{section}: {{" for section in sections) + f"{last}: VALUE" + "}" * len(sections) + "`"


def format_suggestion(name: str, known: Collection[str]) -> str:
    """The most similar known name, as the end of a sentence."""
    nearest = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {nearest[0]}?" if nearest else "; see docs/configuration.md"
