"""The YAML file: read with its line numbers, checked by a schema made from the options, every error at once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationError, create_model
from pydantic_core import ErrorDetails

from exporter.config.option import Names, Option
from exporter.config.options import BY_KEY, OPTIONS
from exporter.config.values import SECRET_FILE, parse_secret_file, quote

Lines = dict[str, int]
STRICT = ConfigDict(extra="forbid")


class FileContents(NamedTuple):
    """The values of a file by option, as written and as read; the line of every key; and what is wrong."""

    written: Mapping[str, Any]
    values: Mapping[str, Any]
    lines: Mapping[str, int]
    problems: list[str]


def read_file(path: Path) -> FileContents:
    """Read and check a configuration file; what is wrong with it is returned, not raised."""
    try:
        node = yaml.compose(path.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        return FileContents({}, {}, {}, [describe_unreadable(path, error)])
    if data is not None and not isinstance(data, dict):
        return FileContents({}, {}, {}, [f"{path}: is not a mapping; write options as `section: {{name: value}}`"])
    lines: Lines = {}
    doubles = [f"{path}:{line}: {place}: is given twice; keep one" for place, line in find_doubles(node, "", lines)]
    data = prune(data or {})
    values, problems = validate(path, data, lines)
    return FileContents(dict(flatten(data, "")), values, lines, doubles + problems)


def describe_unreadable(path: Path, error: Exception) -> str:
    """One line for a file that cannot be read as YAML."""
    if isinstance(error, OSError):
        return f"{path}: {error.strerror}"
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark:
        return f"{path}:{error.problem_mark.line + 1}: is not YAML: {error.problem}"
    return f"{path}: is not YAML in UTF-8"


def find_doubles(node: yaml.Node | None, place: str, lines: Lines) -> Iterator[tuple[str, int]]:
    """Note the line of every key; yield keys that stand twice in one mapping, of which YAML keeps one."""
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        inner = join(place, key.value)
        line = key.start_mark.line + 1
        if inner in lines:
            yield inner, line
        lines[inner] = line
        yield from find_doubles(value, inner, lines)


def join(*parts: object) -> str:
    return ".".join(str(part) for part in parts if part != "")


def prune(data: Mapping[Any, Any]) -> dict[str, Any]:
    """Leave out keys without a value: a section whose options are all commented out is no error."""
    return {
        str(key): prune(value) if isinstance(value, dict) else value for key, value in data.items() if value is not None
    }


def validate(path: Path, data: Mapping[str, Any], lines: Lines) -> tuple[dict[str, Any], list[str]]:
    """Check the data: the values by option where all are sound, else the problems."""
    try:
        model = make_schema(path.parent).model_validate(data)
    except ValidationError as error:
        details = sorted(error.errors(include_url=False), key=lambda detail: lines.get(locate(detail), 0))
        return {}, [describe(path, detail, lines) for detail in details]
    return dict(flatten(model.model_dump(exclude_unset=True), "")), []


def flatten(data: Mapping[str, Any], place: str) -> Iterator[tuple[str, Any]]:
    """The values of those keys that are options."""
    for name, value in data.items():
        key = join(place, name)
        if key in BY_KEY:
            yield key, value
        elif isinstance(value, dict):
            yield from flatten(value, key)


def make_schema(folder: Path) -> type[BaseModel]:
    """The schema of a file in this folder, to which its relative paths refer."""
    tree: dict[str, Any] = {}
    for option in OPTIONS:
        if option.by_file:
            *sections, name = option.key.split(".")
            level = tree
            for section in sections:
                level = level.setdefault(section, {})
            level[name] = make_type(option, folder)
    return make_model("File", tree)


def make_model(name: str, tree: Mapping[str, Any]) -> type[BaseModel]:
    """A section: what is a mapping becomes a section within it."""
    fields: dict[str, Any] = {
        key: (make_model(key.title(), value) if isinstance(value, dict) else value, None) for key, value in tree.items()
    }
    return create_model(name, __config__=STRICT, **fields)


def make_type(option: Option, folder: Path) -> Any:  # noqa: ANN401 - made at run time
    """The type of one option's value."""
    value = Annotated[Any, BeforeValidator(partial(parse, option, folder))]
    if option.names is None:
        return value
    return dict[Annotated[str, AfterValidator(partial(check_name, option.names))], value]


def parse(option: Option, folder: Path, raw: object) -> Any:  # noqa: ANN401 - whatever its form makes
    if option.form is SECRET_FILE and isinstance(raw, str):
        return parse_secret_file(str(folder / raw), raw)
    if option.form.is_path and isinstance(raw, str):
        raw = str(folder / raw)
    return option.form.parse(raw)


def check_name(names: Names, name: str) -> str:
    """Hold the keys of a mapping to the names that exist. Raises ValueError."""
    known = names.find()
    if name not in known:
        raise ValueError(f"there is no {names.noun} of this name{suggest(name, known)}")
    return name


def locate(detail: ErrorDetails) -> str:
    return join(*(part for part in detail["loc"] if part != "[key]"))


def describe(path: Path, detail: ErrorDetails, lines: Mapping[str, int]) -> str:
    """One error of the schema with its place and what to do."""
    place = locate(detail)
    line = lines.get(place)
    return f"{path}:{line}: {place}: {explain(detail, place)}" if line else f"{path}: {place}: {explain(detail, place)}"


def explain(detail: ErrorDetails, place: str) -> str:
    if detail["type"] == "extra_forbidden":
        return explain_unknown(place)
    if detail["type"] in ("model_type", "dict_type"):
        return f"{quote(detail['input'])} is a value where names and values are expected, indented below it"
    return detail["msg"].removeprefix("Value error, ")


def explain_unknown(place: str) -> str:
    """What to say of a key that no option has."""
    if place in BY_KEY and BY_KEY[place].secret:
        return f"a secret has no place in this file; use {place}_file or the variable {BY_KEY[place].variable}"
    keys = [known.key for known in OPTIONS if known.by_file]
    by_flag = {known.flag.removeprefix("--"): known.key for known in OPTIONS if known.flag and known.by_file}
    meant = by_flag.get(place.removeprefix("--"), place)
    if meant in keys:
        return f"is a name with dots or of a flag; in this file each level is a key of its own: {nest(meant)}"
    namesakes = [key for key in keys if key.rpartition(".")[2] == place.rpartition(".")[2]]
    if len(namesakes) == 1:
        return f"is not an option; did you mean {namesakes[0]}?"
    return f"is not an option{suggest(place, {*keys, *(key.rpartition('.')[0] for key in keys)})}"


def nest(key: str) -> str:
    """How an option is written in the file, on one line."""
    *sections, last = key.split(".")
    return "`" + "".join(f"{section}: {{" for section in sections) + f"{last}: VALUE" + "}" * len(sections) + "`"


def suggest(name: str, known: Collection[str]) -> str:
    """The nearest known name, as the end of a sentence."""
    nearest = get_close_matches(name, known, n=1, cutoff=0.6)
    return f"; did you mean {nearest[0]}?" if nearest else "; see docs/configuration.md"
