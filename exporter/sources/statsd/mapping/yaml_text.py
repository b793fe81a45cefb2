"""Reads the YAML of a mapping file; imported only where there is one."""

from __future__ import annotations

from typing import Any

import yaml

from exporter.sources.statsd.mapping.file import MappingError


class TextLoader(yaml.SafeLoader):
    """Loads every scalar except null as text, and supports merge keys."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as the class above has them
        first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] in ("null", "merge")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def load_yaml(text: str) -> Any:  # noqa: ANN401 - what a file holds is not known before it is read
    """Texts, lists and mappings only: numbers are parsed where a number is expected. Raises MappingError."""
    try:
        return yaml.load(text, Loader=TextLoader)  # noqa: S506 - it makes no objects
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise MappingError([f"line {line}: not YAML: {error.problem or error.context}"]) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise MappingError([f"not YAML: {error}"]) from error
