"""Mapping files of statsd_exporter: the same format, the same names."""

from exporter.sources.statsd.mapping.file import MappingError
from exporter.sources.statsd.mapping.mapper import Mapper, load, parse

__all__ = ["Mapper", "MappingError", "load", "parse"]
