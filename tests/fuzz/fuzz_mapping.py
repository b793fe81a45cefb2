"""Coverage-guided fuzzing of mapping files: a file is refused with its problems, or resolves any name."""

from __future__ import annotations

import sys

import atheris

with atheris.instrument_imports(include=["exporter.sources.statsd"]):
    from exporter.sources.statsd.mapping.file import MappingError
    from exporter.sources.statsd.mapping.mapper import parse_mapping
    from exporter.sources.statsd.model import MetricType, Signature


def check(data: bytes) -> None:
    """The first line is a name, the rest the file. Regular expressions are left out: their time is Python's affair."""
    name, _, text = data.decode(errors="replace").partition("\n")
    if "regex" in text:
        return
    try:
        mapper = parse_mapping(text)
    except MappingError:
        return
    for kind in MetricType:
        resolution = mapper.resolve(Signature(name, kind, (("tag", name),)))
        assert bool(resolution.targets) != bool(resolution.drop)


if __name__ == "__main__":
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()
